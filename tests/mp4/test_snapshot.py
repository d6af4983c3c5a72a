"""What a growing file holds by now is an ordinary video."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import av
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from recorderd.mp4 import snapshot as snapshots
from recorderd.mp4.boxes import is_closed
from recorderd.mp4.fragments import UnreadableError
from recorderd.mp4.snapshot import Snapshot

from .growing import RATE, Written, decoded, pictures, written

many = hypothesis_settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def take_snapshot(path: Path, until: int | None = None) -> Snapshot:
    with path.open("rb") as file:
        return snapshots.take_snapshot(file, until)


def laid_out(path: Path, snapshot: Snapshot, target: Path) -> Path:
    """The snapshot as a file of its own, as a client receives it."""
    target.write_bytes(snapshot.head + path.read_bytes()[snapshot.begin : snapshot.end])
    assert target.stat().st_size == snapshot.size
    return target


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "growing.mp4"
    path.write_bytes(written().growing)
    return path


def test_all_pictures_of_complete_fragments_are_in_it(path: Path, tmp_path: Path) -> None:
    snapshot = take_snapshot(path)
    video = laid_out(path, snapshot, tmp_path / "snapshot.mp4")
    assert is_closed(video)
    assert pictures(video) == pictures(path)[: snapshot.frames]
    assert decoded(video) == [index * 90_000 // RATE for index in range(snapshot.frames)]
    assert snapshot.codec == "avc1"
    assert snapshot.seconds == pytest.approx(snapshot.frames / RATE)
    assert snapshot.seconds >= 7


def test_b_frames_keep_their_places(tmp_path: Path) -> None:
    path = tmp_path / "growing.mp4"
    path.write_bytes(written(b_frames=3).growing)
    snapshot = take_snapshot(path)
    video = laid_out(path, snapshot, tmp_path / "snapshot.mp4")
    assert pictures(video) == pictures(path)[: snapshot.frames]
    times = decoded(video)
    assert times == sorted(times)
    assert len(times) == snapshot.frames


def test_a_player_can_seek_in_it(path: Path, tmp_path: Path) -> None:
    video = laid_out(path, take_snapshot(path), tmp_path / "snapshot.mp4")
    with av.open(str(video)) as container:
        container.seek(4 * 90_000, stream=container.streams.video[0])
        frame = next(container.decode(video=0))
        assert frame.pts == 4 * 90_000


def test_it_stays_the_same_while_the_file_grows_and_closes(path: Path, tmp_path: Path) -> None:
    made = written()
    before = take_snapshot(path, until=len(made.growing) // 2)
    assert take_snapshot(path, until=before.end) == before
    closed = tmp_path / "closed.mp4"
    closed.write_bytes(made.closed)
    assert take_snapshot(closed, until=before.end) == before
    assert (
        laid_out(path, before, tmp_path / "a.mp4").read_bytes()
        == laid_out(closed, before, tmp_path / "b.mp4").read_bytes()
    )


def test_a_camera_s_mjpeg_is_named(tmp_path: Path) -> None:
    path = tmp_path / "growing.mp4"
    path.write_bytes(written(seconds=2, codec="mjpeg").growing)
    assert take_snapshot(path).codec == "mp4v"


@many
@given(data=st.data())
def test_wherever_the_file_ends_just_now(data: st.DataObject, tmp_path: Path) -> None:
    made: Written = written(b_frames=data.draw(st.sampled_from([0, 3])))
    path = tmp_path / "growing.mp4"
    path.write_bytes(made.growing[: data.draw(st.integers(0, len(made.growing)))])
    try:
        snapshot = take_snapshot(path)
    except UnreadableError:
        # Only before the first fragment is complete.
        assert path.stat().st_size < 4000
        return
    video = laid_out(path, snapshot, tmp_path / "snapshot.mp4")
    assert len(pictures(video)) == snapshot.frames
    assert len(decoded(video)) == snapshot.frames


@many
@given(data=st.data())
def test_a_damaged_file_is_refused_or_read_but_nothing_else(
    data: st.DataObject, tmp_path: Path
) -> None:
    content = bytearray(written(seconds=3).growing)
    for _ in range(data.draw(st.integers(1, 8))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))
    path = tmp_path / "growing.mp4"
    path.write_bytes(content)
    with suppress(UnreadableError):
        assert take_snapshot(path).end <= len(content)


@pytest.mark.parametrize("content", [b"", b"x", bytes(10_000), b"\0\0\0\x08ftyp" * 3])
def test_what_is_no_video_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "growing.mp4"
    path.write_bytes(content)
    with pytest.raises(UnreadableError):
        take_snapshot(path)
