"""A program whose standard output is the camera's stream, such as rpicam-vid."""

from __future__ import annotations

import shlex
import threading
import time
from collections.abc import Callable
from fractions import Fraction

import av
import av.error

from recorderd.core.model import Nanoseconds
from recorderd.engine.packets import SourcePacket, StreamDescription
from recorderd.engine.sources import demux
from recorderd.engine.sources.program import Program
from recorderd.engine.sources.stream_clock import AnchoredClock, ArrivalClock, StreamClock
from recorderd.errors import DeviceError
from recorderd.settings import CameraSettings

_OPEN_SECONDS = 10.0
_BUFFER_BYTES = 1 << 18
_START_OF_JPEG = b"\xff\xd8\xff"


class CommandSource:
    """Runs `command`, split as a shell would, without a shell.

    The stream may be bare MJPEG, H.264 or HEVC, whose pictures get the time at which
    their last byte arrived, or any container FFmpeg can read from a pipe.
    """

    def __init__(
        self,
        camera: CameraSettings,
        command: str,
        *,
        clock: Callable[[], Nanoseconds] = time.monotonic_ns,
        open_seconds: float = _OPEN_SECONDS,
    ) -> None:
        self._rate = Fraction(camera.rate).limit_denominator(1001)
        self._command = command
        self._clock = clock
        self._open_seconds = open_seconds
        self._interrupted = threading.Event()
        self._program: Program | None = None
        self._reader: demux.VideoReader | None = None
        self._stream_clock: StreamClock = ArrivalClock()
        self._elementary = False

    def open(self) -> StreamDescription:
        try:
            arguments = shlex.split(self._command)
        except ValueError as error:
            raise DeviceError(
                f"camera.source is no command: {error}", "Check its quotation marks"
            ) from error
        program = self._program = Program(arguments, self._interrupted, self._clock)
        program.give_up_after(self._open_seconds)
        reader = self._reader = self._first_pictures(program)
        program.give_up_after(None)
        self._elementary = reader.container.format.name in demux.ELEMENTARY_FORMATS
        stream = reader.stream
        rate = self._rate if self._elementary else stream.average_rate or self._rate
        if not self._elementary:
            self._stream_clock = AnchoredClock(
                stream.time_base or Fraction(1, 90_000), demux.period_of(rate), live=True
            )
        return demux.description(stream, rate)

    def read(self) -> SourcePacket | None:
        program, reader = self._program, demux.opened(self._reader)
        while program is not None and not self._interrupted.is_set():
            try:
                packet = reader.next()
            except (EOFError, av.error.FFmpegError) as error:
                raise program.failure() or _not_video(program) from error
            if packet is not None:
                arrival_ns = self._clock()
                if self._elementary and packet.pos is not None:
                    arrival_ns = program.arrival(packet.pos + packet.size)
                return demux.source_packet(packet, self._stream_clock, arrival_ns)
        raise demux.interrupted(self._command)

    def interrupt(self) -> None:
        self._interrupted.set()

    def close(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()
        program, self._program = self._program, None
        if program is not None:
            program.close()

    def _first_pictures(self, program: Program) -> demux.VideoReader:
        first_bytes = program.peek(len(_START_OF_JPEG))
        try:
            container = av.open(
                program,
                mode="r",
                # FFmpeg takes a stream of JPEGs for a list of image files otherwise.
                format="mjpeg" if first_bytes == _START_OF_JPEG else None,
                buffer_size=_BUFFER_BYTES,
            )
            return demux.VideoReader(container, program.name)
        except (av.error.FFmpegError, DeviceError) as error:
            raise program.failure() or _not_video(program) from error


def _not_video(program: Program) -> DeviceError:
    return DeviceError(
        f"What comes from {program.name} is not video",
        "Run the command by hand: it must write the stream to its standard output",
    )
