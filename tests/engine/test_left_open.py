from __future__ import annotations

import os
from pathlib import Path

import pytest

from recorderd.engine.left_open import close_left_open


def is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


@pytest.fixture
def opened(tmp_path: Path) -> list[int]:
    """Two descriptors of `video.mp4`, and one of another file."""
    return [
        os.open(tmp_path / name, os.O_CREAT | os.O_RDWR)
        for name in ("video.mp4", "video.mp4", "other.mp4")
    ]


def test_named_by_path_all_of_a_file_are_closed_and_no_other(
    tmp_path: Path, opened: list[int]
) -> None:
    close_left_open(tmp_path / "video.mp4")
    assert [is_open(descriptor) for descriptor in opened] == [False, False, True]
    os.close(opened[2])


def test_the_descriptor_by_which_a_file_is_named_stays_its_owners(opened: list[int]) -> None:
    """Were it closed, its number would be another file's when its owner closes it."""
    close_left_open(opened[0])
    assert [is_open(descriptor) for descriptor in opened] == [True, False, True]
    os.close(opened[0])
    os.close(opened[2])


def test_a_file_that_is_gone_is_no_reason_to_stumble(tmp_path: Path, opened: list[int]) -> None:
    close_left_open(tmp_path / "never-was.mp4")
    assert all(is_open(descriptor) for descriptor in opened)
    for descriptor in opened:
        os.close(descriptor)
