from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

import av
import numpy as np
import pytest

from recorderd.engine import pipelines
from recorderd.engine.decoding import InterDecoder
from recorderd.engine.encoder_kinds import EncodeRequest
from recorderd.engine.encoders import VideoEncoder, VideoPacket
from recorderd.engine.footage_file import FootageFile, ticks
from recorderd.engine.packets import Packet, StreamDescription
from recorderd.engine.pipelines import CopyPipeline, EncodePipeline, FrameEncoder
from recorderd.engine.session import Tap
from recorderd.errors import DeviceError
from tests.engine.pictures import (
    HEIGHT,
    SETTINGS,
    START,
    WIDTH,
    X264,
    at_rate,
    inter_stream,
    jpeg,
    mjpeg_packets,
    mjpeg_stream,
    nal_units,
    nal_units_in_mp4,
    nobody_looks,
    number_in,
    numbers_in,
    packets_of,
    parameter_sets,
)

IRREGULAR = [
    START + n * 33_333_333 + (n * 7_919_317) % 15_000_000 + (2_000_000_000 if n > 20 else 0)
    for n in range(40)
]


opened: list[FootageFile] = []


@pytest.fixture(autouse=True)
def nothing_stays_open() -> Iterator[None]:
    yield
    while opened:
        opened.pop().abandon()


def footage_file(path: Path) -> FootageFile:
    opened.append(FootageFile(path, {}, 1.0))
    return opened[-1]


def copy(path: Path, description: StreamDescription, packets: Sequence[Packet]) -> CopyPipeline:
    file = footage_file(path)
    pipeline = CopyPipeline(file, description, packets[0].captured_ns, 0)
    for packet in packets:
        pipeline.write(packet)
    pipeline.finish()
    file.close()
    return pipeline


class Encoding:
    """An encode pipeline with its file."""

    begun: ClassVar[list[Encoding]] = []

    def __init__(
        self,
        path: Path,
        description: StreamDescription,
        from_ns: int,
        tap: Tap = nobody_looks,
        encoder: FrameEncoder | None = None,
        behind: bool = False,
    ) -> None:
        self.behind = behind
        self.file = footage_file(path)
        request = EncodeRequest.for_stream(description, SETTINGS)
        encoder = encoder or VideoEncoder(self.file.container, X264, request)
        self.pipeline = EncodePipeline(
            self.file, description, encoder, from_ns, 0, tap, is_behind=lambda: self.behind
        )
        self.begun.append(self)

    def write(self, packets: Sequence[Packet]) -> EncodePipeline:
        for packet in packets:
            self.pipeline.write(packet)
        return self.pipeline

    def finish(self) -> None:
        self.pipeline.finish()
        self.file.close()


@pytest.fixture(autouse=True)
def none_is_left_open() -> Iterator[None]:
    """As a recording does it, however it ends."""
    yield
    while Encoding.begun:
        Encoding.begun.pop().pipeline.close()


def offsets(packets: Sequence[Packet]) -> list[int]:
    return [ticks(packet.captured_ns - packets[0].captured_ns) for packet in packets]


def clock_times(path: Path) -> list[int]:
    """When the wall clock's seconds are shown, in 1/90000 s."""
    with av.open(str(path)) as container:
        return [
            int(packet.pts * packet.time_base * 90_000)
            for packet in container.demux(container.streams.subtitles[0])
            if packet.pts is not None and packet.size > 2
        ]


# --- copying


def test_copied_jpegs_are_the_same_to_the_byte_at_their_times(tmp_path: Path) -> None:
    packets = mjpeg_packets(IRREGULAR)
    pipeline = copy(tmp_path / "a.mp4", mjpeg_stream(), packets)
    assert list(packets_of(tmp_path / "a.mp4")) == [
        (offset, packet.data, True)
        for offset, packet in zip(offsets(packets), packets, strict=True)
    ]
    assert pipeline.frames == 40
    assert pipeline.written_ns == packets[-1].captured_ns
    assert pipeline.resume_ns == packets[-1].captured_ns + 1


