"""Small cameras for the tests of the recording path: pictures that can be told apart."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType
from numpy.typing import NDArray

from recorderd.core.model import Mode, Nanoseconds
from recorderd.engine.encoder_kinds import (
    EncodeRequest,
    EncoderKind,
    EncoderVariant,
    kind_named,
)
from recorderd.engine.mode import Choice
from recorderd.engine.packet_buffer import PacketBuffer
from recorderd.engine.packets import Packet, SourcePacket, StreamDescription
from recorderd.engine.session import Session, Tap
from recorderd.settings import RecordingSettings
from recorderd.store.footage import RecordingFiles

WIDTH, HEIGHT = 160, 120
START: Nanoseconds = 5_000_000_000_000
"""When the first picture is taken, as on a machine that has been up for a while."""
PERIOD: Nanoseconds = 33_333_333
SETTINGS = RecordingSettings(gop_seconds=0.5)
X264 = kind_named("libx264").only("ultrafast")
X264_BESIDE = EncoderKind(
    name="libx264",
    hardware="the processor, in an ffmpeg program",
    pixel_format="yuv420p",
    variants=(
        EncoderVariant(
            "ultrafast",
            (("preset", "ultrafast"), ("crf", "{quality}"), ("sc_threshold", "0")),
            filters="scale={width}:{height}:in_range={range}:out_range={range},format=yuvj420p",
        ),
    ),
    remedy="Install ffmpeg",
    beside=True,
)
"""In place of hardware that only an ffmpeg program can use."""
_BITS = 12


def at_rate(count: int, rate: Fraction = Fraction(30)) -> list[Nanoseconds]:
    """Capture times of a camera that keeps time perfectly."""
    return [START + round(number * 1_000_000_000 / rate) for number in range(count)]


def drawn(number: int) -> av.VideoFrame:
    """A full-range picture with its number written in bars of black and white."""
    luma = np.full((HEIGHT, WIDTH), 128, np.uint8)
    width = WIDTH // _BITS
    for bit in range(_BITS):
        luma[20:100, bit * width : (bit + 1) * width] = 235 if number >> bit & 1 else 20
    frame = av.VideoFrame.from_ndarray(luma, "gray").reformat(format="yuvj420p")
    frame.pict_type = PictureType.NONE
    return frame


def number_in(frame: av.VideoFrame) -> int:
    """Read back what `drawn` wrote, after any lossy compression."""
    return number_in_luma(frame.to_ndarray(format="gray"))


def number_in_luma(luma: NDArray[Any]) -> int:
    """The same for a picture's brightness alone, of any range."""
    width = WIDTH // _BITS
    bars = (luma[50:70, bit * width + 4 : (bit + 1) * width - 4] for bit in range(_BITS))
    return sum(int(bar.mean() > 128) << bit for bit, bar in enumerate(bars))


@cache
def jpeg(number: int) -> bytes:
    """A camera's JPEG, full range."""
    encoder = _encoder("mjpeg")
    encoder.pix_fmt = "yuvj420p"
    encoder.options = {"qmin": "2", "qmax": "4"}
    return b"".join(bytes(packet) for packet in [*encoder.encode(drawn(number)), *encoder.encode()])


def _encoder(name: str) -> VideoCodecContext:
    encoder = VideoCodecContext.create(name, "w")
    assert isinstance(encoder, VideoCodecContext)
    encoder.width, encoder.height = WIDTH, HEIGHT
    encoder.time_base = Fraction(1, 30)
    encoder.framerate = Fraction(30)
    return encoder


def mjpeg_stream() -> StreamDescription:
    return StreamDescription("mjpeg", WIDTH, HEIGHT, Fraction(30), "yuvj420p", full_range=True)


def mjpeg_packets(
    times: Iterable[Nanoseconds], first_sequence: int = 1, first_number: int = 0
) -> list[Packet]:
    return [
        Packet(first_sequence + index, jpeg(first_number + index), moment, moment, keyframe=True)
        for index, moment in enumerate(times)
    ]


