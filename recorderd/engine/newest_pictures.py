"""Pictures for the scanner, of cameras whose every picture stands alone (MJPEG)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import av

from recorderd.core.model import Nanoseconds
from recorderd.engine.decoding import decoder_for
from recorderd.engine.native_packet import native_packet
from recorderd.engine.packets import Packet
from recorderd.engine.session import Session


class ScanPictures(Protocol):
    """Gives the scan feed the newest picture. Used by its thread."""

    decoding_ns: Nanoseconds
    """What decoding the last picture took here."""

    def next(self) -> tuple[Packet, av.VideoFrame] | None:
        """The newest picture there is, None if none came within a tenth of a second."""

    def close(self) -> None:
        """Hold nothing of the camera's pictures any more."""


class Offers(Protocol):
    """Pictures that a recording has decoded: the scan feed."""

    def wait_for_offer(self, seconds: float) -> None: ...

    def take_offer(self, after: int) -> tuple[Packet, av.VideoFrame] | None: ...


class NewestPictures:
    """For cameras whose every picture stands alone: decode only what is scanned.

    While a recording decodes at the camera's pace its pictures are used; decoding one here
    would cost a fifth of a core for nothing.
    """

    OFFER_WAIT_SECONDS = 0.1

    def __init__(self, feed: Offers, session: Session, clock: Callable[[], Nanoseconds]) -> None:
        self.decoding_ns: Nanoseconds = 0
        """What decoding the last picture took here."""
        self._clock = clock
        self._feed = feed
        self._buffer = session.buffer
        self._decoder = decoder_for(session.description)
        self._sequence = 0

    def next(self) -> tuple[Packet, av.VideoFrame] | None:
        self._feed.wait_for_offer(self.OFFER_WAIT_SECONDS)
        offer = self._feed.take_offer(self._sequence)
        if offer is not None:
            self._sequence, self.decoding_ns = offer[0].sequence, 0
            return offer
        packet = self._buffer.newest_after(self._sequence, 0.1)
        if packet is None:
            return None
        self._sequence = packet.sequence
        began_ns = self._clock()
        try:
            frames = self._decoder.decode(native_packet(packet.data))
        except av.FFmpegError:
            return None
        finally:
            self.decoding_ns = self._clock() - began_ns
        return (packet, frames[0]) if frames else None

    def close(self) -> None:
        """Nothing is held."""
