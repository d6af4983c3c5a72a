"""Whether a recording's encoder holds the camera's rate; told before pictures are lost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from recorderd.core.model import NANOSECONDS_PER_SECOND, Nanoseconds, nanoseconds
from recorderd.engine.packet_buffer import PacketBuffer, PacketReader
from recorderd.engine.pipelines import Pipeline
from recorderd.errors import DeviceError

LONG_ENOUGH: Final = nanoseconds(60)
"""A recording that lasted so long shows that its encoder holds the camera's rate."""

_SHARE_OF_MEMORY: Final = 0.5
"""Of what was free at the start; what is left has to last until the next part has begun."""

_LITTLE: Final = 0.05
"""Of the free memory: what waits now and then with an encoder that is fast enough."""

_BUSY: Final = 0.8
"""Of the time. A recording that waits for its disk is late, too, and no other encoder helps."""

_LONG_ENOUGH_TO_JUDGE: Final = nanoseconds(1)

_SLOWEST: Final = 0.1
"""Pictures a second."""


class EncoderJudge(Protocol):
    """Hears from recordings what their encoder did at work. Called on their threads."""

    def failed(self, encoder: str, reason: str) -> None:
        """It does not work any more."""

    def fell_behind(self, encoder: str, pictures_per_second: float) -> None:
        """It is slower than the camera."""

    def kept_up(self, encoder: str) -> None:
        """It held the camera's rate for a long time."""


class EncoderTooSlowError(DeviceError):
    """The encoder falls behind; `pictures_per_second` is what it does."""

    def __init__(self, encoder: str, pictures_per_second: float) -> None:
        super().__init__(
            f"The encoder {encoder} does only {pictures_per_second:.0f} pictures a second "
            "and falls behind the camera",
            "Recording goes on without it for some time; if this comes again, set a lower "
            "camera.rate or a smaller recording.size",
        )
        self.pictures_per_second = pictures_per_second


@dataclass(frozen=True, slots=True)
class _Mark:
    """How far everything was at one moment."""

    moment_ns: Nanoseconds
    encoding_ns: Nanoseconds
    frames: int


class KeepingUp:
    """Watches one recording. Used by its thread.

    The encoder is judged by what it did since it began to fall behind: a good hour before says
    nothing of a processor that has become hot.
    """

    def __init__(
        self,
        encoder: str,
        reader: PacketReader,
        buffer: PacketBuffer,
        clock: Callable[[], Nanoseconds],
    ) -> None:
        self._encoder = encoder
        self._reader = reader
        self._buffer = buffer
        self._clock = clock
        self._lost = reader.lost
        free_bytes = buffer.free_bytes
        self._too_little_bytes = _SHARE_OF_MEMORY * free_bytes
        # It begins late by the whole pre-roll, which is no fault of the encoder.
        self._harmless_bytes = max(float(reader.waiting_bytes), _LITTLE * free_bytes)
        self._since = _Mark(clock(), 0, 0)

    def check(self, pipeline: Pipeline) -> None:
        """Raises EncoderTooSlowError once so many pictures wait that some may soon be lost."""
        now = _Mark(self._clock(), pipeline.encoding_ns, pipeline.frames)
        loses = self._reader.lost > self._lost
        if not loses and self._reader.waiting_bytes <= self._harmless_bytes:
            self._since = now
            return
        if not loses and self._buffer.free_bytes >= self._too_little_bytes:
            return
        took_ns = now.moment_ns - self._since.moment_ns
        if took_ns < _LONG_ENOUGH_TO_JUDGE:
            return
        busy_ns = now.encoding_ns - self._since.encoding_ns
        if busy_ns < _BUSY * took_ns:
            # Something else was slow: what was lost by that is not held against the encoder later.
            self._lost, self._since = self._reader.lost, now
            return
        frames = now.frames - self._since.frames
        rate = max(_SLOWEST, frames * NANOSECONDS_PER_SECOND / max(busy_ns, 1))
        raise EncoderTooSlowError(self._encoder, rate)