@pytest.mark.parametrize("codec", ["h264", "hevc"])
@pytest.mark.parametrize("b_frames", [0, 2])
@pytest.mark.parametrize("global_header", [False, True], ids=["in-band", "header"])
def test_copied_inter_pictures_are_the_same_at_their_times(
    tmp_path: Path, codec: str, b_frames: int, global_header: bool
) -> None:
    description, packets = inter_stream(
        40, codec=codec, b_frames=b_frames, global_header=global_header
    )
    pipeline = copy(tmp_path / "a.mp4", description, packets)
    copied = list(packets_of(tmp_path / "a.mp4"))
    # With B-frames a file begins with decoding, before the first picture is shown.
    begin = copied[0][0]
    assert begin == b_frames * 3000
    assert [(pts - begin, keyframe) for pts, _, keyframe in copied] == [
        (ticks(packet.captured_ns - START), packet.keyframe) for packet in packets
    ]
    assert clock_times(tmp_path / "a.mp4") == [0, begin + 90_000]
    # Under the tag hvc1 parameter sets belong into the header only (ISO/IEC 14496-15).
    moved = nal_units(parameter_sets(packets[0].data, "hevc")) if codec == "hevc" else []
    assert [nal_units_in_mp4(sample) for _, sample, _ in copied] == [
        [unit for unit in nal_units(packet.data) if unit not in moved] for packet in packets
    ]
    assert numbers_in(tmp_path / "a.mp4") == list(range(40))
    assert pipeline.written_ns == START + round(39 * 1_000_000_000 / 30)


def test_a_camera_without_a_header_of_its_own_is_copied_too(tmp_path: Path) -> None:
    described, packets = inter_stream(20)
    description = StreamDescription("h264", WIDTH, HEIGHT, Fraction(30), "yuv420p", False)
    assert described.extradata
    copy(tmp_path / "a.mp4", description, packets)
    assert numbers_in(tmp_path / "a.mp4") == list(range(20))


def test_pictures_from_an_mp4_file_keep_their_shape(tmp_path: Path) -> None:
    """A file source gives pictures as MP4 holds them, with a header to match."""
    description, packets = inter_stream(20)
    copy(tmp_path / "a.mp4", description, packets)
    with av.open(str(tmp_path / "a.mp4")) as container:
        header = bytes(container.streams.video[0].codec_context.extradata or b"")
    assert header[0] == 1
    again = [
        Packet(packet.sequence, content, packet.captured_ns, packet.decode_ns, packet.keyframe)
        for packet, (_, content, _) in zip(packets, packets_of(tmp_path / "a.mp4"), strict=True)
    ]
    from_file = StreamDescription(
        "h264", WIDTH, HEIGHT, Fraction(30), "yuv420p", False, extradata=header
    )
    copy(tmp_path / "b.mp4", from_file, again)
    assert list(packets_of(tmp_path / "b.mp4")) == list(packets_of(tmp_path / "a.mp4"))


@pytest.mark.parametrize("global_header", [False, True], ids=["in-band", "header"])
def test_copied_hevc_is_marked_as_safari_wants_it(tmp_path: Path, global_header: bool) -> None:
    description, packets = inter_stream(20, codec="hevc", global_header=global_header)
    copy(tmp_path / "a.mp4", description, packets)
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.codec_tag == "hvc1"
        assert parameter_sets(packets[0].data, "hevc") or global_header
        assert stream.codec_context.extradata


def test_pictures_shown_before_the_first_keyframe_are_not_copied(tmp_path: Path) -> None:
    """An open GOP begins with pictures that need the one before it."""
    description, packets = inter_stream(40, codec="hevc", b_frames=2, gop=12, open_gop=True)
    begin = next(i for i, packet in enumerate(packets) if packet.keyframe and i)
    leading = [p for p in packets[begin:] if p.captured_ns < packets[begin].captured_ns]
    assert leading, "this stream proves nothing"
    pipeline = copy(tmp_path / "a.mp4", description, packets[begin:])
    copied = list(packets_of(tmp_path / "a.mp4"))
    assert min(pts for pts, _, _ in copied) == copied[0][0]
    assert pipeline.frames == len(copied) == len(packets) - begin - len(leading)
    first = round((packets[begin].captured_ns - START) * 30 / 1e9)
    assert numbers_in(tmp_path / "a.mp4") == list(range(first, 40))


