"""What a camera delivers: compressed (or raw) pictures with honest capture times."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

from recorderd.core.model import Nanoseconds

INTRA_ONLY_CODECS = frozenset({"mjpeg", "rawvideo"})
"""Codecs whose every picture can be decoded alone."""


@dataclass(frozen=True, slots=True)
class StreamDescription:
    """What a source really delivers, found out after opening it.

    `codec` is FFmpeg's decoder name ("mjpeg", "h264", "hevc", "rawvideo"), `pixel_format`
    FFmpeg's name ("yuvj420p"), `rate` the nominal pictures a second. `full_range` is True
    for 0..255 luma. `extradata` is the codec's out-of-band header, often empty.
    """

    codec: str
    width: int
    height: int
    rate: Fraction
    pixel_format: str
    full_range: bool
    extradata: bytes = b""

    @property
    def intra_only(self) -> bool:
        return self.codec in INTRA_ONLY_CODECS


@dataclass(frozen=True, slots=True)
class SourcePacket:
    """One compressed picture as the camera sent it; `data` belongs to us (a copy).

    `captured_ns` is when the picture was taken, `decode_ns` its place in decoding order
    (equal without B-frames); both on CLOCK_MONOTONIC. Empty `data` is a damaged buffer.
    `missed` pictures never came, as far as is known: all were taken before `missed_before_ns`,
    which may be some pictures ago.
    """

    data: bytes
    captured_ns: Nanoseconds
    decode_ns: Nanoseconds
    keyframe: bool
    missed: int = 0
    missed_before_ns: Nanoseconds = 0


@dataclass(frozen=True, slots=True)
class Packet:
    """A checked picture in the packet buffer; `sequence` counts up by one without gaps.

    `missed` pictures never came, or came damaged: all were taken before `missed_before_ns`,
    which may be some pictures ago.
    """

    sequence: int
    data: bytes
    captured_ns: Nanoseconds
    decode_ns: Nanoseconds
    keyframe: bool
    missed: int = 0
    missed_before_ns: Nanoseconds = 0


class Source(Protocol):
    """A camera, or what stands in for one. Used by one thread, but for `interrupt`.

    A source is opened once; after an error or the end it is closed and a new one made.
    """

    def open(self) -> StreamDescription:
        """Start delivering. Raises DeviceError, also when size or rate are not as asked."""

    def read(self) -> SourcePacket | None:
        """Wait for the next picture; None at the clean end. Raises DeviceError when lost."""

    def interrupt(self) -> None:
        """Make a waiting `read` return soon, as far as the driver allows. Any thread."""

    def close(self) -> None:
        """Let go of the device; safe to call twice and after any error."""
