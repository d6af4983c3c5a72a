from __future__ import annotations

import errno
from typing import cast

import av.error
import pytest

from recorderd.config import without_password
from recorderd.engine.sources.demux import device_error, opened, source_packet
from recorderd.engine.sources.stream_clock import ArrivalClock
from recorderd.errors import InvariantViolationError


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENODEV, "unplugged"),
        (errno.EBUSY, "in use"),
        (errno.EACCES, "may not be opened"),
        (errno.ENOTTY, "not a camera"),
        (errno.ECONNREFUSED, "refuses the connection"),
        (errno.ENOSPC, "bandwidth"),
        (12345, "strange"),
    ],
)
def test_errors_are_said_in_plain_words(number: int, words: str) -> None:
    error = device_error(av.error.FFmpegError(number, "strange"), "/dev/video9")
    assert words in error.problem
    assert "/dev/video9" in error.problem
    assert error.remedy


def test_passwords_do_not_get_into_messages() -> None:
    address = "rtsp://admin:secret@10.0.0.5/live"
    assert without_password(address) == "rtsp://***@10.0.0.5/live"
    assert "secret" not in str(device_error(av.error.FFmpegError(5, address), address))


def test_damaged_packet_is_passed_on_empty_and_its_times_are_not_believed() -> None:
    clock = ArrivalClock()
    packet = av.Packet(0)
    packet.pts = packet.dts = 10**12
    damaged = source_packet(packet, clock, 1000)
    assert (damaged.data, damaged.captured_ns, damaged.keyframe) == (b"", 1000, False)
    corrupt = av.Packet(b"abc")
    corrupt.is_corrupt = True
    assert source_packet(corrupt, clock, 2000).data == b""


def test_packet_data_is_copied() -> None:
    drivers_memory = bytearray(b"picture")
    copied = source_packet(av.Packet(cast(bytes, drivers_memory)), ArrivalClock(), 1000)
    drivers_memory[:] = b"changed"
    assert copied.data == b"picture"


def test_reading_before_opening_is_a_bug() -> None:
    with pytest.raises(InvariantViolationError):
        opened(None)
