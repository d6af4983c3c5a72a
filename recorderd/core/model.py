"""The words of the station: what is recorded, why it stops, what a code is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NewType, TypeAlias

Nanoseconds: TypeAlias = int
"""A moment or a length on CLOCK_MONOTONIC, in nanoseconds."""

RecordingId = NewType("RecordingId", str)
"""A UUIDv7 (RFC 9562) in its usual text form."""

NANOSECONDS_PER_SECOND = 1_000_000_000


def nanoseconds(seconds: float) -> Nanoseconds:
    """Turn seconds, as written in the configuration, into whole nanoseconds."""
    return round(seconds * NANOSECONDS_PER_SECOND)


class Symbology(StrEnum):
    """Kinds of codes the scanner may report, plus text typed by a hand scanner."""

    QR = "qr"
    CODE_128 = "code128"
    HAND_SCANNER = "hand-scanner"


@dataclass(frozen=True, slots=True)
class Code:
    """A code as it was read: the exact text and where it lay in the picture.

    `corners` are four (x, y) points as fractions of the picture's width and height,
    in no promised order; empty for a hand scanner.
    """

    text: str
    symbology: Symbology
    corners: tuple[tuple[float, float], ...] = ()

    @property
    def centre(self) -> tuple[float, float] | None:
        """The middle of the code as fractions of the picture, None where it is not known."""
        if not self.corners:
            return None
        count = len(self.corners)
        return (sum(x for x, _ in self.corners) / count, sum(y for _, y in self.corners) / count)


@dataclass(frozen=True, slots=True)
class Order:
    """What a recording belongs to: the order id, and the label's text exactly as read."""

    order_id: str
    label_text: str
    symbology: Symbology


class RecordingState(StrEnum):
    """The life of a recording, in the catalogue's words.

    RECORDING until the file is closed, CAPTURED once it lies in its final place, then
    SAVED when verified, RECOVERED when it was put together after a crash, DAMAGED when
    verification failed (the file is kept), LOST when nothing was left to keep.
    DELETING and DELETED belong to retention.
    """

    RECORDING = "recording"
    CAPTURED = "captured"
    SAVED = "saved"
    RECOVERED = "recovered"
    DAMAGED = "damaged"
    LOST = "lost"
    DELETING = "deleting"
    DELETED = "deleted"


class StopReason(StrEnum):
    """Why a recording ended, as stored with it and shown to staff."""

    LABEL = "label"
    OTHER_LABEL = "other-label"
    PEDAL = "pedal"
    STOP_CARD = "stop-card"
    VOID_CARD = "void-card"
    END_OF_SHIFT = "end-of-shift"
    TIME_LIMIT = "time-limit"
    CAMERA_LOST = "camera-lost"
    ENGINE_LOST = "engine-lost"
    ENCODER_FAILED = "encoder-failed"
    ENCODER_TOO_SLOW = "encoder-too-slow"
    DISK_FULL = "disk-full"
    STORAGE_LOST = "storage-lost"
    SOURCE_ENDED = "source-ended"
    SHUTDOWN = "shutdown"
    POWER_LOST = "power-lost"


class Mode(StrEnum):
    """How camera pictures become a file (design: capture modes)."""

    COPY = "copy"
    ENCODE = "encode"
    DEFER = "defer"


class OtherLabel(StrEnum):
    """What another order's label does while recording."""

    SWITCH = "switch"
    STOP = "stop"
    REFUSE = "refuse"


class SameLabel(StrEnum):
    """What the recording order's own label does when it is shown again."""

    STOP = "stop"
    IGNORE = "ignore"


class Fault(StrEnum):
    """What can be wrong with the station; several may be at once."""

    ENGINE = "engine"
    CAMERA = "camera"
    STORAGE = "storage"
    DISK_SPACE = "disk-space"
    CATALOGUE = "catalogue"
    PANEL = "panel"
    PEDAL_STUCK = "pedal-stuck"
    SCANNER = "scanner"
    WRITING = "writing"


BLOCKING_FAULTS = frozenset({Fault.ENGINE, Fault.CAMERA, Fault.STORAGE, Fault.DISK_SPACE})
"""Faults with which no picture can reach the disk; the others are signalled only."""
