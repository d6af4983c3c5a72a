"""One encoder at work: decoded pictures in, packets of one stream out.

Colours: pictures keep the range the camera gave them and the file says which it is.
Squeezing full range into limited range costs 7 to 10 ms of CPU for a 4K picture,
keeping it 0 (planar) or 1.3 ms (NV12) (measured); players and browsers honour the
flag, since the videos of most Android phones are full range too.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TypeAlias, cast

from av.codec.context import ThreadType
from av.container import OutputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.frame import PictureType, VideoFrame
from av.video.reformatter import (
    ColorPrimaries,
    ColorRange,
    Colorspace,
    ColorTrc,
    Interpolation,
    VideoReformatter,
)
from av.video.stream import VideoStream

from recorderd.engine.encoder_kinds import ANOTHER_ENCODER, EncodeRequest, EncoderKind
from recorderd.engine.footage_file import TIME_BASE
from recorderd.engine.packets import INTRA_ONLY_CODECS
from recorderd.errors import DeviceError, InvariantViolationError

VideoPacket: TypeAlias = "Packet[VideoStream]"

_SMPTE_170M_MATRIX = 6
_UNSPECIFIED_MATRIX = 2
"""AVColorSpace, as ITU-T H.273 numbers matrix coefficients."""


class VideoEncoder:
    """An open encoder that feeds one stream of one container. Used by one thread.

    Pictures come out in the order and with the PTS they went in, with a keyframe at the
    start and at least every `gop_seconds`; nothing is reordered, so PTS equals DTS.
    """

    def __init__(
        self,
        container: OutputContainer,
        kind: EncoderKind,
        request: EncodeRequest,
    ) -> None:
        """Add a stream to `container` and open the kind's first variant.

        Nothing is written yet. Raises DeviceError; the container then holds a dead stream
        and is of no use.
        """
        variant = kind.variants[0]
        self._kind = kind
        self._request = request
        self._full_range = request.full_range and kind.keeps_full_range
        self._pixel_format = kind.pixel_format
        if self._full_range and kind.pixel_format == "yuv420p":
            # FFmpeg's other name for the same memory: the camera's pictures need no copy.
            self._pixel_format = "yuvj420p"
        self._reformatter = VideoReformatter()
        self._frame_ticks = round(1 / (request.rate * TIME_BASE))
        self._gop_ticks = round(request.gop_seconds / TIME_BASE)
        self._last_pts: int | None = None
        self._last_keyframe_pts: int | None = None
        self._header = b""
        try:
            stream = container.add_stream(
                kind.name, rate=request.rate, options=variant.options_for(request)
            )
            assert isinstance(stream, VideoStream)  # noqa: S101 - for the type checker
            self.stream = stream
            self._configure()
            stream.codec_context.open()
        except (FFmpegError, ValueError) as error:
            raise DeviceError(
                f"The encoder {kind.name} ({variant.name}) does not start: {library_words(error)}",
                kind.remedy,
            ) from error

    def encode(self, frame: VideoFrame, pts: int) -> list[VideoPacket]:
        """Give the encoder a decoded picture, which is ours from now on.

        `pts` counts 1/90000 s and must grow from picture to picture. Returns the packets
        that are ready, often of earlier pictures. Raises DeviceError.
        """
        if self._last_pts is not None and pts <= self._last_pts:
            raise InvariantViolationError(
                f"A picture at {pts} was to be encoded after the one at {self._last_pts}"
            )
        self._last_pts = pts
        try:
            picture = self._fitting(frame)
            # Pictures from MJPEG say "I"; an encoder would take that as an order.
            picture.pict_type = PictureType.I if self._keyframe_due(pts) else PictureType.NONE
            picture.pts = pts
            picture.time_base = TIME_BASE
            picture.duration = self._frame_ticks
            return self._ready(self.stream.encode(picture))
        except (FFmpegError, ValueError) as error:
            raise self._failed(error) from error

    def flush(self) -> list[VideoPacket]:
        """The last packets; nothing can be encoded afterwards. Raises DeviceError."""
        try:
            return self._ready(self.stream.encode(None))
        except (FFmpegError, ValueError) as error:
            raise self._failed(error) from error

    def _configure(self) -> None:
        context = self.stream.codec_context
        request = self._request
        context.width, context.height = request.recorded_width, request.recorded_height
        context.pix_fmt = self._pixel_format
        context.time_base = TIME_BASE
        # One more than a GOP should have, so that it is the clock that decides.
        context.gop_size = round(request.rate * Fraction(request.gop_seconds)) + 1
        context.max_b_frames = 0
        # PyAV's own choice is slices, which no encoder gets unless its variant asks for them.
        context.thread_type = ThreadType.AUTO
        context.color_range = ColorRange.JPEG if self._full_range else ColorRange.MPEG
        if request.codec in INTRA_ONLY_CODECS:
            # The colours of a camera that does not say otherwise (USB Video Class 1.5,
            # colour matching descriptor); JPEG's matrix is the same (JFIF, BT.601).
            context.colorspace = _SMPTE_170M_MATRIX
            context.color_primaries = ColorPrimaries.BT709
            context.color_trc = ColorTrc.BT709
        else:
            context.colorspace = _UNSPECIFIED_MATRIX
            context.color_primaries = ColorPrimaries.UNSPECIFIED
            context.color_trc = ColorTrc.UNSPECIFIED

    def _fitting(self, frame: VideoFrame) -> VideoFrame:
        """The picture as the encoder wants it, the very same one where possible."""
        request = self._request
        if (frame.width, frame.height) != (request.width, request.height):
            raise DeviceError(
                f"The camera changed its picture size to {frame.width}x{frame.height}",
                "Unplug the camera and plug it in again",
            )
        recorded = (request.recorded_width, request.recorded_height)
        same_size = (frame.width, frame.height) == recorded
        same_range = request.full_range == self._full_range
        if frame.format.name == self._pixel_format and same_range and same_size:
            return frame
        return self._reformatter.reformat(
            frame,
            *recorded,
            format=self._pixel_format,
            src_colorspace=Colorspace.ITU601,
            dst_colorspace=Colorspace.ITU601,
            src_color_range=ColorRange.JPEG if request.full_range else ColorRange.MPEG,
            dst_color_range=ColorRange.JPEG if self._full_range else ColorRange.MPEG,
            # Of pictures that become smaller all of a label's modules have to count.
            interpolation=Interpolation.FAST_BILINEAR if same_size else Interpolation.AREA,
        )

    def _keyframe_due(self, pts: int) -> bool:
        last = self._last_keyframe_pts
        # Half a picture early is on time: pictures never come exactly when they should.
        if last is not None and pts - last < self._gop_ticks - self._frame_ticks // 2:
            return False
        self._last_keyframe_pts = pts
        return True

    def _ready(self, packets: Sequence[VideoPacket]) -> list[VideoPacket]:
        if not self._kind.header_packet:
            return list(packets)
        ready = []
        for packet in packets:
            if not holds_picture(bytes(packet)):
                self._header += bytes(packet)
                continue
            ready.append(with_header(self._header, packet) if self._header else packet)
            self._header = b""
        return ready

    def _failed(self, error: Exception) -> DeviceError:
        return DeviceError(
            f"The encoder {self._kind.name} failed while encoding: {library_words(error)}",
            ANOTHER_ENCODER,
        )


def holds_picture(annex_b: bytes) -> bool:
    """Whether an H.264 byte stream (Annex B) has a coded slice, not only headers."""
    start = annex_b.find(b"\0\0\1")
    while 0 <= start < len(annex_b) - 3:
        if 1 <= annex_b[start + 3] & 0x1F <= 5:
            return True
        start = annex_b.find(b"\0\0\1", start + 3)
    return False


def with_header(header: bytes, packet: VideoPacket) -> VideoPacket:
    """The packet with headers in front of its picture, otherwise equal."""
    merged = cast(VideoPacket, Packet(header + bytes(packet)))
    merged.stream = packet.stream
    merged.time_base = packet.time_base
    merged.pts, merged.dts, merged.duration = packet.pts, packet.dts, packet.duration
    merged.is_keyframe = packet.is_keyframe
    return merged


def library_words(error: Exception) -> str:
    """What FFmpeg itself said about a failure, else the text of its error number.

    FFmpeg is only heard while `av.logging` has a level. Give it one for moments at most:
    to log, a codec's thread takes the GIL, and PyAV frees a codec while holding it, so the
    two can wait for each other for ever (PyAV#751; measured with a threaded decoder).
    """
    if isinstance(error, FFmpegError):
        # PyAV 18 declares another shape than it delivers: (level, part of FFmpeg, words).
        logged = cast("tuple[int, str, str] | None", error.log)
        words = logged[2].strip().rstrip(".") if logged else ""
        return words or error.strerror or str(error)
    return str(error)
