from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from recorderd.engine.packets import StreamDescription
from recorderd.engine.sources.v4l2 import V4l2Source, automatic_device, device_of, mismatch
from recorderd.errors import DeviceError
from recorderd.settings import CameraSettings

CAMERA = CameraSettings(width=1920, height=1080, rate=30.0)


def delivered(
    codec: str = "mjpeg",
    size: tuple[int, int] = (1920, 1080),
    rate: Fraction = Fraction(30),
    pixel_format: str = "yuvj422p",
) -> StreamDescription:
    return StreamDescription(codec, *size, rate, pixel_format, full_range=True)


def device(folder: Path, name: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_automatic_device_prefers_names_that_stay_the_same(tmp_path: Path) -> None:
    video10, video2 = device(tmp_path, "video10"), device(tmp_path, "video2")
    assert automatic_device(tmp_path) == video2
    video2.unlink()
    assert automatic_device(tmp_path) == video10
    by_path = device(tmp_path, "v4l/by-path/pci-0-usb-0:1:1.0-video-index0")
    assert automatic_device(tmp_path) == by_path
    device(tmp_path, "v4l/by-id/usb-A_Camera-video-index1")
    assert automatic_device(tmp_path) == by_path
    by_id = device(tmp_path, "v4l/by-id/usb-A_Camera-video-index0")
    assert automatic_device(tmp_path) == by_id
    assert device_of("auto", tmp_path) == by_id
    assert device_of("/dev/video7", tmp_path) == Path("/dev/video7")


def test_no_camera_at_all_is_said(tmp_path: Path) -> None:
    device(tmp_path, "videotape")
    with pytest.raises(DeviceError, match="No camera is connected"):
        V4l2Source(CAMERA, "auto", devices_folder=tmp_path).open()


@pytest.mark.parametrize(
    ("path", "words"),
    [("/dev/no-such-camera", "There is no"), ("/dev/null", "is not a camera")],
)
def test_what_is_no_camera_is_named(path: str, words: str) -> None:
    source = V4l2Source(CAMERA, path)
    with pytest.raises(DeviceError, match=words) as caught:
        source.open()
    assert path in caught.value.problem
    source.close()
    source.close()


@pytest.mark.parametrize(
    ("asked", "got"),
    [
        ("mjpeg", delivered()),
        ("mjpeg", delivered(rate=Fraction(30_000, 1001))),
        ("mjpeg", delivered(rate=Fraction(33))),
        ("h264", delivered("h264", pixel_format="yuv420p")),
        ("nv12", delivered("rawvideo", pixel_format="nv12")),
        ("yuyv", delivered("rawvideo", pixel_format="yuyv422")),
    ],
)
def test_what_was_asked_is_accepted(asked: str, got: StreamDescription) -> None:
    assert mismatch(CAMERA, asked, got) is None


@pytest.mark.parametrize(
    ("asked", "got", "said"),
    [
        ("h264", delivered(), "mjpeg 1920x1080"),
        ("mjpeg", delivered(size=(1280, 720)), "1280x720"),
        ("mjpeg", delivered(rate=Fraction(5)), "at 5 a second"),
        ("mjpeg", delivered(rate=Fraction(60)), "at 60 a second"),
        ("nv12", delivered("rawvideo", pixel_format="yuyv422"), "yuyv422"),
    ],
)
def test_anything_else_is_named(asked: str, got: StreamDescription, said: str) -> None:
    problem = mismatch(CAMERA, asked, got)
    assert problem is not None
    assert said in problem
