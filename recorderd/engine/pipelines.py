"""From camera pictures to packets in a file: copied as they are, or decoded and encoded."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol, TypeAlias

import av
from av.container import OutputContainer
from av.video.codeccontext import VideoCodecContext

from recorderd.core.model import Nanoseconds
from recorderd.engine.encoder_kinds import EncodeRequest, EncoderKind
from recorderd.engine.encoders import VideoEncoder, VideoPacket
from recorderd.engine.footage_file import TIME_BASE, FootageFile, ticks
from recorderd.engine.packets import Packet, StreamDescription
from recorderd.engine.session import Tap
from recorderd.errors import DeviceError


class FrameEncoder(Protocol):
    """What a recording needs of an encoder; `VideoEncoder` is the real one."""

    def encode(self, frame: av.VideoFrame, pts: int) -> list[VideoPacket]:
        """Take a picture at `pts` (units of 1/90000 s). Raises DeviceError."""

    def flush(self) -> list[VideoPacket]:
        """Give out what is still inside. Raises DeviceError."""


MakeEncoder: TypeAlias = Callable[[OutputContainer, EncoderKind, EncodeRequest], FrameEncoder]


class Pipeline(Protocol):
    """Writes one recording's pictures into its file. Used by the recording's thread."""

    frames: int
    """Pictures that are in the file."""

    undecodable: int
    """Pictures that had to be left out because they were damaged."""

    written_ns: Nanoseconds
    """Capture time of the newest picture in the file."""

    def write(self, packet: Packet) -> None:
        """Take the next picture. Raises StorageError, DeviceError (encoder)."""

    def finish(self) -> None:
        """Write what is still on its way. Raises as `write`."""

    @property
    def resume_ns(self) -> Nanoseconds:
        """Capture time from which on pictures are not in the file, after a failure."""


class CopyPipeline:
    """The camera's own packets, untouched."""

    def __init__(
        self,
        file: FootageFile,
        description: StreamDescription,
        first_ns: Nanoseconds,
        wall_offset_ns: Nanoseconds,
    ) -> None:
        self.frames = 0
        self.undecodable = 0
        self.written_ns = first_ns
        self._resume_ns = first_ns
        self._file = file
        self._first_ns = first_ns
        self._wall_offset_ns = wall_offset_ns
        self._stream = file.container.add_mux_stream(
            description.codec,
            rate=description.rate,
            width=description.width,
            height=description.height,
            time_base=TIME_BASE,
        )
        context = self._stream.codec_context
        if description.extradata:
            context.extradata = description.extradata
        if description.codec == "hevc":
            context.codec_tag = "hvc1"  # Safari plays no other HEVC
        file.add_clock_track()

    def write(self, packet: Packet) -> None:
        self._resume_ns = packet.captured_ns
        offset_ns = packet.captured_ns - self._first_ns
        self._file.show_clock(max(0, offset_ns), packet.captured_ns + self._wall_offset_ns)
        copy = av.Packet(packet.data)
        copy.stream = self._stream
        copy.time_base = TIME_BASE
        copy.pts = ticks(offset_ns)
        copy.dts = ticks(packet.decode_ns - self._first_ns)
        copy.is_keyframe = packet.keyframe
        self._file.mux(copy)
        self.frames += 1
        self.written_ns = max(self.written_ns, packet.captured_ns)

    def finish(self) -> None:
        """Nothing is ever on its way."""

    @property
    def resume_ns(self) -> Nanoseconds:
        return self._resume_ns


class EncodePipeline:
    """Decode, hand the picture to whoever wants to look at it, encode."""

    def __init__(
        self,
        file: FootageFile,
        description: StreamDescription,
        encoder: FrameEncoder,
        first_ns: Nanoseconds,
        wall_offset_ns: Nanoseconds,
        tap: Tap,
    ) -> None:
        self.frames = 0
        self.undecodable = 0
        self.written_ns = first_ns
        self._file = file
        self._encoder = encoder
        self._first_ns = first_ns
        self._wall_offset_ns = wall_offset_ns
        self._tap = tap
        self._decoder = decoder_for(description)
        self._packets: deque[Packet] = deque()
        self._on_their_way: deque[Nanoseconds] = deque()
        file.add_clock_track()

    def write(self, packet: Packet) -> None:
        self._packets.append(packet)
        self._take(self._decode(packet))

    def finish(self) -> None:
        self._take(self._decode(None))
        self._mux(self._encoder.flush())

    @property
    def resume_ns(self) -> Nanoseconds:
        if self._on_their_way:
            return self._on_their_way[0]
        return self._packets[0].captured_ns if self._packets else self.written_ns + 1

    def _decode(self, packet: Packet | None) -> list[av.VideoFrame]:
        """Damaged pictures are counted, not raised: the next one is whole again."""
        compressed = None
        if packet is not None:
            compressed = av.Packet(packet.data)
            compressed.time_base = TIME_BASE
            compressed.pts = packet.sequence
        try:
            return list(self._decoder.decode(compressed))
        except av.FFmpegError:
            self.undecodable += 1
            if packet is not None and packet in self._packets:
                self._packets.remove(packet)
            return []

    def _take(self, frames: list[av.VideoFrame]) -> None:
        for frame in frames:
            packet = self._packet_of(frame)
            if packet is None or packet.captured_ns < self._first_ns:
                continue
            self._tap(packet, frame)
            self._on_their_way.append(packet.captured_ns)
            self._mux(self._encoder.encode(frame, ticks(packet.captured_ns - self._first_ns)))

    def _packet_of(self, frame: av.VideoFrame) -> Packet | None:
        """The packet a decoded picture came from: its number travels as the PTS."""
        for packet in self._packets:
            if packet.sequence == frame.pts:
                while self._packets[0].sequence < packet.sequence:
                    self._packets.popleft()
                self._packets.remove(packet)
                return packet
        return None

    def _mux(self, encoded: list[VideoPacket]) -> None:
        for packet in encoded:
            captured_ns = self._on_their_way[0]
            offset_ns = captured_ns - self._first_ns
            self._file.show_clock(offset_ns, captured_ns + self._wall_offset_ns)
            self._file.mux(packet)
            self._on_their_way.popleft()
            self.frames += 1
            self.written_ns = captured_ns


def decoder_for(description: StreamDescription) -> VideoCodecContext:
    """A decoder that reports damaged pictures instead of hiding them. Raises DeviceError."""
    try:
        decoder = VideoCodecContext.create(description.codec, "r")
        assert isinstance(decoder, VideoCodecContext)  # noqa: S101 - for the type checker
        decoder.extradata = description.extradata or None
        decoder.options = {"err_detect": "explode"}
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


def make_video_encoder(
    container: OutputContainer, kind: EncoderKind, request: EncodeRequest
) -> FrameEncoder:
    """The real thing; tests put a failing one in its place."""
    return VideoEncoder(container, kind, request)
