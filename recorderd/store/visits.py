"""Who looked at which recording: written down by the web server, taken in by the finisher.

The web server must never hold the catalogue's write lock, for the station's writer would have
to wait for it. So it appends lines to a file, and the finisher brings them into the event log
while nothing is being recorded. After a crash in between an entry may appear twice, but none
is lost.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Final

from recorderd.core.model import RecordingId
from recorderd.store.catalogue import Catalogue
from recorderd.store.records import ClockReading
from recorderd.store.schema import microseconds

LARGEST_BYTES: Final = 16_000_000
"""More than this is not kept waiting: some 100 000 entries."""


@dataclass(frozen=True, slots=True)
class Visit:
    """One look at a recording: `event` is "view" or "download", `detail` says from where.

    By what it is dated is not known of those that an older recorderd wrote down.
    """

    at_us: int
    event: str
    recording_id: str
    detail: str
    boot_id: str | None = None
    monotonic_ns: int | None = None
    clock: str | None = None


def write_down(
    file: Path, event: str, recording_id: str, detail: str, reading: ClockReading
) -> None:
    """Append a visit that happens now. Any thread. Raises OSError."""
    at_us = microseconds(datetime.now(UTC))
    visit = Visit(at_us, event, recording_id, detail, **asdict(reading))
    line = json.dumps(asdict(visit))
    with _locked(file, "a") as opened:
        if os.fstat(opened.fileno()).st_size < LARGEST_BYTES:
            opened.write(line + "\n")


def take_in(file: Path, catalogue: Catalogue) -> int:
    """Bring all that was written down into the event log; returns how many entries.

    Raises CatalogueError, and then nothing was taken; OSError.
    """
    taken = file.with_suffix(".taken")
    if not taken.exists():
        if not file.exists():
            return 0
        with _locked(file, "r"):
            file.rename(taken)
    visits = list(_visits(taken))
    with catalogue.transaction() as tables:
        for visit in visits:
            tables.events.insert(
                at=visit.at_us,
                station=catalogue.station,
                event=visit.event,
                detail=visit.detail,
                recording_id=RecordingId(visit.recording_id),
                boot_id=visit.boot_id,
                monotonic_ns=visit.monotonic_ns,
                clock=visit.clock,
            ).execute()
    taken.unlink()
    return len(visits)


def _visits(file: Path) -> Iterator[Visit]:
    """What a file holds; a line that a power cut left half written is passed over."""
    with file.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            try:
                visit = Visit(**json.loads(line))
            except (ValueError, TypeError):
                continue
            if isinstance(visit.at_us, int):
                yield visit


@contextmanager
def _locked(file: Path, mode: str) -> Iterator[IO[str]]:
    """Open the file for this process alone; whoever renames it does so under the lock."""
    while True:
        with file.open(mode, encoding="utf-8") as opened:
            fcntl.flock(opened, fcntl.LOCK_EX)
            try:
                current = os.stat(file)  # noqa: PTH116 - compared with fstat
            except FileNotFoundError:
                continue
            if os.path.samestat(current, os.fstat(opened.fileno())):
                yield opened
                return
