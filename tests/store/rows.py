"""Recordings to fill a catalogue with."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from recorderd.core.model import Mode, Order, RecordingId, StopReason, Symbology
from recorderd.store.catalogue import CapturedFile, NewRecording
from recorderd.store.identity import new_recording_id

START = datetime(2026, 7, 4, 12, 0, 0, 123456, tzinfo=UTC)
MONOTONIC_NS = 5_000_000_123_000


def new(
    order_id: str = "SO-1",
    *,
    label_text: str | None = None,
    recording_id: RecordingId | None = None,
    part: int = 1,
    continues: RecordingId | None = None,
    after: float = 0.0,
    clock: str = "synchronised",
    boot_id: str = "boot-1",
    path: str | None = None,
) -> NewRecording:
    recording_id = recording_id or new_recording_id()
    return NewRecording(
        id=recording_id,
        order=Order(order_id, order_id if label_text is None else label_text, Symbology.QR),
        part=part,
        continues=continues,
        station="bench-1",
        path=path or f"2026/07/04/x_{recording_id}.mp4",
        started_at=START + timedelta(seconds=after),
        monotonic_ns=MONOTONIC_NS + round(after * 1e9),
        boot_id=boot_id,
        clock=clock,
    )


def captured(
    of: NewRecording, *, recovered: bool = False, earlier: float = 3.0, seconds: float = 60.0
) -> CapturedFile:
    started_at = of.started_at - timedelta(seconds=earlier)
    return CapturedFile(
        path=of.path,
        bytes=123_456_789_012,
        frames=1800,
        dropped=0,
        duration_ms=round(seconds * 1000),
        started_at=started_at,
        ended_at=started_at + timedelta(seconds=seconds),
        codec="h264",
        encoder="libx264",
        mode=Mode.ENCODE,
        width=3840,
        height=2160,
        stop_reason=StopReason.LABEL,
        recovered=recovered,
        first_ns=of.monotonic_ns - round(earlier * 1e9),
    )
