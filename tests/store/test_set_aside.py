"""Files out of the way: on the disk, never over another one, and known by their recording."""

from __future__ import annotations

from pathlib import Path

import pytest

from recorderd.core.model import RecordingId
from recorderd.store.set_aside import all_in, remove_empty, set_aside, set_aside_all
from tests.engine.pictures import files_in
from tests.syncs import Syncs

ID = RecordingId("01a208bd-8fc8-7069-84ae-0ec449e6d8f7")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "set-aside"


def test_new_name_is_on_the_disk_and_the_old_one_is_gone(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = files_in(tmp_path, ID)
    files.incoming_video.write_bytes(b"rubbish")
    syncs = Syncs(monkeypatch)
    target = set_aside(files.incoming_video, folder)
    assert target.read_bytes() == b"rubbish"
    assert target.name in syncs.folders[folder]
    assert syncs.folders[files.incoming_video.parent] == frozenset()
    assert folder.name in syncs.folders[tmp_path]


def test_nothing_is_overwritten(tmp_path: Path, folder: Path) -> None:
    for number in (1, 2, 3):
        path = tmp_path / "one.mp4"
        path.write_bytes(bytes([number]))
        set_aside(path, folder)
    assert [each.path.read_bytes() for each in all_in(folder)] == [b"\1", b"\2", b"\3"]


def test_all_of_a_recording_and_only_of_it(tmp_path: Path, folder: Path) -> None:
    files = files_in(tmp_path, ID)
    files.incoming_video.write_bytes(b"12345")
    files.incoming_still.write_bytes(b"123")
    foreign = tmp_path / "holiday.mp4"
    foreign.write_bytes(b"1")
    set_aside(foreign, folder)
    words = set_aside_all(ID, files, folder)
    assert words == [f"{ID}.1.jpg (3 bytes)", f"{ID}.1.mp4 (5 bytes)"]
    assert set_aside_all(ID, files, folder) == words, "though nothing is left to move"
    assert [each.recording_id for each in all_in(folder)] == [ID, ID, None]


def test_empty_files_are_not_kept(tmp_path: Path, folder: Path) -> None:
    files = files_in(tmp_path, ID)
    files.incoming_video.touch()
    assert set_aside_all(ID, files, folder) == []
    remove_empty(files)
    assert not files.incoming_video.exists()


def test_no_folder_is_no_file(folder: Path) -> None:
    assert all_in(folder) == []
