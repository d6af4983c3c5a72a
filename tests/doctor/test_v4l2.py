"""What the kernel's answers mean; its layouts are written down here by hand."""

from __future__ import annotations

import errno
import struct
from pathlib import Path

import pytest

from recorderd.doctor import v4l2

QUERYCAP, ENUM_FMT, SIZES, INTERVALS = (
    0x80685600,
    0xC0405602,
    0xC02C564A,
    0xC034564B,
)
"""As videodev2.h expands them on every Linux."""


def driver(_descriptor: int, number: int, memory: bytearray) -> None:
    """A camera with one format, one size, two rates."""
    index = struct.unpack_from("=I", memory)[0] if len(memory) >= 4 else 0
    match number:
        case n if n == QUERYCAP:
            struct.pack_into("=16s32s32s", memory, 0, b"uvcvideo", b"4K Camera", b"usb-1.2")
        case n if n == ENUM_FMT and index == 0:
            struct.pack_into("=4s", memory, 44, b"MJPG")
        case n if n == SIZES and index == 0:
            assert memory[4:8] == b"MJPG"
            struct.pack_into("=III", memory, 8, 1, 3840, 2160)
        case n if n == INTERVALS and index < 2:
            assert struct.unpack_from("=II", memory, 8) == (3840, 2160)
            struct.pack_into("=III", memory, 16, 1, 1, (30, 15)[index])
        case _:
            raise OSError(errno.EINVAL, "Invalid argument")


def test_a_camera_says_what_it_offers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fcntl.ioctl", driver)
    camera = v4l2.look_at(Path("/dev/null"))
    assert (camera.card, camera.driver, camera.bus) == ("4K Camera", "uvcvideo", "usb-1.2")
    assert camera.offers == ("MJPG 3840x2160 at 30 or 15 a second",)


def test_what_is_no_camera_is_refused() -> None:
    with pytest.raises(OSError, match="ioctl"):
        v4l2.look_at(Path("/dev/null"))


def test_a_name_that_lasts(tmp_path: Path) -> None:
    (tmp_path / "v4l/by-id").mkdir(parents=True)
    device = tmp_path / "video3"
    device.touch()
    assert v4l2.lasting_name(device, tmp_path) == device
    name = tmp_path / "v4l/by-id/usb-Maker_4K-video-index0"
    name.symlink_to(device)
    assert v4l2.lasting_name(device, tmp_path) == name