@cache
def inter_stream(
    count: int,
    *,
    codec: str = "h264",
    gop: int = 10,
    b_frames: int = 0,
    global_header: bool = False,
    open_gop: bool = False,
) -> tuple[StreamDescription, tuple[Packet, ...]]:
    """A camera that compresses by itself (Annex B), at 30 pictures a second.

    With `global_header` the parameter sets are in the stream's header only.
    """
    encoder = _encoder("libx264" if codec == "h264" else "libx265")
    encoder.pix_fmt = "yuv420p"
    encoder.gop_size = gop
    encoder.max_b_frames = b_frames
    library = "x264-params" if codec == "h264" else "x265-params"
    encoder.options = {
        "preset": "ultrafast",
        library: f"keyint={gop}:min-keyint={gop}:scenecut=0:bframes={b_frames}:b-adapt=0"
        f":open-gop={int(open_gop)}" + (":log-level=none" if codec == "hevc" else ""),
    }
    if global_header:
        encoder.flags |= 1 << 22
    times = at_rate(count)
    compressed = []
    for number in range(count):
        frame = drawn(number).reformat(format="yuv420p", dst_color_range="MPEG")
        frame.pict_type = PictureType.NONE
        frame.pts, frame.time_base = number, Fraction(1, 30)
        compressed += encoder.encode(frame)
    compressed += encoder.encode(None)
    packets = []
    for index, packet in enumerate(compressed):
        assert packet.pts is not None
        assert packet.dts is not None
        decode_ns = START + round(packet.dts * Fraction(1_000_000_000, 30))
        packets.append(
            Packet(index + 1, bytes(packet), times[packet.pts], decode_ns, packet.is_keyframe)
        )
    extradata = bytes(encoder.extradata or b"")
    if not global_header:
        extradata = parameter_sets(packets[0].data, codec)
    description = StreamDescription(
        codec, WIDTH, HEIGHT, Fraction(30), "yuv420p", full_range=False, extradata=extradata
    )
    return description, tuple(packets)


def nal_units(annex_b: bytes) -> list[bytes]:
    """The units of an Annex B byte stream (ITU-T H.264, annex B), without start codes."""
    units = annex_b.replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1")
    return [unit for unit in units if unit]


def nal_units_in_mp4(sample: bytes) -> list[bytes]:
    """The units of a sample in MP4, each behind its length (ISO/IEC 14496-15)."""
    units = []
    while sample:
        length = int.from_bytes(sample[:4], "big")
        units.append(sample[4 : 4 + length])
        sample = sample[4 + length :]
    return units


def parameter_sets(annex_b: bytes, codec: str) -> bytes:
    def wanted(unit: bytes) -> bool:
        return unit[0] & 31 in (7, 8) if codec == "h264" else unit[0] >> 1 & 63 in (32, 33, 34)

    return b"".join(b"\0\0\0\1" + unit for unit in nal_units(annex_b) if wanted(unit))


def packets_of(path: Path) -> Iterator[tuple[int, bytes, bool]]:
    """The video packets of a file: PTS in 1/90000 s, content, keyframe."""
    with av.open(str(path)) as container:
        for packet in container.demux(container.streams.video[0]):
            if packet.pts is not None and packet.size:
                ticks = packet.pts * packet.time_base * 90_000
                assert ticks.denominator == 1
                yield int(ticks), bytes(packet), packet.is_keyframe


def numbers_in(path: Path) -> list[int]:
    """The numbers of all pictures of a file, in the order they are shown in."""
    with av.open(str(path)) as container:
        return [number_in(frame) for frame in container.decode(container.streams.video[0])]


def nobody_looks(_packet: Packet, _frame: av.VideoFrame) -> None:
    """A tap for recordings without a scanner."""


def session_of(
    description: StreamDescription,
    mode: Mode = Mode.COPY,
    *,
    keep_ns: Nanoseconds = 3_000_000_000,
    largest_bytes: int = 100_000_000,
    tap: Tap = nobody_looks,
) -> Session:
    encoder = X264 if mode is Mode.ENCODE else None
    return Session(
        description, PacketBuffer(keep_ns, largest_bytes), Choice(mode, encoder, "test"), tap
    )


def files_in(folder: Path, name: str = "one") -> RecordingFiles:
    """Names as the store gives them; the folder of incoming footage is made."""
    incoming = folder / "incoming"
    incoming.mkdir(parents=True, exist_ok=True)
    (folder / "footage").mkdir(exist_ok=True)
    day = folder / "footage" / "2025" / "01" / "31"
    return RecordingFiles(
        incoming / f"{name}.mp4", incoming / f"{name}.jpg", day / f"{name}.mp4", day / f"{name}.jpg"
    )


class FakeSource:
    """Plays a script: packets, errors to raise, or functions that are called for a packet."""

    def __init__(
        self,
        script: Iterable[SourcePacket | Exception | Callable[[], SourcePacket | None] | None],
        description: StreamDescription | None = None,
        failure: Exception | None = None,
    ) -> None:
        self._script = iter(script)
        self._description = description or mjpeg_stream()
        self._failure = failure
        self.interrupted = threading.Event()
        self.closed = 0

    def open(self) -> StreamDescription:
        if self._failure is not None:
            raise self._failure
        return self._description

    def read(self) -> SourcePacket | None:
        step = next(self._script, None)
        if isinstance(step, Exception):
            raise step
        return step() if callable(step) else step

    def interrupt(self) -> None:
        self.interrupted.set()

    def close(self) -> None:
        self.closed += 1


def of_size(request: EncodeRequest, width: int, height: int) -> EncodeRequest:
    """The same for a camera with pictures of this size, encoded as they come."""
    return replace(
        request, width=width, height=height, recorded_width=width, recorded_height=height
    )
