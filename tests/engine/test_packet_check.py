from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorderd.engine.packet_check import problem_of


def _jpeg() -> bytes:
    random = np.random.default_rng(1)
    picture = random.integers(0, 255, (48, 64, 3), np.uint8)
    ok, data = cv2.imencode(".jpg", picture)
    assert ok
    return data.tobytes()


JPEG = _jpeg()


def test_whole_jpeg_has_no_problem() -> None:
    assert problem_of(JPEG, "mjpeg") is None


@given(st.integers(0, len(JPEG) - 1))
def test_any_truncation_is_noticed(length: int) -> None:
    assert problem_of(JPEG[:length], "mjpeg") is not None


@given(st.integers(1, len(JPEG) - 1))
def test_any_truncation_filled_with_zeros_is_noticed(length: int) -> None:
    # A driver that reports the whole buffer of a cut picture.
    cut = JPEG[:length].rstrip(b"\0")
    assert problem_of(cut + bytes(len(JPEG) - len(cut)), "mjpeg") is not None or cut == JPEG


@given(st.integers(0, 5000))
def test_zero_padding_behind_the_end_is_allowed(count: int) -> None:
    assert problem_of(JPEG + bytes(count), "mjpeg") is None


@given(st.binary(min_size=1, max_size=400))
def test_anything_that_does_not_begin_as_a_jpeg_is_noticed(data: bytes) -> None:
    assert (problem_of(data, "mjpeg") is None) <= data.startswith(b"\xff\xd8")


@pytest.mark.parametrize("codec", ["mjpeg", "h264", "hevc", "rawvideo"])
def test_empty_is_a_problem_in_every_codec(codec: str) -> None:
    assert problem_of(b"", codec) == "empty"


def test_other_codecs_are_not_looked_into() -> None:
    assert problem_of(b"\0\0\0\1\x65", "h264") is None
