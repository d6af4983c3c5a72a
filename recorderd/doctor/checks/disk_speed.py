"""Whether the disk takes what a recording writes, with something to spare."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

from recorderd.core.model import Mode
from recorderd.doctor.check import Finding, bad, good, skipped, warning
from recorderd.doctor.examination import Examination
from recorderd.errors import RecorderdError

_MOST_BYTES = 256_000_000
_MOST_SECONDS = 3.0
_BLOCK = bytes(4_000_000)
_COMFORTABLE, _NEEDED = 3.0, 1.3
_SLOW_SYNC_SECONDS = 2.0
_SHARE_OF_FREE = 0.1


class DiskSpeedCheck:
    name = "disk speed"
    limit_seconds = 10.0
    slow = True

    def look(self, examination: Examination, /) -> Finding:
        settings = examination.settings
        if examination.at_work:
            return skipped("an order is being recorded: the disk is left alone")
        folder = examination.footage_place
        room = examination.free_bytes - settings.storage.reserve_megabytes * 1e6
        limit = int(min(_MOST_BYTES, room * _SHARE_OF_FREE))
        if limit < len(_BLOCK):
            return skipped("there is too little room to try it")
        speed, slowest = measured(folder, limit)
        needed, why = bytes_per_second(examination)
        facts = (
            ("needed", f"{needed / 1e6:.1f} MB a second, {why}"),
            ("slowest sync", f"{slowest:.2f} seconds"),
        )
        said = f"{speed / 1e6:.0f} MB a second, {needed / 1e6:.1f} are needed"
        if speed < needed * _NEEDED:
            return bad(said, "Use a faster disk (an SSD over USB 3), or lower camera.rate", *facts)
        if slowest > _SLOW_SYNC_SECONDS:
            return warning(
                f"{said}, but it once took {slowest:.1f} seconds to answer",
                "Use another disk: this one may be worn out",
                *facts,
            )
        if speed < needed * _COMFORTABLE:
            return warning(f"{said}: little to spare", "Use a faster disk", *facts)
        return good(said, *facts)


def measured(folder: Path, limit_bytes: int) -> tuple[float, float]:
    """(bytes a second, seconds of the slowest sync), as a recording writes. Raises OSError.

    The file has no name (O_TMPFILE, open(2)): nothing is left, even if the plug is pulled. Where
    the file system has no such files, it loses its name at once.
    """
    descriptor = _nameless(folder)
    try:
        began = time.perf_counter()
        written, slowest = 0, 0.0
        while written < limit_bytes and time.perf_counter() - began < _MOST_SECONDS:
            written += os.write(descriptor, _BLOCK)
            asked = time.perf_counter()
            os.fdatasync(descriptor)
            slowest = max(slowest, time.perf_counter() - asked)
        return written / (time.perf_counter() - began), slowest
    finally:
        os.close(descriptor)


def _nameless(folder: Path) -> int:
    with suppress(OSError):
        return os.open(folder, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    path = folder / f".recorderd-speed-{os.getpid()}"
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    path.unlink()
    return descriptor


def bytes_per_second(examination: Examination) -> tuple[float, str]:
    """What a recording writes, and how that is known."""
    encoded = examination.settings.recording.megabits_per_second * 1e6 / 8
    set_so = "by recording.megabits_per_second"
    if not examination.has_picture:  # To try encoders would take too long, for nothing.
        return encoded, set_so
    try:
        copied = examination.mode.mode in (Mode.COPY, Mode.DEFER)
        sent = examination.camera.bytes_per_second
    except RecorderdError:
        copied, sent = False, 0.0
    if copied and sent:
        return sent, "as the camera sends it"
    return encoded, set_so
