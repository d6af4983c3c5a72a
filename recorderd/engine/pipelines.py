"""From camera pictures to packets in a file: copied as they are, or decoded and encoded."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, TypeAlias

import av
from av.container import OutputContainer

from recorderd.core.model import Nanoseconds
from recorderd.engine.copied_stream import add_copied_stream, copied_packet
from recorderd.engine.decoding import PictureDecoder, picture_decoder
from recorderd.engine.encoder_kinds import ANOTHER_ENCODER, EncodeRequest, EncoderKind
from recorderd.engine.encoders import VideoPacket
from recorderd.engine.footage_file import TIME_BASE, FootageFile, ticks
from recorderd.engine.native_packet import native_packet
from recorderd.engine.packets import Packet, StreamDescription
from recorderd.engine.session import Tap
from recorderd.errors import DeviceError


class FrameEncoder(Protocol):
    """What a recording needs of an encoder; `encoders.VideoEncoder` is the real one."""

    def encode(self, frame: av.VideoFrame, pts: int) -> list[VideoPacket]:
        """Take a picture at `pts` (units of 1/90000 s). Raises DeviceError."""

    def flush(self) -> list[VideoPacket]:
        """Give out what is still inside. Raises DeviceError."""


MOST_IN_DECODER = 300
"""Pictures that a decoder may take before it gives one out again: a camera may send no keyframe
for a while after a damaged picture."""

MakeEncoder: TypeAlias = Callable[[OutputContainer, EncoderKind, EncodeRequest], FrameEncoder]


class Pipeline(Protocol):
    """Writes one recording's pictures into its file. Used by the recording's thread."""

    first_ns: Nanoseconds
    """Capture time of the first picture in the file, as far as it is known yet."""

    frames: int
    """Pictures that are in the file."""

    left_out: int
    """Pictures that are not in the file because they were damaged."""

    written_ns: Nanoseconds
    """Capture time of the newest picture in the file."""

    encoding_ns: Nanoseconds
    """What decoding and encoding have taken, without waiting for the disk."""

    def write(self, packet: Packet) -> None:
        """Take the next picture. Raises StorageError, DeviceError (encoder)."""

    def finish(self) -> None:
        """Write what is still on its way. Raises as `write`."""

    def close(self) -> None:
        """Let go of all that it holds besides the file; after any error, too."""

    @property
    def resume_ns(self) -> Nanoseconds:
        """Capture time from which on pictures are not in the file, after a failure."""


class CopyPipeline:
    """The camera's own packets, untouched.

    Raises DeviceError if MP4 cannot hold this kind of pictures.
    """

    def __init__(
        self,
        file: FootageFile,
        description: StreamDescription,
        first_ns: Nanoseconds,
        wall_offset_ns: Nanoseconds,
    ) -> None:
        self.frames = 0
        self.left_out = 0
        self.encoding_ns = 0
        self.written_ns = first_ns
        self._resume_ns = first_ns
        self._file = file
        self.first_ns = first_ns
        self._wall_offset_ns = wall_offset_ns
        # With B-frames decoding begins before the first picture is shown. A file's time begins
        # with decoding: FFmpeg would move negative times of the video, but not the clock's.
        self._base_ns: Nanoseconds | None = None
        self._stream = add_copied_stream(file.container, description)
        file.add_clock_track()

    def write(self, packet: Packet) -> None:
        if packet.captured_ns < self.first_ns:
            return  # Shown before the keyframe it follows: needs pictures that are not here.
        if self._base_ns is None:
            self._base_ns = packet.decode_ns
        self._resume_ns = packet.captured_ns
        offset_ns = packet.captured_ns - self._base_ns
        self._file.show_clock(offset_ns, packet.captured_ns + self._wall_offset_ns)
        pts, dts = ticks(offset_ns), ticks(packet.decode_ns - self._base_ns)
        self._file.mux(copied_packet(self._stream, packet.data, pts, packet.keyframe, dts))
        self.frames += 1
        self.written_ns = max(self.written_ns, packet.captured_ns)
        self._resume_ns = self.written_ns + 1

    def finish(self) -> None:
        """Nothing is ever on its way."""

    def close(self) -> None:
        """Nothing is held."""

    @property
    def resume_ns(self) -> Nanoseconds:
        return self._resume_ns


class EncodePipeline:
    """Decode, hand the picture to whoever wants to look at it, encode.

    Pictures from `from_ns` on are encoded; those before are only decoded. While `is_behind`
    (more pictures wait already), several are decoded at once where that is possible.
    """

    def __init__(
        self,
        file: FootageFile,
        description: StreamDescription,
        encoder: FrameEncoder,
        from_ns: Nanoseconds,
        wall_offset_ns: Nanoseconds,
        tap: Tap,
        is_behind: Callable[[], bool],
        *,
        clock: Callable[[], Nanoseconds] = time.monotonic_ns,
    ) -> None:
        self.frames = 0
        self.left_out = 0
        self.encoding_ns = 0
        self.written_ns = from_ns
        self.first_ns = from_ns
        self._from_ns = from_ns
        self._file = file
        self._encoder = encoder
        self._wall_offset_ns = wall_offset_ns
        self._tap = tap
        self._decoder: PictureDecoder = picture_decoder(description)
        self._is_behind = is_behind
        self._clock = clock
        self._last_pts = -1
        self._in_decoder: dict[int, Packet] = {}
        self._in_encoder: deque[tuple[int, Nanoseconds]] = deque()
        file.add_clock_track()

    def write(self, packet: Packet) -> None:
        self._in_decoder[packet.sequence] = packet
        self._leave_out(list(self._in_decoder.values())[:-MOST_IN_DECODER])
        self._take(self._decode(packet))

    def finish(self) -> None:
        self._take(self._decode(None))
        self._leave_out(list(self._in_decoder.values()))
        self._mux(self._encoder.flush())
        if self._in_encoder:
            raise _swallowed(len(self._in_encoder))

    def close(self) -> None:
        self._decoder.close()

    @property
    def resume_ns(self) -> Nanoseconds:
        if self._in_encoder:
            return self._in_encoder[0][1]
        coming = [packet.captured_ns for packet in self._in_decoder.values()]
        earliest = self.written_ns + 1 if self.frames else self.first_ns
        return min((moment for moment in coming if moment >= earliest), default=earliest)

    def _decode(self, packet: Packet | None) -> list[av.VideoFrame]:
        """Damaged pictures give nothing and are not raised: from the next keyframe on all is well.

        With them goes what was in the decoder, and what follows up to that keyframe.
        """
        compressed = None
        if packet is not None:
            compressed = native_packet(packet.data)
            compressed.time_base = TIME_BASE
            compressed.pts = packet.sequence
        try:
            with self._counted():
                return self._decoder.decode(compressed, wait=not self._is_behind())
        except av.FFmpegError:
            self._leave_out(list(self._in_decoder.values()))
            return []

    def _take(self, frames: list[av.VideoFrame]) -> None:
        for frame in frames:
            # The packet's number travels through the decoder as the PTS.
            packet = self._in_decoder.get(-1 if frame.pts is None else frame.pts)
            if packet is None:
                continue
            moment = packet.captured_ns
            if moment >= self._from_ns:
                self._tap(packet, frame)
                if self._last_pts < 0:
                    self.first_ns = moment
                    self._file.tag_beginning(moment)
                pts = max(ticks(moment - self.first_ns), self._last_pts + 1)
                self._last_pts = pts
                self._in_encoder.append((pts, moment))
                del self._in_decoder[packet.sequence]
                with self._counted():
                    encoded = self._encoder.encode(frame, pts)
                self._mux(encoded)
            # A decoder gives pictures in the order they are shown in.
            self._leave_out([old for old in self._in_decoder.values() if old.captured_ns <= moment])

    @contextmanager
    def _counted(self) -> Iterator[None]:
        began_ns = self._clock()
        try:
            yield
        finally:
            self.encoding_ns += self._clock() - began_ns

    def _leave_out(self, packets: list[Packet]) -> None:
        """These will never come out of the decoder any more."""
        for packet in packets:
            del self._in_decoder[packet.sequence]
            self.left_out += packet.captured_ns >= self._from_ns

    def _mux(self, encoded: list[VideoPacket]) -> None:
        for packet in encoded:
            if not self._in_encoder or packet.pts != self._in_encoder[0][0]:
                raise _swallowed(1)
            captured_ns = self._in_encoder[0][1]
            self._file.show_clock(captured_ns - self.first_ns, captured_ns + self._wall_offset_ns)
            self._file.mux(packet)
            self._in_encoder.popleft()
            self.frames += 1
            self.written_ns = captured_ns


def _swallowed(count: int) -> DeviceError:
    return DeviceError(
        f"The encoder lost or mixed up {count} picture{'s' if count != 1 else ''}",
        ANOTHER_ENCODER,
    )
