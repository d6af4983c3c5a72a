"""What is told to the catalogue about a recording, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from recorderd.core.model import Mode, Nanoseconds, Order, RecordingId, RecordingState, StopReason

SYNCHRONISED: Final = "synchronised"
UNSYNCHRONISED: Final = "unsynchronised"
CORRECTED: Final = "corrected"
"""Whether a row's wall times can be trusted: the clock was set, was not, or was set later."""


@dataclass(frozen=True, slots=True)
class NewRecording:
    """A recording that begins. `path` is where its video will lie in the footage folder.

    `started_at` (aware) and `monotonic_ns` are the same moment on both clocks. `clock` is
    "synchronised" or "unsynchronised".
    """

    id: RecordingId
    order: Order
    part: int
    continues: RecordingId | None
    station: str
    path: str
    started_at: datetime
    monotonic_ns: Nanoseconds
    boot_id: str
    clock: str


@dataclass(frozen=True, slots=True)
class CapturedFile:
    """A closed video in its final place; `path` is relative to the footage folder.

    `started_at` is when its first picture was taken, by the same reading of the clocks as
    the registration, and `ended_at` lies the file's length later. `first_ns` is the same
    moment on the monotonic clock: it holds also when the row was dated anew meanwhile.
    `dropped` counts pictures that are missing from it. `recovered` is True if it was put
    together after a crash; `missing_ms` is how much is missing at its end then, at most, None
    if that is not known.
    """

    path: str
    bytes: int
    frames: int
    dropped: int
    duration_ms: int
    started_at: datetime
    ended_at: datetime
    codec: str
    encoder: str
    mode: Mode
    width: int
    height: int
    stop_reason: StopReason
    recovered: bool
    missing_ms: int | None = None
    first_ns: Nanoseconds | None = None


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A recording that was not brought to its end: RECORDING or CAPTURED.

    `frames` and `duration_ms` of its file are known once it is CAPTURED.
    """

    id: RecordingId
    order: Order
    take: int
    part: int
    continues: RecordingId | None
    state: RecordingState
    path: str
    started_at: datetime
    monotonic_ns: Nanoseconds
    boot_id: str
    recovered: bool
    frames: int | None
    duration_ms: int | None


@dataclass(frozen=True, slots=True)
class Failure:
    """A job that failed for a recording; without `retry_at` it is not tried again."""

    recording_id: RecordingId
    job: str
    tries: int
    at: datetime
    retry_at: datetime | None
    problem: str
    remedy: str


@dataclass(frozen=True, slots=True)
class ClockReading:
    """By what an event is dated, so that its time can be put right later.

    `clock` is "synchronised" or "unsynchronised".
    """

    boot_id: str
    monotonic_ns: Nanoseconds
    clock: str


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One entry for the event log. `at` is aware; `reading` is the same moment."""

    event: str
    detail: str
    recording_id: RecordingId | None
    at: datetime
    reading: ClockReading | None = None


@dataclass(frozen=True, slots=True)
class KnownTimes:
    """What the catalogue knows of time; all None in a new one.

    Of earlier boots of this station: `trusted_us` is the newest moment of a row whose clock was
    right, `newest_us` that of any row; microseconds since 1970. Of this boot: by which offset
    its newest row was dated, at which monotonic time, and whether the clock was right.
    """

    trusted_us: int | None = None
    newest_us: int | None = None
    boot_offset_ns: Nanoseconds | None = None
    boot_moment_ns: Nanoseconds | None = None
    boot_is_trusted: bool = False
