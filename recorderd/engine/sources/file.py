"""A video file in the camera's place: played at its own pace, once or again and again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import av.error

from recorderd.core.model import NANOSECONDS_PER_SECOND, Nanoseconds
from recorderd.engine.packets import SourcePacket, StreamDescription
from recorderd.engine.sources import demux
from recorderd.engine.sources.stream_clock import (
    AnchoredClock,
    ArrivalClock,
    StreamClock,
    nanoseconds_to_ticks,
)
from recorderd.errors import DeviceError


class FileSource:
    """Plays a file of any codec FFmpeg can decode; a late reader still gets every picture.

    `clock` is CLOCK_MONOTONIC in nanoseconds; `wait` waits for so many seconds or until
    `interrupt` is called.
    """

    def __init__(
        self,
        path: Path,
        *,
        loop: bool,
        clock: Callable[[], Nanoseconds] = time.monotonic_ns,
        wait: Callable[[float], object] | None = None,
    ) -> None:
        self._path = path
        self._loop = loop
        self._clock = clock
        self._interrupted = threading.Event()
        self._wait = wait or self._interrupted.wait
        self._reader: demux.VideoReader | None = None
        self._stream_clock: StreamClock = ArrivalClock()
        self._lead_ns: Nanoseconds | None = None
        # In ticks of the file's time base: what is added to this round's timestamps, where
        # the round began and ends, and how long one picture lasts.
        self._offset = 0
        self._begin: int | None = None
        self._end = 0
        self._period = 1

    def open(self) -> StreamDescription:
        stream = self._open_file()
        described = demux.description(stream)
        time_base = stream.time_base or Fraction(1, 90_000)
        period_ns = demux.period_of(described.rate)
        self._period = nanoseconds_to_ticks(period_ns, time_base)
        self._stream_clock = AnchoredClock(time_base, period_ns, live=False)
        return described

    def read(self) -> SourcePacket | None:
        while not self._interrupted.is_set():
            packet = self._next_packet()
            if packet is None:
                if not self._loop:
                    return None
                self._begin_again()
                continue
            self._move_to_this_round(packet)
            picture = demux.source_packet(packet, self._stream_clock, self._clock())
            if picture.data:
                self._wait_until_due(picture)
            if not self._interrupted.is_set():
                return picture
        raise demux.interrupted(str(self._path))

    def interrupt(self) -> None:
        self._interrupted.set()

    def close(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()

    def _open_file(self) -> av.VideoStream:
        try:
            container = av.open(str(self._path))
        except (FileNotFoundError, IsADirectoryError) as error:
            raise DeviceError(
                f"There is no video file {self._path}",
                "Check the path in camera.source, and that the disk is mounted",
            ) from error
        except PermissionError as error:
            raise DeviceError(
                f"The video file {self._path} may not be read by this user",
                "Give the user of the recorderd service the right to read it",
            ) from error
        except av.error.FFmpegError as error:
            raise demux.device_error(error, str(self._path)) from error
        self._reader = demux.VideoReader(container, str(self._path))
        return self._reader.stream

    def _next_packet(self) -> demux.VideoPacket | None:
        """The next packet of the video, None at the end of the file."""
        reader = demux.opened(self._reader)
        try:
            while True:
                packet = reader.next()
                if packet is not None:
                    return packet
        except EOFError:
            return None
        except av.error.FFmpegError as error:
            raise demux.device_error(error, str(self._path)) from error

    def _begin_again(self) -> None:
        if self._begin is None:
            raise DeviceError(
                f"The video file {self._path} holds no picture", "Choose another file"
            )
        self._offset += self._end - self._begin
        self._begin, self._end = None, 0
        self.close()
        self._open_file()

    def _move_to_this_round(self, packet: demux.VideoPacket) -> None:
        """Let the times of a round follow those of the round before."""
        pts, dts = packet.pts, packet.dts
        if pts is None:
            if packet.size == 0:
                return
            raise DeviceError(
                f"The video file {self._path} holds no times",
                f"Put it into a container: ffmpeg -i {self._path.name} -c copy new.mp4",
            )
        if self._begin is None:
            self._begin = pts
        self._end = max(self._end, pts + (packet.duration or self._period))
        packet.pts = pts + self._offset
        packet.dts = None if dts is None else dts + self._offset

    def _wait_until_due(self, picture: SourcePacket) -> None:
        # Pictures come in decoding order, the first of them when it was "taken".
        if self._lead_ns is None:
            self._lead_ns = picture.captured_ns - picture.decode_ns
        late_ns = self._clock() - (picture.decode_ns + self._lead_ns)
        if late_ns < 0:
            self._wait(-late_ns / NANOSECONDS_PER_SECOND)
