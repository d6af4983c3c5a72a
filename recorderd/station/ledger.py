"""What is on its way: each recording from the decision to record it to its saved row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from recorderd.core.model import (
    Mode,
    Nanoseconds,
    Order,
    RecordingId,
    RecordingState,
    StopReason,
    nanoseconds,
)
from recorderd.engine.messages import Captured
from recorderd.settings import Settings
from recorderd.store.catalogue import CapturedFile, Unfinished
from recorderd.store.footage import RecordingFiles, files_at, stored_path


class Stage(Enum):
    """How far a recording has come."""

    WRITING = "writing"
    SALVAGING = "salvaging"
    IN_PLACE = "in place"
    GIVEN_UP = "given up"
    """Nothing of it plays: what there is has to be set aside yet."""
    DECIDED = "decided"
    """Verified, damaged or lost: only its row has to be written yet."""


@dataclass(frozen=True, slots=True)
class BadNews:
    """Nothing is left of a recording (`lost`), or its file is not what it should be.

    Believed once the disk was found to be there after it came, for a disk that is just being
    lost brings the same news of files that are whole.
    """

    problem: str
    lost: bool
    believed_after_looks: int


@dataclass(slots=True)
class Entry:
    """One recording that is not saved yet. Owned by the station's main thread.

    `started_at` and `monotonic_ns` name the same moment. `frames` and `duration_ns` are those
    of the file, known once it is in place. `asked`: the engine has been told what is left to
    be done. `problem`: why it was given up. It was `postponed` so many times
    while the disk was there, and is looked at again after so many good looks at the disk.
    """

    recording_id: RecordingId
    order: Order
    part: int
    files: RecordingFiles
    started_at: datetime
    monotonic_ns: Nanoseconds
    stage: Stage = Stage.WRITING
    stop_reason: StopReason | None = None
    recovered: bool = False
    frames: int = 0
    duration_ns: Nanoseconds = 0
    asked: bool = False
    bad_news: BadNews | None = None
    problem: str = ""
    postponed: int = 0
    again_after_looks: int = 0

    def put_in_place(self, frames: int, duration_ns: Nanoseconds) -> None:
        """The file lies where it is to stay; it only has to be verified."""
        self.stage = Stage.IN_PLACE
        self.frames, self.duration_ns = frames, duration_ns

    def file_facts(self, captured: Captured, settings: Settings) -> CapturedFile:
        """The engine's report in the catalogue's terms; times are those of the first picture."""
        lead = captured.first_ns - self.monotonic_ns if captured.first_ns else 0
        started_at = self.started_at + timedelta(microseconds=lead // 1000)
        length = timedelta(microseconds=captured.duration_ns // 1000)
        return CapturedFile(
            path=stored_path(settings, self.files.video),
            bytes=captured.bytes,
            frames=captured.frames,
            dropped=captured.dropped,
            duration_ms=round(captured.duration_ns / 1e6),
            started_at=started_at,
            ended_at=started_at + length,
            codec=captured.codec,
            encoder=captured.encoder,
            mode=Mode(captured.mode) if captured.mode else Mode.COPY,
            width=captured.width,
            height=captured.height,
            stop_reason=self.stop_reason or StopReason.POWER_LOST,
            recovered=captured.recovered or self.recovered,
            missing_ms=missing_ms(captured.unwritten_ns, settings.recording.sync_seconds),
            first_ns=captured.first_ns or self.monotonic_ns,
        )


def missing_ms(unwritten_ns: Nanoseconds | None, sync_seconds: float) -> int | None:
    """The most that can be missing at a file's end; None if nobody can say.

    A file is written to and synced at least every `sync_seconds`: so long after the last write
    that reached the disk the crash came, at the latest.
    """
    if not unwritten_ns:
        return unwritten_ns
    return round(unwritten_ns / 1e6 + sync_seconds * 1000)


def why_lost(problem: str, set_aside: Sequence[str]) -> str:
    """What the row of a lost recording says: where its files are, or, without any, the problem.

    Whoever goes on after an interruption finds no file where it was, but those set aside.
    """
    return f"nothing in it plays; set aside: {', '.join(set_aside)}" if set_aside else problem


def entry_after_power_cut(row: Unfinished, settings: Settings) -> Entry:
    """A recording that an earlier run of the station left unfinished.

    One whose file was in place already is as good as any other: it was only not verified.
    """
    entry = Entry(
        recording_id=row.id,
        order=row.order,
        part=row.part,
        files=files_at(settings, row.id, row.path),
        started_at=row.started_at,
        monotonic_ns=row.monotonic_ns,
        stage=Stage.SALVAGING,
        stop_reason=StopReason.POWER_LOST,
        recovered=True,
    )
    if row.state is RecordingState.CAPTURED:
        entry.recovered = row.recovered
        entry.put_in_place(row.frames or 0, nanoseconds((row.duration_ms or 0) / 1000))
    return entry
