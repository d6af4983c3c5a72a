"""Making pictures of what the camera compressed, as quickly as the processor can."""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import Final, Protocol, TypeAlias

import av
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from recorderd.engine.packets import StreamDescription
from recorderd.errors import DeviceError

MOST_AT_ONCE: Final = 4
"""A decoded 4K picture takes 12 MB, and the encoder wants processors, too."""

Compressed: TypeAlias = "Packet[VideoStream]"


class PictureDecoder(Protocol):
    """Compressed pictures in, in the order of the file, pictures out in the order shown."""

    def decode(self, packet: Compressed | None, *, wait: bool) -> list[av.VideoFrame]:
        """Take the next one, None at the end; returns those that are ready.

        With `wait` it returns none later than it has to. Damaged pictures are missing, or
        raise av.FFmpegError: then all that was in the decoder is lost.
        """

    def close(self) -> None:
        """End its threads."""


def picture_decoder(description: StreamDescription) -> PictureDecoder:
    """The decoder for a recording of this camera. Raises DeviceError."""
    if description.intra_only:
        return IntraDecoder(description, min(MOST_AT_ONCE, len(os.sched_getaffinity(0))))
    return InterDecoder(description)


class InterDecoder:
    """For cameras whose pictures build on one another: FFmpeg has threads for these."""

    def __init__(self, description: StreamDescription) -> None:
        self._decoder = decoder_for(description)

    def decode(self, packet: Compressed | None, *, wait: bool) -> list[av.VideoFrame]:  # noqa: ARG002
        try:
            return list(self._decoder.decode(packet))
        except av.FFmpegError:
            # With threads it would go on failing for good (PyAV 18.1, H.264, measured).
            self._decoder.flush_buffers()
            raise

    def close(self) -> None:
        """FFmpeg ends its threads itself."""


class IntraDecoder:
    """For cameras whose every picture stands alone: several decoders, each in its own thread.

    FFmpeg decodes MJPEG in one thread, and 4K takes 18 to 24 ms of it (measured).
    """

    def __init__(self, description: StreamDescription, at_once: int) -> None:
        """Raises DeviceError."""
        self._decoders: SimpleQueue[VideoCodecContext] = SimpleQueue()
        for _ in range(at_once):
            self._decoders.put(decoder_for(description))
        self._pool = ThreadPoolExecutor(at_once, thread_name_prefix="decode")
        self._at_once = at_once
        self._coming: deque[Future[list[av.VideoFrame]]] = deque()

    def decode(self, packet: Compressed | None, *, wait: bool) -> list[av.VideoFrame]:
        if packet is not None:
            self._coming.append(self._pool.submit(self._one, packet))
        all_of_them = wait or packet is None
        ready: list[av.VideoFrame] = []
        while self._coming and (
            all_of_them or len(self._coming) > self._at_once or self._coming[0].done()
        ):
            ready += self._coming.popleft().result()
        return ready

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)

    def _one(self, packet: Compressed) -> list[av.VideoFrame]:
        decoder = self._decoders.get()
        try:
            return list(decoder.decode(packet))
        except av.FFmpegError:
            return []  # Damaged, as a camera's pictures may be; the others are not.
        finally:
            self._decoders.put(decoder)


def strict_decoder(codec: str, extradata: bytes | None) -> VideoCodecContext:
    """A decoder of FFmpeg to which a picture is damaged if any part of it is.

    Raises av.FFmpegError, ValueError.
    """
    decoder = VideoCodecContext.create(codec, "r")
    assert isinstance(decoder, VideoCodecContext)  # noqa: S101 - for the type checker
    decoder.extradata = extradata
    decoder.options = {"err_detect": "explode"}
    return decoder


def decoder_for(description: StreamDescription) -> VideoCodecContext:
    """A decoder that reports damaged pictures instead of hiding them. Raises DeviceError."""
    try:
        decoder = strict_decoder(description.codec, description.extradata or None)
        decoder.thread_type = "AUTO"
        if description.codec == "rawvideo":
            decoder.width, decoder.height = description.width, description.height
            decoder.pix_fmt = description.pixel_format
        return decoder
    except (av.FFmpegError, ValueError) as error:
        raise DeviceError(
            f"Pictures of the kind {description.codec} cannot be decoded: {error}",
            "Set camera.format to mjpeg or h264",
        ) from error
