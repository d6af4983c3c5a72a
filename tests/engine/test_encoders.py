from __future__ import annotations

import io
from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest
from av.container import OutputContainer
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from recorderd.engine.encoder_kinds import (
    KINDS,
    EncodeRequest,
    EncoderKind,
    kind_named,
    recorded_size,
)
from recorderd.engine.encoders import VideoEncoder, holds_picture, with_header
from recorderd.engine.footage_file import TIME_BASE
from recorderd.errors import DeviceError, InvariantViolationError
from recorderd.settings import RecordingSettings
from tests.engine.pictures import of_size

WIDTH, HEIGHT, TICKS = 320, 240, 3000
X264 = kind_named("libx264")
REQUEST = EncodeRequest(
    codec="mjpeg",
    width=WIDTH,
    height=HEIGHT,
    rate=Fraction(30),
    pixel_format="yuvj420p",
    full_range=True,
    gop_seconds=1.0,
    quality=23,
    bits_per_second=2_000_000,
    recorded_width=WIDTH,
    recorded_height=HEIGHT,
)
HEADERS = b"\0\0\0\1\x67sps\0\0\1\x68pps"
PICTURE = b"\0\0\1\x65slice"


def camera_frames(count: int, pixel_format: str = "yuvj420p") -> list[VideoFrame]:
    """Pictures decoded from JPEG, as a camera's are: full range, marked as intra pictures."""
    encoder = av.CodecContext.create("mjpeg", "w")
    assert isinstance(encoder, VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = WIDTH, HEIGHT, pixel_format
    encoder.time_base = Fraction(1, 30)
    decoder = av.CodecContext.create("mjpeg", "r")
    assert isinstance(decoder, VideoCodecContext)
    frames = []
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    for number in range(count):
        picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        picture[..., 1] = rows + number * 3
        picture[..., 2] = columns + number * 5
        picture[: HEIGHT // 2, : WIDTH // 2] = (220, 30, 30)
        frame = VideoFrame.from_ndarray(picture, "rgb24").reformat(
            format=pixel_format, dst_colorspace="ITU601", dst_color_range="JPEG"
        )
        frame.pts = number
        for packet in encoder.encode(frame):
            frames += decoder.decode(Packet(bytes(packet)))
    return frames


def record(
    kind: EncoderKind, request: EncodeRequest, frames: list[VideoFrame], times: list[int]
) -> av.container.InputContainer:
    file = io.BytesIO()
    with av.open(file, "w", format="mp4", options={"movflags": "hybrid_fragmented"}) as container:
        encoder = VideoEncoder(container, kind, request)
        for frame, pts in zip(frames, times, strict=True):
            container.mux(encoder.encode(frame, pts))
        container.mux(encoder.flush())
    file.seek(0)
    return av.open(file, "r")


def played(container: av.container.InputContainer) -> list[tuple[int, bool]]:
    stream = container.streams.video[0]
    return [
        (round((frame.pts or 0) * (frame.time_base or 0) / TIME_BASE), bool(frame.key_frame))
        for frame in container.decode(stream)
    ]


@pytest.mark.parametrize(
    ("camera", "largest", "recorded"),
    [
        ((3840, 2160), "camera", (3840, 2160)),
        ((3840, 2160), "1920x1080", (1920, 1080)),
        ((3840, 2160), "1920x1920", (1920, 1080)),
        ((1280, 720), "1920x1080", (1280, 720)),
        ((3264, 2448), "1920x1080", (1440, 1080)),
        ((2160, 3840), "1920x1080", (606, 1080)),
        ((1281, 721), "camera", (1281, 721)),
        ((3840, 2160), "10x10", (10, 4)),
    ],
)
def test_pictures_keep_their_shape_and_never_grow(
    camera: tuple[int, int], largest: str, recorded: tuple[int, int]
) -> None:
    assert recorded_size(*camera, largest) == recorded


@pytest.mark.parametrize("pixel_format", ["yuvj420p", "yuvj422p"])
def test_pictures_are_made_smaller_on_their_way_into_the_encoder(pixel_format: str) -> None:
    request = replace(
        REQUEST, pixel_format=pixel_format, recorded_width=WIDTH // 2, recorded_height=HEIGHT // 2
    )
    frames = camera_frames(5, pixel_format)
    with record(X264, request, frames, [number * TICKS for number in range(5)]) as container:
        pictures = [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]
    assert [picture.shape for picture in pictures] == [(HEIGHT // 2, WIDTH // 2)] * 5
    whole = frames[-1].to_ndarray(format="gray")
    for rows, columns in ((slice(20, 40), slice(20, 40)), (slice(150, 200), slice(200, 300))):
        half = (
            slice(rows.start // 2, rows.stop // 2),
            slice(columns.start // 2, columns.stop // 2),
        )
        assert pictures[-1][half].mean() == pytest.approx(whole[rows, columns].mean(), abs=4)


@pytest.mark.parametrize("variant", [variant.name for variant in X264.variants])
def test_every_picture_comes_back_at_its_own_time(variant: str) -> None:
    frames = camera_frames(50)
    times = [number * TICKS + (number * 977) % 900 for number in range(50)]
    times[40:] = [pts + 180_001 for pts in times[40:]]
    with record(X264.only(variant), REQUEST, frames, times) as container:
        assert [pts for pts, _ in played(container)] == times


def test_slices_hold_back_one_picture_however_many_processors_there_are() -> None:
    with av.open(io.BytesIO(), "w", format="mp4") as container:
        encoder = VideoEncoder(container, X264.only("superfast-slices"), REQUEST)
        came_out = [
            len(encoder.encode(frame, number * TICKS))
            for number, frame in enumerate(camera_frames(4))
        ]
        container.mux(encoder.flush())
    assert came_out == [0, 1, 1, 1]


def test_nothing_is_reordered_and_the_last_picture_lasts() -> None:
    frames = camera_frames(10)
    with record(X264, REQUEST, frames, [number * TICKS for number in range(10)]) as container:
        stream = container.streams.video[0]
        packets = [packet for packet in container.demux(stream) if packet.size]
        assert all(packet.pts == packet.dts for packet in packets)
        assert stream.duration is not None
        assert stream.time_base is not None
        assert stream.duration * stream.time_base == Fraction(10, 30)


def test_a_keyframe_comes_once_a_gop_by_the_clock_though_every_jpeg_is_intra() -> None:
    frames = camera_frames(100)
    # A camera in the dark gives 15 pictures a second although 30 were agreed.
    times = [number * 2 * TICKS for number in range(100)]
    with record(X264, REQUEST, frames, times) as container:
        keyframes = [pts for pts, keyframe in played(container) if keyframe]
    assert keyframes == [second * 90_000 for second in range(7)]


def test_uneven_pictures_make_no_double_keyframes() -> None:
    frames = camera_frames(95)
    times = [number * TICKS + (600 if number % 3 else 0) for number in range(95)]
    with record(X264, REQUEST, frames, times) as container:
        keyframes = [number for number, (_, key) in enumerate(played(container)) if key]
    assert keyframes == [0, 30, 60, 90]


@pytest.mark.parametrize("source", ["yuvj420p", "yuvj422p", "yuvj444p"])
@pytest.mark.parametrize(
    "kind",
    [X264, replace(X264, keeps_full_range=False), replace(X264, pixel_format="nv12")],
    ids=["x264", "limited range only", "nv12"],
)
def test_colours_survive(source: str, kind: EncoderKind) -> None:
    frames = camera_frames(5, source)
    wanted = frames[0].to_ndarray(format="rgb24", src_colorspace="ITU601", src_color_range="JPEG")
    request = replace(REQUEST, pixel_format=source)
    with record(kind, request, frames, [number * TICKS for number in range(5)]) as container:
        frame = next(container.decode(video=0))
    full = kind.keeps_full_range
    assert frame.color_range == (2 if full else 1)
    assert (frame.colorspace, frame.color_primaries, frame.color_trc) == (6, 1, 1)
    assert frame.format.name == ("yuvj420p" if full else "yuv420p")
    seen = frame.to_ndarray(
        format="rgb24", src_colorspace="ITU601", src_color_range="JPEG" if full else "MPEG"
    )
    assert np.abs(seen.astype(int) - wanted).mean() < 4
    corner = seen[20:100, 20:140].reshape(-1, 3).mean(axis=0)
    assert np.abs(corner - (220, 30, 30)).max() < 6


def test_limited_range_pictures_of_a_raw_camera_stay_limited() -> None:
    frames = [frame.reformat(format="nv12", dst_color_range="MPEG") for frame in camera_frames(3)]
    request = replace(REQUEST, codec="rawvideo", pixel_format="nv12", full_range=False)
    with record(X264, request, frames, [0, 3000, 6000]) as container:
        assert next(container.decode(video=0)).color_range == 1


def test_time_must_go_forward() -> None:
    frames = camera_frames(2)
    with av.open(io.BytesIO(), "w", format="mp4") as container:
        encoder = VideoEncoder(container, X264, REQUEST)
        container.mux(encoder.encode(frames[0], 3000))
        with pytest.raises(InvariantViolationError):
            encoder.encode(frames[1], 3000)
        container.mux(encoder.flush())


def test_another_picture_size_is_refused_in_words() -> None:
    with av.open(io.BytesIO(), "w", format="mp4") as container:
        encoder = VideoEncoder(
            container,
            X264,
            of_size(REQUEST, 640, 480),
        )
        with pytest.raises(DeviceError, match="320x240"):
            encoder.encode(camera_frames(1)[0], 0)
        encoder.flush()


def refused(container: OutputContainer, kind: EncoderKind, request: EncodeRequest) -> DeviceError:
    with pytest.raises(DeviceError) as error:
        VideoEncoder(container, kind, request)
    return error.value


def test_an_encoder_that_does_not_open_says_why() -> None:
    container = av.open(io.BytesIO(), "w", format="mp4")
    odd = refused(container, X264, of_size(REQUEST, 321, REQUEST.height))
    assert "libx264 (superfast-slices) does not start: Generic error" in odd.problem
    assert odd.remedy == X264.remedy
    unknown = refused(container, replace(X264, name="h264_of_the_future"), REQUEST)
    assert "h264_of_the_future" in unknown.problem


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_all_options_are_known_to_the_encoder(kind: EncoderKind) -> None:
    try:
        encoder = av.CodecContext.create(kind.name, "w")
    except av.codec.codec.UnknownCodecError:
        pytest.skip(f"this PyAV has no {kind.name}")
    offered = encoder.supported_options
    choices = {
        option.name: {choice.name for choice in option.choices} for option in offered.private
    }
    known = set(choices) | {option.name for option in offered.generic}
    for variant in kind.variants:
        options = variant.options_for(REQUEST)
        assert set(options) <= known
        for name, value in options.items():
            if choices.get(name):
                assert value in choices[name]
    formats = encoder.codec.video_formats
    assert formats is None or kind.pixel_format in {known.name for known in formats}


def test_hardware_is_preferred_and_the_processor_comes_last() -> None:
    assert [kind.name for kind in KINDS][-1] == "libx264"
    assert len({kind.name for kind in KINDS}) == len(KINDS)
    with pytest.raises(DeviceError, match="no encoder called 'x264'"):
        kind_named("x264")


def test_the_request_follows_camera_and_settings() -> None:
    settings = RecordingSettings(gop_seconds=3.0, quality=30, megabits_per_second=7.5)
    request = EncodeRequest.for_stream(REQUEST.stream, settings)
    assert request == replace(REQUEST, gop_seconds=3.0, quality=30, bits_per_second=7_500_000)
    assert request.rate_needed == pytest.approx(39)


@pytest.mark.parametrize(
    ("data", "picture"),
    [
        (HEADERS, False),
        (HEADERS + PICTURE, True),
        (PICTURE, True),
        (b"\0\0\1\x41", True),
        (b"\0\0\1\x06sei", False),
        (b"", False),
        (b"\0\0\1", False),
    ],
)
def test_headers_are_told_from_pictures(data: bytes, picture: bool) -> None:
    assert holds_picture(data) is picture


def test_headers_go_in_front_of_the_picture_they_belong_to() -> None:
    with av.open(io.BytesIO(), "w", format="mp4") as container:
        encoder = VideoEncoder(container, X264, REQUEST)
        (packet, *_) = encoder.encode(camera_frames(1)[0], 900) or encoder.flush()
        merged = with_header(HEADERS, packet)
        assert bytes(merged) == HEADERS + bytes(packet)
        assert (merged.pts, merged.dts, merged.duration) == (900, packet.dts, packet.duration)
        assert merged.is_keyframe
        assert merged.stream is encoder.stream
        container.mux(merged)


@pytest.mark.slow
def test_4k_full_range_pictures_are_encoded_without_a_copy() -> None:
    """The frame given is the frame encoded: a conversion would cost 7 to 10 ms each."""
    request = of_size(REQUEST, 3840, 2160)
    frame = VideoFrame(3840, 2160, "yuvj420p")
    with av.open(io.BytesIO(), "w", format="mp4") as container:
        encoder = VideoEncoder(container, X264.only("ultrafast"), request)
        assert encoder._fitting(frame) is frame
        container.mux(encoder.encode(frame, 0))
        container.mux(encoder.flush())
