"""The outermost boxes of a file whose sizes are damaged."""

from __future__ import annotations

from pathlib import Path

import pytest

from recorderd.mp4.boxes import boxes, closing_undone, fragment_places, is_closed, reopen
from tests.mp4.growing import written


@pytest.mark.parametrize("size", [1 << 40, (1 << 63) - 100, 1 << 63, (1 << 64) - 1])
@pytest.mark.parametrize("closed", [False, True])
def test_a_damaged_size_leads_nowhere(tmp_path: Path, size: int, closed: bool) -> None:
    """One that no file can have is no failure of the disk."""
    made = written(seconds=3)
    content = made.closed if closed else made.growing
    damaged = content + b"\0\0\0\1free" + size.to_bytes(8, "big") + bytes(100)
    path = tmp_path / "video.mp4"
    path.write_bytes(damaged)
    with path.open("rb") as file:
        found = list(boxes(file))
    assert (found[-1].place, found[-1].size) == (len(content), size)
    assert not is_closed(path)
    assert all(place < len(content) for place in fragment_places(path))
    closing_undone(path)
    reopen(path)


def test_nothing_is_found_behind_the_end(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    path.write_bytes(written(seconds=3).growing)
    with path.open("rb") as file:
        assert list(boxes(file, path.stat().st_size)) == []
        assert list(boxes(file, 1 << 64)) == []
