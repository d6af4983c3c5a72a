from __future__ import annotations

import time
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
import zxingcpp
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from recorderd.engine.sources.bench_scene import COUNTER_LIMIT, BenchPictures, read_counter
from recorderd.engine.sources.bench_script import CYCLE_SECONDS, moments, scene_at


def luma_of(data: bytes) -> NDArray[np.uint8]:
    luma = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert luma is not None
    return luma.astype(np.uint8)


@pytest.fixture(scope="module")
def small() -> BenchPictures:
    return BenchPictures(640, 360)


@settings(max_examples=60, deadline=None)
@given(number=st.integers(0, COUNTER_LIMIT - 1), seconds=st.floats(0, CYCLE_SECONDS))
def test_counter_is_read_back(small: BenchPictures, number: int, seconds: float) -> None:
    luma = luma_of(small.jpeg(scene_at(seconds), number))
    assert luma.shape == (360, 640)
    assert read_counter(luma) == number


def test_counter_begins_anew_at_its_limit(small: BenchPictures) -> None:
    assert read_counter(luma_of(small.jpeg(scene_at(0), COUNTER_LIMIT + 5))) == 5


@pytest.mark.parametrize("level", [0, 16, 128, 235, 255])
def test_a_plain_picture_has_no_counter(level: int) -> None:
    assert read_counter(np.full((360, 640), level, np.uint8)) is None


def test_a_disturbed_counter_is_not_misread(small: BenchPictures) -> None:
    luma = luma_of(small.jpeg(scene_at(0), 1234))
    square = 32 * 640 / 3840
    for position in range(32):
        disturbed = luma.copy()
        area = disturbed[:6, round(position * square) : round((position + 1) * square)]
        area[:] = 255 - area
        assert read_counter(disturbed) is None


def test_any_order_of_calls_gives_the_same_pictures(small: BenchPictures) -> None:
    times = [0.0, 5.3, 6.9, 8.8, 10.4, 13.9, 18.0, 20.9, 31.0, 33.2, 42.8, 45.0]
    shuffled = np.random.default_rng(1).permutation(len(times))
    forwards = [small.jpeg(scene_at(seconds), 7) for seconds in times]
    anew = BenchPictures(640, 360)
    for index in shuffled:
        again = anew.jpeg(scene_at(times[index]), 7)
        np.testing.assert_array_equal(luma_of(again), luma_of(forwards[index]))


def test_counter_survives_h264() -> None:
    """Encoded small and hard, in limited range, as a recording is."""
    pictures = BenchPictures(1280, 720)
    decoder = av.CodecContext.create("mjpeg", "r")
    encoder = av.CodecContext.create("libx264", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    assert isinstance(decoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = 1280, 720, "yuv420p"
    encoder.framerate, encoder.time_base = Fraction(30), Fraction(1, 30)
    encoder.options = {"preset": "ultrafast", "crf": "30", "tune": "zerolatency"}
    reader = av.CodecContext.create("h264", "r")
    assert isinstance(reader, av.VideoCodecContext)
    read = []
    for number in range(200, 212):
        data = pictures.jpeg(scene_at(number / 30), number)
        for frame in decoder.decode(av.Packet(data)):
            limited = frame.reformat(format="yuv420p", dst_color_range="MPEG")
            limited.pict_type = 0
            limited.pts = number
            for packet in encoder.encode(limited):
                read += [shown.to_ndarray(format="gray") for shown in reader.decode(packet)]
    read += [shown.to_ndarray(format="gray") for shown in reader.decode(None)]
    assert [read_counter(luma.astype(np.uint8)) for luma in read] == list(range(200, 212))


def test_labels_are_readable_where_the_script_says_so() -> None:
    pictures = BenchPictures(1920, 1080)
    for order in moments(0):
        for seconds in (order.shown + 0.3, order.shown + 1.0):
            luma = luma_of(pictures.jpeg(scene_at(seconds), 0))
            codes = zxingcpp.read_barcodes(luma)
            assert [code.text for code in codes] == [order.order_id]
        for start, end in order.covered:
            luma = luma_of(pictures.jpeg(scene_at((start + end) / 2), 0))
            assert not zxingcpp.read_barcodes(luma)


@pytest.mark.slow
def test_4k_pictures_are_cheap_and_of_a_camera_size() -> None:
    pictures = BenchPictures(3840, 2160)
    sizes = []
    began = time.process_time()
    for number in range(0, int(CYCLE_SECONDS * 30), 4):
        sizes.append(len(pictures.jpeg(scene_at(number / 30), number)))
    milliseconds = (time.process_time() - began) / len(sizes) * 1000
    # Measured 6 ms; far less than a full encode, which takes about 40.
    assert milliseconds < 20
    assert min(sizes) > 600_000
    assert max(sizes) < 1_500_000