def test_what_mp4_cannot_hold_is_said_in_words(tmp_path: Path) -> None:
    file = footage_file(tmp_path / "a.mp4")
    description = StreamDescription("huffyuv", WIDTH, HEIGHT, Fraction(30), "yuv422p", False)
    with pytest.raises(DeviceError, match="cannot be copied"):
        CopyPipeline(file, description, START, 0)


# --- encoding


@pytest.mark.parametrize("times", [at_rate(40), IRREGULAR], ids=["regular", "irregular"])
def test_every_encoded_picture_keeps_its_time(tmp_path: Path, times: list[int]) -> None:
    packets = mjpeg_packets(times)
    encoding = Encoding(tmp_path / "a.mp4", mjpeg_stream(), START)
    encoding.write(packets)
    encoding.finish()
    encoded = list(packets_of(tmp_path / "a.mp4"))
    assert [pts for pts, _, _ in encoded] == offsets(packets)
    assert numbers_in(tmp_path / "a.mp4") == list(range(40))
    pipeline = encoding.pipeline
    assert (pipeline.frames, pipeline.left_out) == (40, 0)
    assert pipeline.resume_ns == packets[-1].captured_ns + 1
    keyframes = [pts for pts, _, keyframe in encoded if keyframe]
    gaps = [later - earlier for earlier, later in pairwise(keyframes)]
    allowed = 45_000 if times is not IRREGULAR else 45_000 + 180_000
    assert keyframes[0] == 0
    assert len(gaps) >= 2
    assert max(gaps) <= allowed + 3000


@pytest.mark.parametrize("b_frames", [0, 2])
@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_inter_pictures_are_encoded_from_the_moment_asked_for(
    tmp_path: Path, codec: str, b_frames: int
) -> None:
    description, packets = inter_stream(40, codec=codec, b_frames=b_frames)
    moment = START + 200_000_000  # just after picture 6 was taken
    looked: list[int] = []
    encoding = Encoding(
        tmp_path / "a.mp4",
        description,
        moment + 1_000_000,
        lambda _packet, frame: looked.append(number_in(frame)),
    )
    encoding.write(packets)
    encoding.finish()
    assert numbers_in(tmp_path / "a.mp4") == list(range(7, 40)) == looked
    pipeline = encoding.pipeline
    assert (pipeline.frames, pipeline.left_out) == (33, 0)
    assert pipeline.first_ns == at_rate(8)[7]
    times = sorted(packet.captured_ns for packet in packets)[7:]
    assert [pts for pts, _, _ in packets_of(tmp_path / "a.mp4")] == [
        ticks(time - times[0]) for time in times
    ]
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert container.metadata["monotonic_ns"] == str(times[0])


def damaged(packet: Packet) -> Packet:
    """Bytes in the middle are missing, as after a USB error that nobody noticed."""
    third = len(packet.data) // 3
    return replace(packet, data=packet.data[: third * 2] + b"\xff\xd9")


@pytest.mark.parametrize("bad", [{0}, {10}, {10, 11}, {5, 10, 39}])
def test_damaged_jpegs_are_counted_and_cost_only_themselves(tmp_path: Path, bad: set[int]) -> None:
    packets = [
        damaged(packet) if number in bad else packet
        for number, packet in enumerate(mjpeg_packets(at_rate(40)))
    ]
    encoding = Encoding(tmp_path / "a.mp4", mjpeg_stream(), START)
    encoding.write(packets)
    encoding.finish()
    assert numbers_in(tmp_path / "a.mp4") == [n for n in range(40) if n not in bad]
    assert (encoding.pipeline.frames, encoding.pipeline.left_out) == (40 - len(bad), len(bad))


