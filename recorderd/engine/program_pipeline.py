"""From camera pictures to packets in a file by way of an ffmpeg program beside the engine."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from av.container import OutputContainer
from av.stream import Stream

from recorderd.core.model import Nanoseconds, nanoseconds
from recorderd.engine.copied_stream import copied_packet
from recorderd.engine.encoder_kinds import ANOTHER_ENCODER
from recorderd.engine.encoder_program import EncodedPicture
from recorderd.engine.footage_file import FootageFile, ticks
from recorderd.engine.packets import Packet
from recorderd.errors import DeviceError

MOST_IN_PROGRAM = 150
"""Pictures that it may have taken without giving one out: its pipe holds few, its decoder and
encoder some."""

_TO_BEGIN = 2
"""Times the usual patience, for the first picture: hardware has to wake up."""

_PAUSE = nanoseconds(1)
"""Between two pictures given: a camera that stalls, a finisher that waits."""

_SAME_TICKS = 2
"""Times come back from NUT rounded, by less than a hundredth of a picture."""


class PictureProgram(Protocol):
    """What a recording needs of the program; `EncoderProgram` is the real one."""

    def give(self, data: bytes, pts: int) -> None: ...

    def ready(self) -> list[EncodedPicture]: ...

    def finish(self) -> list[EncodedPicture]: ...

    def close(self) -> None: ...

    def add_stream(self, container: OutputContainer) -> Stream: ...


class ProgramPipeline:
    """Hands the camera's pictures to the program and writes what comes back. See `Pipeline`.

    Only for cameras whose every picture stands alone. Pictures from `from_ns` on are encoded.
    Nobody here decodes them: whoever wants to look at one decodes it himself.
    """

    def __init__(
        self,
        file: FootageFile,
        program: PictureProgram,
        from_ns: Nanoseconds,
        wall_offset_ns: Nanoseconds,
        *,
        patience_ns: Nanoseconds,
        clock: Callable[[], Nanoseconds] = time.monotonic_ns,
    ) -> None:
        """`patience_ns`: a program that has pictures and gives none out for so long hangs."""
        self.frames = 0
        self.left_out = 0
        self.encoding_ns = 0
        self.first_ns = from_ns
        self.written_ns = from_ns
        self._from_ns = from_ns
        self._file = file
        self._program = program
        self._wall_offset_ns = wall_offset_ns
        self._clock = clock
        self._patience_ns = patience_ns
        self._waits_since_ns: Nanoseconds | None = None
        self._last_write_ns: Nanoseconds = 0
        self._base_ns: Nanoseconds | None = None
        self._stream: Stream | None = None
        self._given_pts = -1
        self._written_pts = -1
        self._inside: deque[tuple[int, Nanoseconds]] = deque()

    def write(self, packet: Packet) -> None:
        if packet.captured_ns < self._from_ns:
            return
        if self._base_ns is None:
            self._base_ns = packet.captured_ns
        pts = max(ticks(packet.captured_ns - self._base_ns), self._given_pts + 1)
        self._given_pts = pts
        self._inside.append((pts, packet.captured_ns))
        began_ns = self._clock()
        try:
            self._program.give(packet.data, pts)
        finally:
            self.encoding_ns += self._clock() - began_ns
        self._mux(self._program.ready())
        if len(self._inside) > MOST_IN_PROGRAM or self._stands_still(began_ns):
            raise DeviceError(
                f"The ffmpeg program keeps {len(self._inside)} pictures and gives none out",
                ANOTHER_ENCODER,
            )

    def _stands_still(self, written_ns: Nanoseconds) -> bool:
        """Whether it has had pictures for too long. While it gets none it need not give any."""
        waits_since_ns = self._waits_since_ns
        if waits_since_ns is None or written_ns - self._last_write_ns > _PAUSE:
            waits_since_ns = self._waits_since_ns = written_ns
        now = self._last_write_ns = self._clock()
        patience_ns = self._patience_ns if self.frames else _TO_BEGIN * self._patience_ns
        return now - waits_since_ns > patience_ns

    def finish(self) -> None:
        self._mux(self._program.finish())
        self.left_out += len(self._inside)
        self._inside.clear()

    def close(self) -> None:
        self._program.close()

    @property
    def resume_ns(self) -> Nanoseconds:
        if self._inside:
            return self._inside[0][1]
        return self.written_ns + 1 if self.frames else self.first_ns

    def _mux(self, pictures: list[EncodedPicture]) -> None:
        for pts, data, keyframe in pictures:
            captured_ns = self._moment_of(pts)
            if self._stream is None:
                self.first_ns = captured_ns
                self._file.tag_beginning(captured_ns)
                self._stream = self._program.add_stream(self._file.container)
                self._file.add_clock_track()
            offset_ns = captured_ns - self.first_ns
            self._file.show_clock(offset_ns, captured_ns + self._wall_offset_ns)
            self._written_pts = max(ticks(offset_ns), self._written_pts + 1)
            self._file.mux(copied_packet(self._stream, data, self._written_pts, keyframe))
            self._inside.popleft()
            self.frames += 1
            self.written_ns = captured_ns
            self._waits_since_ns = None

    def _moment_of(self, pts: int) -> Nanoseconds:
        """When the picture that came back was taken; those before it were damaged."""
        while self._inside:
            given, captured_ns = self._inside[0]
            if abs(given - pts) <= _SAME_TICKS:
                return captured_ns
            self._inside.popleft()
            self.left_out += 1
        raise DeviceError(
            "The ffmpeg program gave out a picture that it was not given",
            ANOTHER_ENCODER,
        )
