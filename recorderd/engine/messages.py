"""What station and engine say to each other, as plain data over one connection.

The engine also sends the station's own events (`core.events`): FrameScanned, FaultRaised and
FaultCleared for the camera and the scanner, RecordingInterrupted, RecordingFailed, SourceEnded.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from recorderd.core.events import (
    FaultCleared,
    FaultRaised,
    FrameScanned,
    RecordingFailed,
    RecordingInterrupted,
    SourceEnded,
)
from recorderd.core.model import Nanoseconds, RecordingId
from recorderd.engine.histogram import NO_SCANS, Histogram
from recorderd.settings import Settings
from recorderd.store.footage import RecordingFiles


@dataclass(frozen=True, slots=True)
class Hello:
    """The first message to a new engine: what it needs to know.

    `started_ns` is the station's own start, so that a simulated bench goes on where it would be
    by now. `demoted` maps encoders that failed in earlier engines, or with which these died, to
    what was seen.
    """

    settings: Settings
    started_ns: Nanoseconds
    demoted: dict[str, str]


@dataclass(frozen=True, slots=True)
class Start:
    """Write pictures captured from `from_ns` on into `files.incoming_video`."""

    recording_id: RecordingId
    files: RecordingFiles
    tags: dict[str, str]
    from_ns: Nanoseconds
    label_sequence: int | None
    wall_offset_ns: Nanoseconds
    """UTC since 1970 minus CLOCK_MONOTONIC, by which the row is dated; the file's clock follows
    it to its end, however the system's clock is set meanwhile."""


@dataclass(frozen=True, slots=True)
class Stop:
    """The last picture is the last one captured before `at_ns`; then close and publish."""

    recording_id: RecordingId
    at_ns: Nanoseconds


@dataclass(frozen=True, slots=True)
class Salvage:
    """Make the best of what a crash left of this recording, and publish it."""

    recording_id: RecordingId
    files: RecordingFiles


@dataclass(frozen=True, slots=True)
class Verify:
    """Open the published file again and check it against what is known."""

    recording_id: RecordingId
    files: RecordingFiles
    frames: int
    duration_ns: Nanoseconds


@dataclass(frozen=True, slots=True)
class Inspect:
    """Read the tags of a video in the incoming folder that no row is known for."""

    path: Path


@dataclass(frozen=True, slots=True)
class SetAside:
    """Nothing of this recording plays: move its files to where such files are kept."""

    recording_id: RecordingId
    files: RecordingFiles


@dataclass(frozen=True, slots=True)
class Leave:
    """Close everything and end."""


Command: TypeAlias = Hello | Start | Stop | Salvage | Verify | Inspect | SetAside | Leave


@dataclass(frozen=True, slots=True)
class RecordingProgress:
    """`written_ns` is the capture time of the newest picture that is in the file.

    `waiting` pictures lie in the packet buffer and were not taken by the recording yet.
    """

    recording_id: RecordingId
    frames: int
    dropped: int
    written_ns: Nanoseconds
    waiting: int = 0


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Sent several times a second; its absence means that the engine hangs.

    All is counted since the engine's start. `scans` are tried ones; `scan_latency` has those
    that gave an answer, from the capture of the picture on; `scan_seconds` is the time that
    all of them took in the scanner. `reports_waiting` were not yet sent to the station.
    """

    sent_ns: Nanoseconds
    pictures: int
    damaged: int
    scans: int
    scanner_deaths: int
    scan_seconds: float
    buffer_bytes: int
    recordings: tuple[RecordingProgress, ...]
    buffer_pictures: int = 0
    reports_waiting: int = 0
    scan_latency: Histogram = NO_SCANS


@dataclass(frozen=True, slots=True)
class StreamOpened:
    """The camera delivers, and this is how recordings are made from it."""

    codec: str
    width: int
    height: int
    rate: float
    pixel_format: str
    mode: str
    encoder: str
    reason: str


@dataclass(frozen=True, slots=True)
class EncoderFailed:
    """It failed at work: no later engine is to use it either."""

    encoder: str
    reason: str


@dataclass(frozen=True, slots=True)
class Captured:
    """The file is closed, synced, in its final place, and both folders are synced.

    `unwritten_ns` lies between its last picture and the moment at which it was last written to:
    0 for a file that was closed, None where that is not known.
    """

    recording_id: RecordingId
    bytes: int
    frames: int
    dropped: int
    first_ns: Nanoseconds
    duration_ns: Nanoseconds
    codec: str
    encoder: str
    mode: str
    width: int
    height: int
    recovered: bool
    unwritten_ns: Nanoseconds | None = 0


@dataclass(frozen=True, slots=True)
class Verified:
    """The published file was opened and checked; `problem` is None if all is well."""

    recording_id: RecordingId
    problem: str | None


@dataclass(frozen=True, slots=True)
class NothingLeft:
    """A crash left no picture of this recording that could be saved."""

    recording_id: RecordingId
    problem: str


@dataclass(frozen=True, slots=True)
class FilesSetAside:
    """What there was of a lost recording lies out of the way; `files` tells of each, in words."""

    recording_id: RecordingId
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SalvagePostponed:
    """The disk does not let itself be used now: ask again when it does."""

    recording_id: RecordingId
    problem: str


@dataclass(frozen=True, slots=True)
class Inspected:
    """What a video says about itself; no tags if it cannot be read."""

    path: Path
    tags: dict[str, str]


Report: TypeAlias = (
    Heartbeat
    | StreamOpened
    | EncoderFailed
    | Captured
    | Verified
    | NothingLeft
    | FilesSetAside
    | SalvagePostponed
    | Inspected
    | FrameScanned
    | FaultRaised
    | FaultCleared
    | RecordingInterrupted
    | RecordingFailed
    | SourceEnded
)
