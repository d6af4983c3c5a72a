"""The plug is pulled, again and again, while labels follow one another without a pause."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.vm.scenes import BENCH, BUSY, whole
from tests.vm.station import Station, require
from tests.vm.trials.trial import RATE, settings

RECOVERY_SECONDS = 120.0
PRE_ROLL_SECONDS, SYNC_SECONDS, GOP_SECONDS = 1.0, 1.0, 2.0
ENCODER_PICTURES = 12
"""So many may be inside the encoder: its threads each work on one, and it looks ahead."""
CLOCK_SECONDS = 0.3
"""How exactly host and machine agree about when the plug was pulled."""
MODES = ("auto", "defer")


def most_lost(mode: str) -> float:
    """Seconds that a power cut may cost, as recorderd/README.md says: what was not yet synced, a
    group of pictures or what the encoder holds, and the picture that was about to come."""
    encoded = GOP_SECONDS + PRE_ROLL_SECONDS + ENCODER_PICTURES / RATE
    return SYNC_SECONDS + (encoded if mode == "encode" else 1 / RATE) + 1 / RATE


def few(station: Station) -> Iterator[tuple[str, str]]:
    """So many that it is seen at all."""
    yield from _cuts(station, 4)


def many(station: Station) -> Iterator[tuple[str, str]]:
    """So many that they hit about everything."""
    yield from _cuts(station, 24)


def _cuts(station: Station, count: int) -> Iterator[tuple[str, str]]:
    chance = random.Random(count)
    for mode in MODES:
        configure_for_cuts(station, mode)
        lost: list[float] = []
        ready: list[float] = []
        recovered = 0
        for number in range(count // len(MODES)):
            row, gone = _one_cut(station, chance.uniform(0.2, 6.0), ready)
            require(
                gone <= most_lost(row["mode"] or "encode") + CLOCK_SECONDS,
                f"power cut {number + 1}, mode {row['mode']}: {gone:.1f} s of {row['id']} are gone",
            )
            lost.append(gone)
            recovered += row["state"] == "recovered"
        yield (
            f"{len(lost)} power cuts while recording, mode {row['mode']}",
            (
                f"all videos play, {recovered} were repaired; lost {min(lost):.1f} to"
                f" {max(lost):.1f} s; green at most {max(ready):.0f} s after the boot"
            ),
        )
    station.configure(settings())
    station.camera(f"show {BENCH}")
    station.wait_ready()


def configure_for_cuts(station: Station, mode: str) -> None:
    """Labels may follow one another quickly, and little is filmed before a label is read."""
    recording = {"mode": mode, "pre_roll_seconds": PRE_ROLL_SECONDS}
    station.configure(
        settings(
            recording=recording,
            labels={"rearm_seconds": 0.5},
        )
    )


def _one_cut(
    station: Station, seconds: float, ready: list[float]
) -> tuple[Mapping[str, Any], float]:
    """Cut the power after so many seconds of recording, boot, and look at everything.

    Returns the recording that was cut off, and how many seconds of it are gone.
    """
    machine = station.machine
    station.camera(f"show {BUSY}")
    station.wait_until(lambda status: status.get("phase") == "recording", "recording")
    boot = machine.run("cat /proc/sys/kernel/random/boot_id").strip()
    inside, outside = station.now(), time.monotonic()
    time.sleep(seconds)
    machine.power_cut()
    cut_at = inside + time.monotonic() - outside

    machine.boot()
    ready.append(station.wait_ready(RECOVERY_SECONDS))
    station.ended_rows("recovered", RECOVERY_SECONDS)
    complaints = machine.run("dmesg | grep -E 'EXT4-fs (error|warning)' || true")
    require(not complaints, f"the file system says: {complaints}")
    station.check_all()
    rows = [row for row in station.rows() if row["boot_id"] == boot]
    require(rows, "nothing of what was recorded before the power cut is known")
    plays = kept_of(rows, cut_at)
    if not plays:
        return rows[0], cut_at - rows[0]["monotonic_ns"] / 1e9
    for row in plays[-3:-1]:
        shown = station.pictures(row)
        require(whole(shown) == len(shown), f"{row['id']}: pictures are missing: {shown}")
    last = plays[-1]
    intact = whole(station.pictures(last, damaged=True))
    return last, max(0.0, cut_at - (last["monotonic_ns"] / 1e9 + intact / RATE))


def kept_of(rows: Sequence[Mapping[str, Any]], cut_at: float) -> list[Mapping[str, Any]]:
    """Those recordings that play. Only what began just before the cut may be lost altogether.
    Raises BrokenPromiseError."""
    for row in rows:
        age = cut_at - row["monotonic_ns"] / 1e9
        require(
            row["state"] in ("saved", "recovered")
            or (row["state"] == "lost" and age < most_lost(row["mode"] or "encode")),
            f"{row['id']}, begun {age:.1f} s before the end, is {row['state']}: {row}",
        )
    return [row for row in rows if row["state"] != "lost"]
