"""Network cameras that speak RTSP (RFC 2326), over TCP so that no packet is lost."""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Callable
from fractions import Fraction

import av
import av.error

from recorderd.config import without_password
from recorderd.core.model import Nanoseconds, nanoseconds
from recorderd.engine.packets import SourcePacket, StreamDescription
from recorderd.engine.sources import demux
from recorderd.engine.sources.stream_clock import AnchoredClock, ArrivalClock, StreamClock
from recorderd.errors import DeviceError
from recorderd.settings import CameraSettings

_OPEN_SECONDS = 10.0


class RtspSource:
    """A network camera; the size and rate are what the camera is set to.

    `read` gives up by itself after `camera.silence_seconds`; `interrupt` works between
    pictures, since FFmpeg cannot be woken while it waits for the network.
    """

    def __init__(
        self,
        camera: CameraSettings,
        *,
        clock: Callable[[], Nanoseconds] = time.monotonic_ns,
        open_seconds: float = _OPEN_SECONDS,
    ) -> None:
        self._url = camera.source
        self._silence_seconds = camera.silence_seconds
        self._rate = Fraction(camera.rate).limit_denominator(1001)
        self._clock = clock
        self._open_seconds = open_seconds
        self._interrupted = threading.Event()
        self._reader: demux.VideoReader | None = None
        self._stream_clock: StreamClock = ArrivalClock()

    def open(self) -> StreamDescription:
        began = self._clock()
        try:
            container = av.open(
                self._url,
                options={
                    "rtsp_transport": "tcp",
                    "allowed_media_types": "video",
                    "timeout": str(int(self._open_seconds * 1_000_000)),
                },
                timeout=(self._open_seconds, self._silence_seconds),
            )
        except av.error.FFmpegError as error:
            # FFmpeg calls it invalid data when the answer does not come in time.
            if self._clock() - began >= nanoseconds(self._open_seconds):
                raise demux.device_error_for(
                    errno.ETIMEDOUT, without_password(self._url)
                ) from error
            raise demux.device_error(error, self._url) from error
        self._reader = demux.VideoReader(container, self._url)
        stream = self._reader.stream
        delivered = demux.description(stream, stream.average_rate or self._rate)
        self._stream_clock = AnchoredClock(
            stream.time_base or Fraction(1, 90_000), demux.period_of(delivered.rate), live=True
        )
        return delivered

    def read(self) -> SourcePacket | None:
        reader = demux.opened(self._reader)
        while not self._interrupted.is_set():
            try:
                packet = reader.next()
            except EOFError as error:
                raise DeviceError(
                    f"{without_password(self._url)} has ended its stream",
                    "Check the camera: it may be restarting, or allow only one viewer",
                ) from error
            except av.error.ExitError as error:
                raise DeviceError(
                    f"{without_password(self._url)} sends no pictures any more",
                    "Check the camera's power and the network cable",
                ) from error
            except av.error.FFmpegError as error:
                raise demux.device_error(error, self._url) from error
            if packet is not None:
                return demux.source_packet(packet, self._stream_clock, self._clock())
        raise demux.interrupted(self._url)

    def interrupt(self) -> None:
        self._interrupted.set()

    def close(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()
