from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import pytest

from recorderd.engine.packets import SourcePacket
from recorderd.engine.sources.rtsp import RtspSource
from recorderd.engine.sources.stream_clock import nanoseconds_to_ticks
from recorderd.errors import DeviceError
from recorderd.settings import CameraSettings
from tests.engine.sources.rtsp_server import RtspCamera
from tests.engine.sources.videos import FakeTime, write_video

COUNT = 60


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "live.h264"
    write_video(path, count=COUNT, options={"bf": "0", "g": "10"})
    return path


@pytest.fixture
def cameras() -> Iterator[list[RtspCamera]]:
    running: list[RtspCamera] = []
    yield running
    for camera in running:
        camera.close()


class SlowTime(FakeTime):
    """Each look at the clock is a little later than the next picture's own time."""

    def clock(self) -> int:
        self.now += 40_000_000
        return self.now


def viewer(camera: RtspCamera, silence_seconds: float = 0.5) -> RtspSource:
    settings = CameraSettings(source=camera.url, silence_seconds=silence_seconds)
    return RtspSource(settings, clock=SlowTime().clock, open_seconds=3.0)


def read_to_the_end(source: RtspSource) -> tuple[list[SourcePacket], DeviceError]:
    pictures: list[SourcePacket] = []
    while True:
        try:
            picture = source.read()
        except DeviceError as error:
            return pictures, error
        assert picture is not None
        pictures.append(picture)


def test_pictures_keep_the_cameras_own_times(video: Path, cameras: list[RtspCamera]) -> None:
    timestamps = [1_000_000 + 3000 * number + number % 3 for number in range(COUNT)]
    cameras.append(RtspCamera(video, timestamps))
    source = viewer(cameras[0])
    described = source.open()
    assert (described.codec, described.width, described.height) == ("h264", 160, 120)
    assert not described.full_range
    pictures, error = read_to_the_end(source)
    source.close()
    # The last picture has no successor that would prove it complete; FFmpeg may keep it.
    assert COUNT - 1 <= len(pictures) <= COUNT
    assert pictures[0].keyframe
    # FFmpeg's parser loses the time of the very first picture (seen with 8.1).
    pictures, timestamps = pictures[1:], timestamps[1:]
    first = pictures[0].captured_ns
    ticks = [
        nanoseconds_to_ticks(picture.captured_ns - first, Fraction(1, 90_000))
        for picture in pictures
    ]
    assert ticks == [timestamp - timestamps[0] for timestamp in timestamps][: len(ticks)]
    assert "ended its stream" in error.problem


def test_a_camera_that_goes_silent_is_noticed(video: Path, cameras: list[RtspCamera]) -> None:
    cameras.append(RtspCamera(video, [3000 * n for n in range(COUNT)], then="hang"))
    source = viewer(cameras[0])
    source.open()
    began = time.monotonic()
    _, error = read_to_the_end(source)
    source.close()
    assert "sends no pictures any more" in error.problem
    assert time.monotonic() - began < 3


def test_a_camera_that_never_answers_is_given_up(cameras: list[RtspCamera]) -> None:
    cameras.append(RtspCamera(None, [], answer=False))
    settings = CameraSettings(source=cameras[0].url)
    source = RtspSource(settings, open_seconds=0.5)
    with pytest.raises(DeviceError, match="does not answer"):
        source.open()
    source.close()


def test_a_refused_connection_is_said_without_the_password() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    source = RtspSource(CameraSettings(source=f"rtsp://admin:secret@127.0.0.1:{port}/live"))
    with pytest.raises(DeviceError, match="refuses the connection") as caught:
        source.open()
    assert "secret" not in str(caught.value)
    source.close()
    source.close()


def test_interrupt_ends_reading(video: Path, cameras: list[RtspCamera]) -> None:
    cameras.append(RtspCamera(video, [3000 * n for n in range(COUNT)], then="hang"))
    source = viewer(cameras[0])
    source.open()
    assert source.read() is not None
    source.interrupt()
    with pytest.raises(DeviceError, match="given up"):
        source.read()
    source.close()
