from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import av
import pytest

from recorderd.engine import torn_pictures, verify
from recorderd.engine.footage_file import SYNC_TAG
from recorderd.engine.remux import remux
from recorderd.engine.salvage import facts_of
from recorderd.engine.torn_pictures import leave_out_torn_pictures
from tests.station.clips import counters, write_clip


def _overwrite(video: Path, pictures: Iterable[int], share: float = 1.0) -> None:
    """Put zeros where these pictures lie in the file, or in the middle of each."""
    with av.open(str(video)) as container:
        places = [(p.pos or 0, p.size) for p in container.demux(video=0) if p.size]
    with video.open("r+b") as file:
        for number in pictures:
            position, size = places[number]
            length = round(size * share)
            file.seek(position + (size - length) // 2)
            file.write(bytes(length))


@pytest.mark.parametrize("codec", ["mjpeg", "libx264"])
@pytest.mark.parametrize("torn", [1, 4])
def test_pictures_that_never_reached_the_disk_are_left_out(
    tmp_path: Path, codec: str, torn: int
) -> None:
    video = tmp_path / "video.mp4"
    write_clip(video, [(2.0, "A")], rate=10, codec=codec, size=(640, 360))
    _overwrite(video, range(20 - torn, 20))
    assert leave_out_torn_pictures(video)
    assert counters(video) == list(range(20 - torn))
    facts = facts_of(video)
    assert facts is not None
    assert verify.problem_of(video, facts.frames, facts.duration_ns) is None
    assert [path.name for path in tmp_path.iterdir()] == ["video.mp4"]


@pytest.mark.parametrize(
    ("codec", "kept"),
    [
        ("mjpeg", [*range(15), 16, *range(18, 30)]),
        # A keyframe every ten: what builds on the picture that is gone goes with it.
        ("libx264", [*range(15), *range(20, 30)]),
    ],
)
def test_pictures_before_whole_ones_are_left_out_too(
    tmp_path: Path, codec: str, kept: list[int]
) -> None:
    video = tmp_path / "video.mp4"
    write_clip(video, [(3.0, "A")], rate=10, codec=codec, size=(640, 360))
    _overwrite(video, [15, 17])
    assert leave_out_torn_pictures(video)
    assert counters(video) == kept
    with av.open(str(video)) as container:
        moments = [float(frame.time or 0) for frame in container.decode(video=0)]
    assert moments == pytest.approx([number / 10 for number in kept], abs=0.001)
    facts = facts_of(video)
    assert facts is not None
    assert verify.problem_of(video, facts.frames, facts.duration_ns) is None


@pytest.mark.parametrize(
    ("codec", "kept"),
    [("mjpeg", [*range(25), *range(26, 30)]), ("libx264", list(range(25)))],
)
def test_pictures_that_reached_the_disk_in_part_are_left_out(
    tmp_path: Path, codec: str, kept: list[int]
) -> None:
    """A page is a small part of a 4K picture, and decoders hide such damage if they may."""
    video = tmp_path / "video.mp4"
    write_clip(video, [(3.0, "A")], rate=10, codec=codec, size=(640, 360))
    _overwrite(video, [25], share=0.3)
    assert leave_out_torn_pictures(video)
    assert counters(video) == kept


def test_what_was_damaged_before_it_was_synced_stays(tmp_path: Path) -> None:
    """A camera sent it so; in a long group of pictures the others play all the same."""
    video = tmp_path / "video.mp4"
    write_clip(video, [(5.0, "A")], rate=4, codec="libx264", size=(640, 360))
    with av.open(str(video)) as container:
        keyframes = [packet.pts for packet in container.demux(video=0) if packet.is_keyframe]
    assert len(keyframes) == 5
    _overwrite(video, [11], share=0.3)  # Its keyframe is two seconds from the end, it is 2.25.
    before = video.read_bytes()
    assert leave_out_torn_pictures(video)
    assert video.read_bytes() == before


@pytest.mark.parametrize(("tag", "looked_at"), [("1", False), ("5", True), ("nan", False)])
def test_how_much_is_looked_at_depends_on_how_often_was_synced(
    tmp_path: Path, tag: str, looked_at: bool
) -> None:
    clip, video = tmp_path / "clip.mp4", tmp_path / "video.mp4"
    write_clip(clip, [(6.0, "A")], rate=10, size=(640, 360))
    remux(clip, video, tags={SYNC_TAG: tag})
    _overwrite(video, [10])
    before = video.read_bytes()
    assert leave_out_torn_pictures(video)
    assert (video.read_bytes() != before) is looked_at


def test_a_whole_file_stays_as_it_is(tmp_path: Path) -> None:
    video = tmp_path / "video.mp4"
    write_clip(video, [(1.0, "A")], rate=10, size=(640, 360))
    before = video.read_bytes()
    assert leave_out_torn_pictures(video)
    assert video.read_bytes() == before


@pytest.mark.parametrize("all_looked_at", [True, False])
def test_a_file_of_which_nothing_plays_stays_as_it_is(
    tmp_path: Path, all_looked_at: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not all_looked_at:
        monkeypatch.setattr(torn_pictures, "MOST_SECONDS", 1.0)
    video = tmp_path / "video.mp4"
    write_clip(video, [(3.0, "A")], rate=10, size=(640, 360))
    _overwrite(video, range(30))
    before = video.read_bytes()
    assert leave_out_torn_pictures(video) is not all_looked_at
    assert video.read_bytes() == before
