"""A disk with a cache of its own, which is lost with the power: only what was flushed is there."""

from __future__ import annotations

from collections.abc import Iterator

from tests.vm.scenes import BENCH, BUSY, whole
from tests.vm.station import SERVICES, STATE, Station, require
from tests.vm.trials.power import CLOCK_SECONDS, configure_for_cuts, kept_of, most_lost
from tests.vm.trials.trial import RATE, settings

FOLDER = "/var/tmp/bench"
DATA_MEGABYTES, LOG_MEGABYTES = 700, 1500
MARKS = 10
MAPPED = "/dev/mapper/state"
STOP = f"systemctl stop {' '.join(SERVICES)} recorderd-web.socket"


def lost_writes(station: Station) -> Iterator[tuple[str, str]]:
    """Record on a disk that remembers each write and flush; then look at it as it would have
    been if the plug had been pulled at this moment, and that, and that."""
    machine = station.machine
    configure_for_cuts(station, "defer")
    machine.run(f"{STOP}; rm -rf {FOLDER}; mkdir {FOLDER}; modprobe -a dm-log-writes || true")
    machine.run(
        f"cd {FOLDER} && truncate -s {DATA_MEGABYTES}M base && truncate -s {LOG_MEGABYTES}M log"
        " && mkfs.ext4 -q base && mkdir there && mount -o loop base there"
        f" && cp -a {STATE}/*.json {STATE}/*.pem there"
        " && install -d -o recorderd -g recorderd -m 2750 there/footage there/incoming"
        f" && chown --reference={STATE} there && chmod --reference={STATE} there"
        " && umount there && cp --sparse=always base data"
    )
    machine.run(
        f"cd {FOLDER} && data=$(losetup -f --show data) && log=$(losetup -f --show log)"
        " && echo 0 $(blockdev --getsz $data) log-writes $data $log | dmsetup create state"
        f" && mount {MAPPED} {STATE}"
    )
    try:
        marks = _record(station)
        machine.run(f"{STOP}; umount {STATE}; dmsetup remove state; losetup -D; sync")
        lost = []
        recovered = 0
        for name, moment, promised in marks:
            gone, repaired = _look_back(station, name, moment, promised)
            lost.append(gone)
            recovered += repaired
    finally:
        machine.run(
            f"{STOP}; umount -l {STATE}; dmsetup remove --force state; losetup -D; rm -rf {FOLDER}",
            check=False,
        )
        machine.run("systemctl start recorderd-web.socket")
        station.configure(settings())
        station.camera(f"show {BENCH}")
        station.wait_ready()
    yield (
        f"the disk as it was at {len(lost)} moments, without what was not flushed",
        (
            f"nothing that was promised is gone, {recovered} videos were repaired; lost"
            f" {min(lost):.1f} to {max(lost):.1f} s"
        ),
    )


def _record(station: Station) -> list[tuple[str, float, set[str]]]:
    """Record without a pause. Returns marks in the log: their names, their moments by the
    monotonic clock, and the recordings that had been promised before."""
    machine = station.machine
    machine.run(f"systemctl start {' '.join(SERVICES)}")
    station.wait_ready()
    station.camera(f"show {BUSY}")
    station.wait_until(lambda status: status.get("phase") == "recording", "recording")
    marks = []
    for number in range(MARKS):
        promised = {row["id"] for row in station.rows() if row["state"] == "saved"}
        machine.run("sleep 1.7")
        name = f"moment-{number}"
        said = machine.run(f"cut -d ' ' -f 1 /proc/uptime; dmsetup message state 0 mark {name}")
        marks.append((name, float(said.split()[0]), promised))
    station.camera(f"show {BENCH}")
    station.press()
    station.ended_rows("saved")
    return marks


def _look_back(station: Station, mark: str, moment: float, promised: set[str]) -> tuple[float, int]:
    """Start the station on the disk as it was then. Returns how many seconds of what was being
    recorded are gone, and how many videos were repaired."""
    machine = station.machine
    machine.run(
        f"cd {FOLDER} && cp --sparse=always base then &&"
        f" python3 /usr/local/lib/bench/replay_writes.py log then {mark} &&"
        f" mount -o loop then {STATE}"
    )
    machine.run(f"systemctl start {' '.join(SERVICES)}")
    station.wait_ready(120)
    rows = station.ended_rows("recovered", 120)
    station.check_all()
    mine = kept_of([row for row in rows if row["monotonic_ns"] / 1e9 < moment], moment)
    require(mine, f"{mark}: nothing of what was recorded is left")
    for row in mine:
        station.pictures(row, damaged=row["state"] == "recovered")
    # What was promised is in `mine`, so it was looked at.
    missing = promised - {row["id"] for row in mine}
    require(not missing, f"{mark}: promised, but gone: {missing}")
    newest = max(mine, key=lambda row: row["monotonic_ns"])
    intact = whole(station.pictures(newest, damaged=True))
    gone = max(0.0, moment - (newest["monotonic_ns"] / 1e9 + intact / RATE))
    require(
        gone <= most_lost(newest["mode"]) + CLOCK_SECONDS,
        f"{mark}: {gone:.1f} s of {newest['id']} are gone",
    )
    machine.run(f"{STOP}; umount {STATE}")
    return gone, sum(row["state"] == "recovered" for row in mine)
