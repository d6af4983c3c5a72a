"""Copying what plays of a file, and nothing half done when that fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from recorderd.engine.remux import remux
from recorderd.errors import StorageError
from tests.limits import largest_file
from tests.mp4.growing import pictures, written
from tests.syncs import Syncs


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source.mp4"
    path.write_bytes(written(width=640).growing)
    return path


def test_a_disk_that_takes_no_more_is_not_the_end_of_the_file(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "target.mp4"
    with largest_file(source.stat().st_size // 2), pytest.raises(StorageError):
        remux(source, target)
    assert not target.exists()


@pytest.mark.parametrize("room", [0, 10, 3000])
def test_a_disk_that_fails_from_the_beginning_is_let_go_of(
    source: Path, tmp_path: Path, room: int
) -> None:
    """Else it cannot be taken out, and mounted anew it is still the old one."""
    before = sorted(Path("/proc/self/fd").iterdir())
    with largest_file(room), pytest.raises(StorageError):
        remux(source, tmp_path / "target.mp4")
    assert sorted(Path("/proc/self/fd").iterdir()) == before


def test_pictures_that_are_left_out_leave_the_others_in_their_places(
    source: Path, tmp_path: Path
) -> None:
    target = tmp_path / "target.mp4"
    before = pictures(source)
    left_out = [before[3], before[-1]]
    remux(source, target, without=[moment for moment, _, _ in left_out])
    assert pictures(target) == [picture for picture in before if picture not in left_out]


def test_what_was_copied_could_be_put_together_again(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "target.mp4"
    remux(source, target)
    assert b"moof" in target.read_bytes()
    assert pictures(target) == pictures(source)


def test_it_is_on_the_disk_before_it_may_take_the_place_of_another(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a power cut just after the rename would leave neither the torn file nor this one."""
    syncs = Syncs(monkeypatch)
    target = tmp_path / "target.mp4"
    remux(source, target)
    assert syncs.has_all_of(target)
