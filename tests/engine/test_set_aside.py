"""The engine sets aside what does not play, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from recorderd.core.model import RecordingId
from recorderd.engine.engine import Engine
from recorderd.engine.messages import Captured, FilesSetAside, SalvagePostponed, SetAside
from recorderd.settings import Settings, StationSettings
from recorderd.store.footage import RecordingFiles
from tests.station.clips import write_clip

ID = RecordingId("01980000-0000-7000-8000-000000000007")


@pytest.fixture
def files(tmp_path: Path) -> RecordingFiles:
    incoming = tmp_path / "incoming"
    incoming.mkdir()
    video = tmp_path / "footage/2026/11/24" / f"SO-7_{ID}.mp4"
    (tmp_path / "footage").mkdir()
    return RecordingFiles(
        incoming_video=incoming / f"{ID}.mp4",
        incoming_still=incoming / f"{ID}.jpg",
        video=video,
        still=video.with_suffix(".jpg"),
    )


def _answer(files: RecordingFiles, folder: Path) -> Any:
    answers: list[Any] = []

    class Outbox:
        put = answers.append

    engine = Engine.__new__(Engine)  # No camera, no scanner: only this is asked of it.
    engine._settings = Settings(station=StationSettings(state_folder=str(folder)))
    engine._outbox = Outbox()  # type: ignore[assignment]
    engine._set_aside(SetAside(ID, files))
    (answer,) = answers
    return answer


def test_what_plays_is_saved_after_all(tmp_path: Path, files: RecordingFiles) -> None:
    frames = write_clip(files.incoming_video, [(1.0, "SO-7")], size=(640, 360))
    answer = _answer(files, tmp_path)
    assert isinstance(answer, Captured)
    assert answer.frames == frames
    assert files.video.exists()


def test_what_does_not_play_is_set_aside(tmp_path: Path, files: RecordingFiles) -> None:
    files.incoming_video.write_bytes(b"rubbish")
    answer = _answer(files, tmp_path)
    assert isinstance(answer, FilesSetAside)
    assert [told.endswith("(7 bytes)") for told in answer.files] == [True]
    assert not files.incoming_video.exists()


def test_while_the_disk_is_away_nothing_is_decided(tmp_path: Path, files: RecordingFiles) -> None:
    files.incoming_video.parent.rename(tmp_path / "away")
    assert isinstance(_answer(files, tmp_path), SalvagePostponed)
