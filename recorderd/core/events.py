"""What can happen to the station. Every event carries facts only, never a decision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from recorderd.core.model import Code, Fault, Nanoseconds, RecordingId, StopReason


@dataclass(frozen=True, slots=True)
class FrameScanned:
    """One picture was searched; `codes` is everything readable in it, often nothing.

    `sequence` names the picture in the engine's packet buffer.
    """

    captured_ns: Nanoseconds
    sequence: int
    codes: tuple[Code, ...]


@dataclass(frozen=True, slots=True)
class HandScanned:
    """A hand scanner typed a text and pressed Enter."""

    text: str


@dataclass(frozen=True, slots=True)
class PedalChanged:
    """The pedal's contact closed or opened; not debounced."""

    down: bool


@dataclass(frozen=True, slots=True)
class FaultRaised:
    """Something is wrong; may be repeated with a new text while it lasts."""

    fault: Fault
    problem: str


@dataclass(frozen=True, slots=True)
class FaultCleared:
    """The cause of a fault is gone (also sent for faults that were never raised)."""

    fault: Fault


@dataclass(frozen=True, slots=True)
class DiskMeasured:
    """Bytes an ordinary user may still write in the footage folder's file system."""

    free_bytes: int


@dataclass(frozen=True, slots=True)
class RecordingRegistered:
    """The catalogue has the new recording's row and knows how often the order was recorded."""

    recording_id: RecordingId
    take: int


@dataclass(frozen=True, slots=True)
class RecordingInterrupted:
    """The engine had to end a recording by itself; what was written is being closed.

    `resume_ns` is the capture time of the first picture that is not in the file.
    """

    recording_id: RecordingId
    reason: StopReason
    problem: str
    resume_ns: Nanoseconds


@dataclass(frozen=True, slots=True)
class RecordingFinished:
    """The promise holds: file closed, synced, in place, row committed, checked."""

    recording_id: RecordingId


@dataclass(frozen=True, slots=True)
class RecordingFailed:
    """The promise cannot be kept for this recording; `problem` says why."""

    recording_id: RecordingId
    problem: str


@dataclass(frozen=True, slots=True)
class PanelTestRequested:
    """A technician wants to see the lamps and to hear the buzzer."""


@dataclass(frozen=True, slots=True)
class SourceEnded:
    """A file source has played to its end."""


@dataclass(frozen=True, slots=True)
class ShutdownRequested:
    """The service is asked to stop: finish what is being recorded, then leave."""


@dataclass(frozen=True, slots=True)
class TimePassed:
    """Nothing happened, but a deadline may have come."""


Event: TypeAlias = (
    FrameScanned
    | HandScanned
    | PedalChanged
    | FaultRaised
    | FaultCleared
    | DiskMeasured
    | RecordingRegistered
    | RecordingInterrupted
    | RecordingFinished
    | RecordingFailed
    | PanelTestRequested
    | SourceEnded
    | ShutdownRequested
    | TimePassed
)