@pytest.mark.parametrize("b_frames", [0, 2])
@pytest.mark.parametrize("codec", ["h264", "hevc"])
@pytest.mark.parametrize("threads", [1, 2, 6])
@pytest.mark.parametrize("garbage", [b"\0" * 9, b"\0\0\0\1\x41broken", b"\0\0\0\1\x02\x01broken"])
def test_a_damaged_inter_picture_is_counted_and_the_file_goes_on(
    tmp_path: Path, b_frames: int, codec: str, threads: int, garbage: bytes
) -> None:
    description, packets = inter_stream(60, codec=codec, b_frames=b_frames)
    broken = [replace(p, data=garbage) if 14 <= i < 16 else p for i, p in enumerate(packets)]
    encoding = Encoding(tmp_path / "a.mp4", description, START)
    decoder = encoding.pipeline._decoder
    assert isinstance(decoder, InterDecoder)
    decoder._decoder.thread_count = threads
    encoding.write(broken)
    encoding.finish()
    pipeline = encoding.pipeline
    assert pipeline.frames + pipeline.left_out == 60
    assert 2 <= pipeline.left_out <= 16
    shown = numbers_in(tmp_path / "a.mp4")
    assert len(shown) == pipeline.frames
    # From the next keyframe on all is well.
    assert shown[-40:] == list(range(20, 60))


@pytest.mark.parametrize("behind", [False, True])
def test_a_damaged_jpeg_costs_no_other_picture(tmp_path: Path, behind: bool) -> None:
    packets = mjpeg_packets(at_rate(40))
    broken = [damaged(p) if i in (0, 14, 15, 39) else p for i, p in enumerate(packets)]
    encoding = Encoding(tmp_path / "a.mp4", mjpeg_stream(), START, behind=behind)
    encoding.write(broken)
    encoding.finish()
    assert (encoding.pipeline.frames, encoding.pipeline.left_out) == (36, 4)
    whole = [number for number in range(40) if number not in (0, 14, 15, 39)]
    assert numbers_in(tmp_path / "a.mp4") == whole


def test_only_damaged_pictures_make_no_file_and_do_not_pile_up(tmp_path: Path) -> None:
    encoding = Encoding(tmp_path / "a.mp4", mjpeg_stream(), START)
    packets = [damaged(packet) for packet in mjpeg_packets(at_rate(20))]
    encoding.write(packets)
    encoding.write(mjpeg_packets([packets[-1].captured_ns + 33_000_000], first_sequence=30))
    assert encoding.pipeline.left_out == 20
    assert not encoding.pipeline._in_decoder
    encoding.finish()


def test_pictures_that_never_come_out_of_the_decoder_do_not_pile_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipelines, "MOST_IN_DECODER", 5)
    description, packets = inter_stream(60, gop=60)
    encoding = Encoding(tmp_path / "a.mp4", description, START)
    encoding.write(packets[1:])
    assert len(encoding.pipeline._in_decoder) <= 5
    encoding.finish()
    assert encoding.pipeline.frames + encoding.pipeline.left_out == 59


def test_pictures_whose_times_stand_still_are_all_kept_in_order(tmp_path: Path) -> None:
    times = [START, START + 33_000_000, START + 33_000_001, START + 33_000_002, START + 66_000_000]
    encoding = Encoding(tmp_path / "a.mp4", mjpeg_stream(), START)
    encoding.write(mjpeg_packets(times))
    encoding.finish()
    assert [pts for pts, _, _ in packets_of(tmp_path / "a.mp4")] == [0, 2970, 2971, 2972, 5940]


class Unreliable:
    """An encoder that gives up, or swallows a picture."""

    def __init__(self, encoder: VideoEncoder, fail_at: int = 999, swallow_at: int = 999) -> None:
        self._encoder = encoder
        self._fail_at = fail_at
        self._swallow_at = swallow_at
        self._count = 0

    def encode(self, frame: av.VideoFrame, pts: int) -> list[VideoPacket]:
        self._count += 1
        if self._count > self._fail_at:
            raise DeviceError("The encoder is gone", "Test")
        if self._count == self._swallow_at:
            return []
        return self._encoder.encode(frame, pts)

    def flush(self) -> list[VideoPacket]:
        return self._encoder.flush()


def unreliable(path: Path, *, fail_at: int = 999, swallow_at: int = 999) -> Encoding:
    encoding = Encoding(path, mjpeg_stream(), START)
    real = encoding.pipeline._encoder
    assert isinstance(real, VideoEncoder)
    encoding.pipeline._encoder = Unreliable(real, fail_at, swallow_at)
    return encoding


