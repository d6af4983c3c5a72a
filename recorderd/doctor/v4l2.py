"""What a V4L2 camera says of itself, through ioctl(2). Streaming goes on undisturbed.

Numbers and layouts are those of the kernel's uapi header, include/uapi/linux/videodev2.h.
"""

from __future__ import annotations

import errno
import fcntl
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from recorderd.engine.sources.v4l2_ioctl import READ, WRITE, opened, request

_VIDEO_CAPTURE = 1
_CAPABILITY = struct.Struct("=16s32s32sIII12x")
_FORMAT = struct.Struct("=III32sI16x")
_SIZE = struct.Struct("=III24x8x")
_INTERVAL = struct.Struct("=IIIII24x8x")
_DISCRETE = 1
_NO_MORE = (errno.EINVAL, errno.ENOTTY)
"""ENOTTY: this driver does not know the question at all."""

_MOST = 256
_RATES_SHOWN = 4


_QUERYCAP = request(READ, 0, _CAPABILITY.size)
_ENUM_FMT = request(READ | WRITE, 2, _FORMAT.size)
_ENUM_FRAMESIZES = request(READ | WRITE, 74, _SIZE.size)
_ENUM_FRAMEINTERVALS = request(READ | WRITE, 75, _INTERVAL.size)


@dataclass(frozen=True, slots=True)
class Camera:
    """`offers` are in words: "MJPG 3840x2160 at 30 or 15 a second"."""

    card: str
    driver: str
    bus: str
    offers: tuple[str, ...]


def look_at(device: Path) -> Camera:
    """Ask this device. Raises OSError; ENOTTY if it is no V4L2 device."""
    with opened(device) as descriptor:
        answer = bytearray(_CAPABILITY.size)
        fcntl.ioctl(descriptor, _QUERYCAP, answer)
        driver, card, bus, *_ = _CAPABILITY.unpack(answer)
        return Camera(
            _text(card),
            _text(driver),
            _text(bus),
            tuple(_offers(descriptor)),
        )


def lasting_name(device: Path, devices: Path = Path("/dev")) -> Path:
    """The name that stays the same when cameras are plugged in another order, if it has one."""
    for naming in ("by-id", "by-path"):
        for name in sorted((devices / "v4l" / naming).glob("*")):
            if name.resolve() == device.resolve():
                return name
    return device


def _offers(descriptor: int) -> Iterator[str]:
    for index in range(_MOST):
        answer = _ask(descriptor, _ENUM_FMT, _FORMAT.pack(index, _VIDEO_CAPTURE, 0, b"", 0))
        if answer is None:
            return
        yield from _sizes(descriptor, _FORMAT.unpack(answer)[4])


def _sizes(descriptor: int, four: int) -> Iterator[str]:
    name = struct.pack("=I", four).decode("ascii", "replace").strip("\0 ")
    for index in range(_MOST):
        answer = _ask(descriptor, _ENUM_FRAMESIZES, _SIZE.pack(index, four, 0))
        if answer is None:
            return
        kind, width, height = struct.unpack_from("=III", answer, 8)
        if kind != _DISCRETE:
            yield f"{name}, any size"
            return
        rates = [f"{rate:g}" for rate in _rates(descriptor, four, width, height)]
        shown = " or ".join(rates[:_RATES_SHOWN])
        yield f"{name} {width}x{height}" + (f" at {shown} a second" if shown else "")


def _rates(descriptor: int, four: int, width: int, height: int) -> Iterator[float]:
    for index in range(_MOST):
        request = _INTERVAL.pack(index, four, width, height, 0)
        answer = _ask(descriptor, _ENUM_FRAMEINTERVALS, request)
        if answer is None:
            return
        kind, numerator, denominator = struct.unpack_from("=III", answer, 16)
        if kind != _DISCRETE or not numerator:
            return
        yield round(denominator / numerator, 2)


def _ask(descriptor: int, number: int, request: bytes) -> bytes | None:
    """The driver's answer; None if it has no more of what is asked for."""
    memory = bytearray(request)
    try:
        fcntl.ioctl(descriptor, number, memory)
    except OSError as error:
        if error.errno in _NO_MORE:
            return None
        raise
    return bytes(memory)


def _text(raw: bytes) -> str:
    return raw.partition(b"\0")[0].decode("utf-8", "replace")
