from __future__ import annotations

from pathlib import Path

import av
import pytest

from recorderd.engine import torn_end, verify
from recorderd.engine.salvage import facts_of
from recorderd.engine.torn_end import leave_out_torn_end
from tests.station.clips import counters, write_clip


def _places(video: Path) -> list[tuple[int, int]]:
    """Where in the file each picture lies, and how long it is."""
    with av.open(str(video)) as container:
        return [(p.pos or 0, p.size) for p in container.demux(video=0) if p.size]


@pytest.mark.parametrize("codec", ["mjpeg", "libx264"])
@pytest.mark.parametrize("torn", [1, 4])
def test_pictures_that_never_reached_the_disk_are_left_out(
    tmp_path: Path, codec: str, torn: int
) -> None:
    video = tmp_path / "video.mp4"
    write_clip(video, [(2.0, "A")], rate=10, codec=codec, size=(640, 360))
    places = _places(video)
    with video.open("r+b") as file:
        for position, size in places[-torn:]:
            file.seek(position)
            file.write(bytes(size))
    assert leave_out_torn_end(video)
    assert counters(video) == list(range(20 - torn))
    facts = facts_of(video)
    assert facts is not None
    assert verify.problem_of(video, facts.frames, facts.duration_ns) is None
    assert [path.name for path in tmp_path.iterdir()] == ["video.mp4"]


def test_a_whole_file_stays_as_it_is(tmp_path: Path) -> None:
    video = tmp_path / "video.mp4"
    write_clip(video, [(1.0, "A")], rate=10, size=(640, 360))
    before = video.read_bytes()
    assert leave_out_torn_end(video)
    assert video.read_bytes() == before


@pytest.mark.parametrize("all_looked_at", [True, False])
def test_a_file_of_which_nothing_plays_stays_as_it_is(
    tmp_path: Path, all_looked_at: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not all_looked_at:
        monkeypatch.setattr(torn_end, "MOST_GROUPS", 5)
    video = tmp_path / "video.mp4"
    write_clip(video, [(1.0, "A")], rate=10, size=(640, 360))
    with video.open("r+b") as file:
        for position, size in _places(video):
            file.seek(position)
            file.write(bytes(size))
    before = video.read_bytes()
    assert leave_out_torn_end(video) is not all_looked_at
    assert video.read_bytes() == before