@pytest.mark.parametrize("fail_at", [0, 1, 7])
def test_after_a_failing_encoder_it_is_known_where_to_go_on(tmp_path: Path, fail_at: int) -> None:
    encoding = unreliable(tmp_path / "a.mp4", fail_at=fail_at)
    packets = mjpeg_packets(at_rate(20))
    with pytest.raises(DeviceError):
        encoding.write(packets)
    encoding.file.close()
    pipeline = encoding.pipeline
    assert pipeline.resume_ns == packets[pipeline.frames].captured_ns
    if pipeline.frames:
        assert numbers_in(tmp_path / "a.mp4") == list(range(pipeline.frames))


@pytest.mark.parametrize("swallow_at", [1, 10, 20])
def test_an_encoder_that_swallows_a_picture_is_found_out(tmp_path: Path, swallow_at: int) -> None:
    encoding = unreliable(tmp_path / "a.mp4", swallow_at=swallow_at)
    packets = mjpeg_packets(at_rate(20))
    with pytest.raises(DeviceError, match="lost or mixed up"):  # noqa: PT012 - sooner or later
        encoding.write(packets)
        encoding.pipeline.finish()
    assert encoding.pipeline.resume_ns == packets[swallow_at - 1].captured_ns


def test_decoded_pictures_are_not_kept(tmp_path: Path) -> None:
    """A 4K picture takes 12 MB: those that were encoded must go."""
    encoding = Encoding(tmp_path / "a.mp4", mjpeg_stream(), START)
    for packet in mjpeg_packets(at_rate(60)):
        encoding.pipeline.write(packet)
        assert len(encoding.pipeline._in_decoder) <= 1
    encoding.finish()
    assert not encoding.pipeline._in_encoder


def colour_card() -> bytes:
    """Red, green, blue and the greys from black to white, as a full-range JPEG."""
    card = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for index, colour in enumerate([(200, 30, 30), (30, 170, 40), (40, 50, 190)]):
        card[:60, index * 52 : (index + 1) * 52] = colour
    for index, grey in enumerate([0, 64, 128, 192, 255]):
        card[60:, index * 32 : (index + 1) * 32] = grey
    encoder = av.CodecContext.create("mjpeg", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = WIDTH, HEIGHT, "yuvj420p"
    encoder.time_base = Fraction(1, 30)
    encoder.options = {"qmin": "1", "qmax": "2"}
    frame = av.VideoFrame.from_ndarray(card, "rgb24").reformat(
        format="yuvj420p", dst_colorspace="ITU601", dst_color_range="JPEG"
    )
    return b"".join(bytes(p) for p in [*encoder.encode(frame), *encoder.encode(None)])


def shown_colours(frame: av.VideoFrame, full_range: bool) -> np.ndarray:
    picture = frame.reformat(
        format="rgb24",
        src_colorspace="ITU601",
        src_color_range="JPEG" if full_range else "MPEG",
        dst_color_range="JPEG",
    ).to_ndarray()
    patches = [picture[20:40, index * 52 + 15 : index * 52 + 37] for index in range(3)]
    patches += [picture[80:100, index * 32 + 8 : index * 32 + 24] for index in range(5)]
    return np.array([patch.reshape(-1, 3).mean(axis=0) for patch in patches])


def test_colours_come_back_as_the_file_says_they_are(tmp_path: Path) -> None:
    data = colour_card()
    encoding = Encoding(tmp_path / "a.mp4", mjpeg_stream(), START)
    encoding.write([Packet(n, data, time, time, True) for n, time in enumerate(at_rate(5))])
    encoding.finish()
    with av.open(str(tmp_path / "a.mp4")) as container:
        frame = next(container.decode(video=0))
        # AVCOL_RANGE_JPEG, and a matrix of BT.601 (5 and 6 are the same one).
        assert frame.color_range == 2
        assert frame.colorspace in (5, 6)
        colours = shown_colours(frame, full_range=True)
    wanted = [
        (200, 30, 30),
        (30, 170, 40),
        (40, 50, 190),
        *((g, g, g) for g in (0, 64, 128, 192, 255)),
    ]
    assert np.abs(colours - np.array(wanted)).max() < 8


def test_jpegs_are_what_the_tests_take_them_for() -> None:
    assert jpeg(5) != jpeg(6)
    decoder = av.CodecContext.create("mjpeg", "r")
    assert isinstance(decoder, av.VideoCodecContext)
    assert number_in(decoder.decode(av.Packet(jpeg(1365)))[0]) == 1365
