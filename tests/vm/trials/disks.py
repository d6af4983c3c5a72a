"""The disk of the footage fails, goes away, or loses what it said it had written."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.vm.scenes import BENCH, ORDERS
from tests.vm.station import SERVICES, STATE, Station, require
from tests.vm.trials.faults import end, heard
from tests.vm.trials.packing import begin, record
from tests.vm.trials.trial import settings

DISK, PLACE = "/dev/ubdb", "/mnt/footage"
MAPPED = "/dev/mapper/footage"
FOLDER = f"{PLACE}/footage"


@contextmanager
def _own_disk(station: Station) -> Iterator[None]:
    """Footage on a disk of its own, as for a station that starts from a memory card."""
    machine = station.machine
    stop = f"systemctl stop {' '.join(SERVICES)}"
    machine.run(
        f"{stop}; echo 0 $(blockdev --getsz {DISK}) linear {DISK} 0 | dmsetup create footage &&"
        f" mkdir -p {PLACE} && mount {MAPPED} {PLACE} &&"
        # With the marker, and with what has been recorded so far.
        f" cp -a {STATE}/footage {STATE}/incoming {PLACE} && sync"
    )
    station.footage = FOLDER
    try:
        station.configure(settings(storage={"footage_folder": FOLDER}))
        station.wait_ready()
        yield
    finally:
        station.footage = f"{STATE}/footage"
        machine.run(
            f"{stop}; cp -a {FOLDER} {PLACE}/incoming {STATE}; sync; umount -l {PLACE};"
            " dmsetup remove --retry footage || dmsetup remove --force footage",
            check=False,
        )
        station.configure(settings())
        station.wait_ready()


def _table(station: Station, kind: str) -> None:
    """From now on the disk behaves like this, also for what is mounted."""
    station.machine.run(
        f"dmsetup suspend --noflush --nolockfs footage;"
        f" echo 0 $(blockdev --getsz {DISK}) {kind} | dmsetup load footage;"
        " dmsetup resume footage"
    )


def failing(station: Station) -> Iterator[tuple[str, str]]:
    """Every read and write of the footage disk fails, so ext4 makes it read-only; then it is
    mended, as after a loose cable."""
    with _own_disk(station):
        machine = station.machine
        before = begin(station, ORDERS[0])
        since = station.now()
        _table(station, "error")
        alarm = heard(station, since, 20)
        time.sleep(5)
        _, said = machine.status_of("recorderd status")
        require("FAULT" in said, f"recorderd status says {said}")
        station.camera(f"show {BENCH}")
        _table(station, f"linear {DISK} 0")
        # The mount stays read-only until a person has the disk checked.
        machine.run(
            f"umount -l {PLACE}; fsck.ext4 -p {MAPPED}; test $? -le 2; mount {MAPPED} {PLACE}"
        )
        station.wait_mended(120)
        # Within a minute the order would have gone on.
        station.press()
        station.wait_ready()
        rows = station.ended_rows("ended", 120)[before:]
        for row in rows:
            if row["part"] == 1 or row["state"] != "lost":
                station.pictures(row, damaged=True)
        station.check_all()
        yield (
            "the footage disk fails, is checked and mounted again",
            (f"alarm after {alarm:.1f} s; ready by itself; the video plays ({rows[0]['state']})"),
        )


def taken_away(station: Station) -> Iterator[tuple[str, str]]:
    """The footage disk is unmounted while nothing is recorded."""
    with _own_disk(station):
        machine = station.machine
        since = station.now()
        machine.run(f"umount -l {PLACE}")
        alarm = heard(station, since, 20)
        _, said = machine.status_of("recorderd status")
        require("mount" in said, f"recorderd status says {said}")
        station.camera(f"show {ORDERS[1]}")
        time.sleep(4)
        station.camera(f"show {BENCH}")
        require(station.status().get("phase") != "recording", "it records onto the wrong disk")
        machine.run(f"test -z \"$(find {PLACE} -name '*.mp4')\"")
        # As a station that is switched on without its disk.
        machine.run("systemctl restart recorderd")
        require("storage" in station.status()["faults"], "it does not miss its disk")
        machine.run(f"mount {MAPPED} {PLACE}")
        station.wait_ready()
        record(station, ORDERS[1], 2.0)
        station.pictures(station.rows()[-1])
        yield (
            "the footage disk is unmounted, an order shown, the service restarted",
            (f"alarm after {alarm:.1f} s, nothing is written elsewhere; mounted again it records"),
        )


def read_only(station: Station) -> Iterator[tuple[str, str]]:
    """The kernel makes every disk read-only while an order is recorded, as after an I/O error."""
    machine = station.machine
    before = begin(station, ORDERS[2])
    since = station.now()
    machine.run("echo 1 > /proc/sys/kernel/sysrq; echo u > /proc/sysrq-trigger")
    alarm = heard(station, since, 20)
    time.sleep(3)
    machine.run("mount -o remount,rw /")
    station.wait_mended(120)
    rows = end(station, before)
    yield (
        "every disk becomes read-only while it records, then writable",
        (f"alarm after {alarm:.1f} s; goes on by itself; {len(rows)} video(s), all play"),
    )
