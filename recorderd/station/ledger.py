"""What is on its way: each recording from the decision to record it to its saved row."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from recorderd.core.model import Mode, Nanoseconds, Order, RecordingId, StopReason
from recorderd.engine.messages import Captured
from recorderd.settings import Settings
from recorderd.store.catalogue import CapturedFile, Unfinished
from recorderd.store.footage import RecordingFiles, files_for, stored_path


class Stage(Enum):
    """How far a recording has come."""

    WRITING = "writing"
    SALVAGING = "salvaging"
    IN_PLACE = "in place"


@dataclass(slots=True)
class Entry:
    """One recording that is not saved yet. Owned by the station's main thread.

    `started_at` and `monotonic_ns` name the same moment.
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
    captured: Captured | None = None

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
        )


def entry_after_power_cut(row: Unfinished, settings: Settings) -> Entry:
    """A recording that an earlier run of the station left unfinished."""
    files = files_for(settings, row.id, row.order.order_id, row.started_at)
    return Entry(
        recording_id=row.id,
        order=row.order,
        part=row.part,
        files=files,
        started_at=row.started_at,
        monotonic_ns=row.monotonic_ns,
        stage=Stage.SALVAGING,
        stop_reason=StopReason.POWER_LOST,
        recovered=True,
    )
