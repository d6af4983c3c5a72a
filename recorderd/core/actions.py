"""What the station wants done. The machine decides; `station/` carries it out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from recorderd.core.model import Nanoseconds, Order, RecordingId, StopReason
from recorderd.core.signals import Signal


@dataclass(frozen=True, slots=True)
class StartRecording:
    """Record from `from_ns` on (as far back as the packet buffer reaches).

    `label_sequence` is the picture in which the label was read, None for a hand scanner
    or a later part. `continues` is the earlier part of the same take, if any.
    """

    recording_id: RecordingId
    order: Order
    part: int
    continues: RecordingId | None
    from_ns: Nanoseconds
    label_sequence: int | None


@dataclass(frozen=True, slots=True)
class StopRecording:
    """End the recording with the last picture captured before `at_ns`; close, check, save."""

    recording_id: RecordingId
    at_ns: Nanoseconds
    reason: StopReason


@dataclass(frozen=True, slots=True)
class FlagRecording:
    """The packer asks for this recording to be looked at."""

    recording_id: RecordingId


@dataclass(frozen=True, slots=True)
class VoidRecording:
    """The packer declares this recording void; it is kept."""

    recording_id: RecordingId


@dataclass(frozen=True, slots=True)
class ShowSignal:
    """Show a standing signal from now on."""

    signal: Signal


@dataclass(frozen=True, slots=True)
class PlaySignal:
    """Play a momentary signal once."""

    signal: Signal


@dataclass(frozen=True, slots=True)
class Note:
    """Write an entry into the event log and the journal."""

    event: str
    detail: str
    recording_id: RecordingId | None = None


@dataclass(frozen=True, slots=True)
class EndRun:
    """Everything is closed: the process may leave."""


Action: TypeAlias = (
    StartRecording
    | StopRecording
    | FlagRecording
    | VoidRecording
    | ShowSignal
    | PlaySignal
    | Note
    | EndRun
)
