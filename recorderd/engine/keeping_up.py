"""Whether a recording's encoder holds the camera's rate; told before pictures are lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from recorderd.core.model import NANOSECONDS_PER_SECOND, Nanoseconds, nanoseconds
from recorderd.engine.packet_buffer import PacketBuffer, PacketReader
from recorderd.engine.pipelines import Pipeline
from recorderd.errors import DeviceError

LONG_ENOUGH: Final = nanoseconds(60)
"""A recording that lasted so long shows that its encoder holds the camera's rate."""

_SHARE_OF_MEMORY: Final = 0.5
"""Of what was free at the start; the rest has to last until the next part has begun."""

_BUSY: Final = 0.8
"""Of the time. A recording that waits for its disk is late, too, and no other encoder helps."""


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


class KeepingUp:
    """Watches one recording. Used by its thread."""

    def __init__(
        self,
        encoder: str,
        reader: PacketReader,
        buffer: PacketBuffer,
        clock: Callable[[], Nanoseconds],
    ) -> None:
        self._encoder = encoder
        self._reader = reader
        self._clock = clock
        self._began_ns = clock()
        # It begins late by the whole pre-roll, which is no fault of the encoder.
        self._patience_bytes = reader.waiting_bytes + round(_SHARE_OF_MEMORY * buffer.free_bytes)

    def check(self, pipeline: Pipeline) -> None:
        """Raises EncoderTooSlowError once so many pictures wait that some may soon be lost."""
        if self._reader.waiting_bytes <= self._patience_bytes or not pipeline.frames:
            return
        busy_ns = pipeline.encoding_ns
        if busy_ns < _BUSY * (self._clock() - self._began_ns):
            return
        rate = pipeline.frames * NANOSECONDS_PER_SECOND / max(busy_ns, 1)
        raise EncoderTooSlowError(self._encoder, rate)
