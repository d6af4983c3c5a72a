from __future__ import annotations

import threading
import time
from fractions import Fraction

import cv2
import numpy as np
import pytest

from recorderd.engine.packet_check import problem_of
from recorderd.engine.packets import SourcePacket
from recorderd.engine.sources.bench_scene import read_counter
from recorderd.engine.sources.simulated import SimulatedSource
from recorderd.errors import DeviceError, InvariantViolationError
from recorderd.settings import CameraSettings
from tests.engine.sources.videos import FakeTime

SECOND = 1_000_000_000
CAMERA = CameraSettings(source="simulated", width=640, height=360, rate=30.0)
STARTED = 7_000_000_123


def opened(fake: FakeTime) -> SimulatedSource:
    source = SimulatedSource(CAMERA, STARTED, clock=fake.clock, wait=fake.wait)
    source.open()
    return source


def number_in(picture: SourcePacket | None) -> int | None:
    assert picture is not None
    luma = cv2.imdecode(np.frombuffer(picture.data, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert luma is not None
    return read_counter(luma.astype(np.uint8))


def test_it_is_a_camera_of_the_asked_size_and_rate() -> None:
    described = SimulatedSource(CAMERA, STARTED).open()
    assert (described.codec, described.width, described.height) == ("mjpeg", 640, 360)
    assert (described.rate, described.pixel_format, described.full_range) == (
        Fraction(30),
        "yuvj420p",
        True,
    )


def test_pictures_come_when_they_are_due() -> None:
    fake = FakeTime(STARTED)
    source = opened(fake)
    for number in range(5):
        picture = source.read()
        assert picture is not None
        assert picture.captured_ns == picture.decode_ns
        assert picture.captured_ns == STARTED + round(number * SECOND / 30)
        assert fake.now == pytest.approx(picture.captured_ns, abs=10)
        assert picture.keyframe
        assert problem_of(picture.data, "mjpeg") is None
        assert number_in(picture) == number


def test_a_restarted_engine_finds_the_play_where_it_would_be() -> None:
    fake = FakeTime(STARTED + 100 * SECOND)
    picture = opened(fake).read()
    assert picture is not None
    assert number_in(picture) == 3000
    assert picture.captured_ns == STARTED + 100 * SECOND


def test_a_little_late_loses_nothing_and_very_late_leaves_a_gap() -> None:
    fake = FakeTime(STARTED)
    source = opened(fake)
    assert number_in(source.read()) == 0
    fake.now = STARTED + round(5.5 * SECOND / 30)
    assert [number_in(source.read()) for _ in range(5)] == [1, 2, 3, 4, 5]
    fake.now = STARTED + round(40.5 * SECOND / 30)
    assert [number_in(source.read()) for _ in range(2)] == [40, 41]


def test_interrupt_ends_waiting_at_once() -> None:
    source = SimulatedSource(CAMERA, time.monotonic_ns() + 3600 * SECOND)
    source.open()
    timer = threading.Timer(0.05, source.interrupt)
    timer.start()
    with pytest.raises(DeviceError, match="given up"):
        source.read()
    timer.join()
    source.close()
    source.close()


def test_reading_before_opening_is_a_bug() -> None:
    with pytest.raises(InvariantViolationError):
        SimulatedSource(CAMERA, STARTED).read()
