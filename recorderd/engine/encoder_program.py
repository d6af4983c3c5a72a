"""An ffmpeg program beside the engine: the camera's pictures in, encoded pictures out.

Some hardware is beyond the FFmpeg inside PyAV: its wheels have no VAAPI, with which Intel's and
AMD's graphics decode a JPEG and encode it without the picture ever coming to the processor. The
system's own ffmpeg has it. Pictures go there and back in NUT, a container made for pipes that
keeps every picture's time to some microseconds (measured: 6).
"""

from __future__ import annotations

import contextlib
import os
import queue
import select
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import IO, Final, TypeAlias

import av
from av.container import InputContainer, OutputContainer
from av.stream import Stream

from recorderd.engine.copied_stream import add_copied_stream
from recorderd.engine.encoder_kinds import PROGRAM, EncodeRequest, EncoderKind
from recorderd.engine.footage_file import TIME_BASE
from recorderd.engine.native_packet import native_packet
from recorderd.engine.packets import StreamDescription
from recorderd.errors import DeviceError

STUCK_SECONDS: Final = 10.0
"""It has taken nothing, or does not end, for so long in a trial: a driver hangs."""

_BUFFER_BYTES: Final = 1 << 20
_COMPLAINT_BYTES: Final = 2000
_COMPLAINT_LINES: Final = 5
_EXIT_SECONDS: Final = 1.0
_NEVER_FOR_IT: Final = (signal.SIGTERM, signal.SIGINT)
"""Sent to all of the service: ffmpeg would end before it has the last pictures."""

EncodedPicture: TypeAlias = tuple[int, bytes, bool]
"""PTS in units of 1/90000 s, H.264 (Annex B), whether it is a keyframe."""


@dataclass(frozen=True, slots=True)
class _Ended:
    """The output is over; `problem` is what cannot be read in it."""

    problem: str = ""


class EncoderProgram:
    """One ffmpeg, for one recording. Used by one thread; another reads what comes out.

    Pictures come out in the order they went in, at the same times but for some microseconds;
    a damaged one does not come out.
    """

    def __init__(
        self,
        kind: EncoderKind,
        request: EncodeRequest,
        *,
        program: str = PROGRAM,
        stuck_seconds: float = STUCK_SECONDS,
    ) -> None:
        """Start it. Raises DeviceError."""
        self._kind = kind
        self._request = request
        self._stuck_seconds = stuck_seconds
        self._output: queue.SimpleQueue[EncodedPicture | _Ended] = queue.SimpleQueue()
        self._ended: _Ended | None = None
        self._stream: StreamDescription | None = None
        self._input: OutputContainer | None = None
        try:
            # In memory, where there is room though a disk is full.
            self._complaints: IO[bytes] = os.fdopen(os.memfd_create("ffmpeg says"), "r+b")
        except OSError as error:
            raise _cannot_start(program, kind, error) from error
        try:
            self._process = self._started(program)
        except OSError as error:
            self._complaints.close()
            raise _cannot_start(program, kind, error) from error
        assert self._process.stdin is not None  # noqa: S101 - for the type checker
        assert self._process.stdout is not None  # noqa: S101
        self._pipe = _Pipe(self._process.stdin, self._patience_seconds)
        self._reader = threading.Thread(
            target=self._read, args=(self._process.stdout,), name=f"{kind.name} output"
        )
        self._reader.start()

    def give(self, data: bytes, pts: int) -> None:
        """Hand over a picture as the camera compressed it. Waits for room. Raises DeviceError.

        `pts` counts 1/90000 s and must grow from picture to picture.
        """
        packet = native_packet(data)
        packet.time_base = TIME_BASE
        packet.pts = packet.dts = pts
        packet.is_keyframe = True
        try:
            if self._input is None:
                self._input = self._opened()
            packet.stream = self._input.streams.video[0]
            self._input.mux_one(packet)
        except (OSError, av.FFmpegError) as error:
            raise self._failed(error) from error

    def ready(self) -> list[EncodedPicture]:
        """What has come out since the last call. Raises DeviceError if the program is gone."""
        pictures = self._take(block=False)
        if self._ended is not None:
            raise self._failed(None)
        return pictures

    def finish(self) -> list[EncodedPicture]:
        """No picture follows; all that is still to come. Raises DeviceError."""
        try:
            if self._input is not None:
                self._input.close()
        except (OSError, av.FFmpegError) as error:
            raise self._failed(error) from error
        self._pipe.close()
        pictures = self._take(block=True)
        if self._ended is None or self._ended.problem or self._exit_status() != 0:
            raise self._failed(None)
        return pictures

    def close(self) -> None:
        """End it, whatever it does. Never raises."""
        self._process.kill()
        # A process that a driver holds is reaped by a later Popen.
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_EXIT_SECONDS)
        if self._input is not None:
            with contextlib.suppress(OSError, av.FFmpegError):
                self._input.close()
        self._pipe.close()
        self._reader.join(_EXIT_SECONDS)
        self._complaints.close()

    def add_stream(self, container: OutputContainer) -> Stream:
        """A stream in `container` for what has come out already. Raises DeviceError."""
        assert self._stream is not None  # noqa: S101
        return add_copied_stream(container, self._stream)

    def _patience_seconds(self) -> float:
        """Before anything has come out it is given twice the time: hardware has to wake up."""
        return self._stuck_seconds if self._stream is not None else 2 * self._stuck_seconds

    # --- starting

    def _started(self, program: str) -> subprocess.Popen[bytes]:
        # A child inherits what the thread that starts it has blocked (fork(2), execve(2)).
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _NEVER_FOR_IT)
        try:
            return subprocess.Popen(
                [program, *arguments(self._kind, self._request)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._complaints,
                bufsize=0,  # Else reading waits until a whole buffer has come.
                process_group=0,
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _opened(self) -> OutputContainer:
        container = av.open(
            self._pipe,
            "w",
            format="nut",
            options={"flush_packets": "1", "write_index": "0"},
            buffer_size=_BUFFER_BYTES,
        )
        add_copied_stream(container, self._request.stream)
        return container

    # --- the output

    def _read(self, pipe: IO[bytes]) -> None:
        """On a thread of its own, until the program ends."""
        problem = ""
        try:
            with pipe, av.open(pipe, "r", format="nut", buffer_size=_BUFFER_BYTES) as container:
                self._read_all(container)
        except (OSError, av.FFmpegError) as error:
            problem = str(error)
        self._output.put(_Ended(problem))

    def _read_all(self, container: InputContainer) -> None:
        stream = container.streams.video[0]
        context = stream.codec_context
        self._stream = StreamDescription(
            codec=context.codec.canonical_name,
            width=context.width,
            height=context.height,
            rate=self._request.rate,
            pixel_format=context.pix_fmt or "",
            full_range=self._request.full_range,
            extradata=bytes(context.extradata or b""),
        )
        for packet in container.demux(stream):
            if packet.pts is not None and packet.size:
                moment: Fraction = packet.pts * packet.time_base
                self._output.put((round(moment / TIME_BASE), bytes(packet), packet.is_keyframe))

    def _take(self, *, block: bool) -> list[EncodedPicture]:
        """What is there; with `block` all until the end, as long as something comes."""
        pictures = []
        while self._ended is None:
            try:
                taken = self._output.get(block, self._stuck_seconds)
            except queue.Empty:
                break
            if isinstance(taken, _Ended):
                self._ended = taken
            else:
                pictures.append(taken)
        return pictures

    # --- failing

    def _exit_status(self) -> int | None:
        try:
            return self._process.wait(_EXIT_SECONDS)
        except subprocess.TimeoutExpired:
            return None

    def _failed(self, error: Exception | None) -> DeviceError:
        status = None if isinstance(error, TimeoutError) else self._exit_status()
        if status is None:
            what = "hangs"
        elif status < 0:
            what = f"was killed by signal {-status}"
        else:
            what = f"ended with status {status}"
        self._complaints.seek(0, os.SEEK_END)
        self._complaints.seek(max(0, self._complaints.tell() - _COMPLAINT_BYTES))
        lines = self._complaints.read().decode("utf-8", "replace").strip().splitlines()
        # The last line only says that it ends; the cause stands some lines before.
        last = "; ".join(line.strip() for line in lines[-_COMPLAINT_LINES:])
        said = f': "{last}"' if last else ""
        return DeviceError(
            f"The ffmpeg program for {self._kind.name} {what}{said}", self._kind.remedy
        )


def _cannot_start(program: str, kind: EncoderKind, error: OSError) -> DeviceError:
    return DeviceError(f"The program {program} cannot be started: {error.strerror}", kind.remedy)


class _Pipe:
    """The program's input, as a file for PyAV; a write that takes too long is an error."""

    def __init__(self, pipe: IO[bytes], patience_seconds: Callable[[], float]) -> None:
        self._pipe = pipe
        self._patience_seconds = patience_seconds
        os.set_blocking(pipe.fileno(), False)
        self._poll = select.poll()
        self._poll.register(pipe.fileno(), select.POLLOUT)

    def write(self, data: bytes) -> int:
        """All of it. Raises OSError, TimeoutError."""
        left = memoryview(data)
        deadline = time.monotonic() + self._patience_seconds()
        while left:
            if not self._poll.poll(1000 * max(0.0, deadline - time.monotonic())):
                raise TimeoutError("the program takes no more pictures")
            with contextlib.suppress(BlockingIOError):
                left = left[os.write(self._pipe.fileno(), left) :]
        return len(data)

    def close(self) -> None:
        if not self._pipe.closed:
            self._pipe.close()


def arguments(kind: EncoderKind, request: EncodeRequest) -> list[str]:
    """What ffmpeg is told: pictures in NUT from its input, H.264 in NUT to its output.

    A picture that is damaged in part is none. Times are kept as they are, and keyframes come
    when the clock says so, as in a recording of the engine's own.
    """
    return [
        *("-hide_banner", "-nostdin", "-nostats", "-loglevel", "error"),
        *kind.variants[0].before_input,
        *("-err_detect", "explode", "-copyts", "-f", "nut", "-i", "pipe:0"),
        *encoding(kind, request),
        *("-flush_packets", "1", "-write_index", "0", "-f", "nut", "pipe:1"),
    ]


def encoding(kind: EncoderKind, request: EncodeRequest) -> list[str]:
    """The part between input and output: what becomes of a picture."""
    variant = kind.variants[0]
    gop = f"{request.gop_seconds:g}"
    keyframes = f"expr:if(isnan(prev_forced_t),1,gte(t,prev_forced_t+{gop}-{_half(request)}))"
    return [
        *(("-vf", variant.filters_for(request)) if variant.filters else ()),
        *("-fps_mode", "passthrough", "-enc_time_base", "1:90000"),
        *("-c:v", kind.name, *variant.words_for(request)),
        *("-bf", "0", "-g", str(round(request.rate * Fraction(request.gop_seconds)) + 1)),
        *("-force_key_frames", keyframes),
        *("-color_range", "pc" if request.full_range else "tv"),
        *("-colorspace", "smpte170m", "-color_primaries", "bt709", "-color_trc", "bt709"),
    ]


def _half(request: EncodeRequest) -> str:
    """Half a picture early is on time: pictures never come exactly when they should."""
    return f"{float(1 / request.rate / 2):.4f}"
