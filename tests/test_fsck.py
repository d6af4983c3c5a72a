"""`recorderd fsck`: what does not fit together is named, with a remedy, and nothing is changed."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from recorderd.core.model import RecordingState
from recorderd.errors import CatalogueError, StorageError
from recorderd.fsck import run_fsck
from recorderd.settings import Settings, StationSettings
from recorderd.store.catalogue import Catalogue, NewRecording
from recorderd.store.consistency import REMEDIES, Kind
from recorderd.store.footage import MARKER_NAME, prepare
from recorderd.store.identity import boot_id

from .store.rows import captured, new


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    state, run = str(tmp_path / "state"), str(tmp_path / "run")
    return Settings(station=StationSettings(name="bench-1", state_folder=state, run_folder=run))


@pytest.fixture
def catalogue(settings: Settings) -> Iterator[Catalogue]:
    opened = Catalogue.open(settings.database_url, "bench-1")
    opened.set_footage_id(prepare(settings, None))
    yield opened
    opened.close()


def saved(catalogue: Catalogue, settings: Settings, order_id: str = "SO-1") -> NewRecording:
    """A finished recording with a video of 1000 bytes."""
    recording = new(order_id)
    catalogue.register(recording)
    catalogue.captured(recording.id, replace(captured(recording), bytes=1000))
    catalogue.saved(recording.id)
    video = settings.footage_folder / recording.path
    video.parent.mkdir(parents=True, exist_ok=True)
    video.write_bytes(bytes(1000))
    video.with_suffix(".jpg").write_bytes(b"still")
    video.with_suffix(".thumb.jpg").write_bytes(b"thumb")
    return recording


def kinds(settings: Settings, capsys: pytest.CaptureFixture[str]) -> list[str]:
    exit_code = run_fsck(settings, json=True)
    found = [each["kind"] for each in json.loads(capsys.readouterr().out)["found"]]
    assert exit_code == (1 if found else 0)
    return found


def state(catalogue: Catalogue, recording: NewRecording, value: RecordingState) -> None:
    with catalogue.transaction() as tables:
        row = tables.recordings
        row.update(state=value.value).where(row.id == recording.id).execute()


def publish_status(settings: Settings) -> None:
    settings.run_folder.mkdir(exist_ok=True)
    living = {"monotonic_ns": time.monotonic_ns(), "boot_id": boot_id()}
    settings.status_file.write_text(json.dumps(living))


def test_all_is_well(
    catalogue: Catalogue, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    saved(catalogue, settings)
    assert run_fsck(settings, json=False) == 0
    assert capsys.readouterr().out == "1 recordings, 4 files: all is in its place\n"


def test_an_empty_catalogue_is_well(
    catalogue: Catalogue, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert kinds(settings, capsys) == []


def test_each_trouble_has_its_name(
    catalogue: Catalogue, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    def video(order_id: str) -> Path:
        return settings.footage_folder / saved(catalogue, settings, order_id).path

    saved(catalogue, settings, "fine")
    video("gone").unlink()
    video("cut").write_bytes(bytes(999))
    video("emptied").write_bytes(b"")
    (settings.footage_folder / "holiday.mp4").write_bytes(b"x")
    (settings.footage_folder / "2026/07/04/notes.txt").write_bytes(b"x")
    (settings.incoming_folder / "x.mp4").write_bytes(b"x")
    running = new("running")
    catalogue.register(running)
    (settings.incoming_folder / f"{running.id}.mp4").write_bytes(b"x")
    state(catalogue, saved(catalogue, settings, "going"), RecordingState.DELETING)
    gone = saved(catalogue, settings, "deleted")
    state(catalogue, gone, RecordingState.DELETED)
    (settings.footage_folder / gone.path).unlink()
    assert sorted(kinds(settings, capsys)) == sorted(
        [
            Kind.MISSING,
            Kind.OTHER_SIZE,
            Kind.OTHER_SIZE,
            Kind.WITHOUT_ROW,
            Kind.WITHOUT_ROW,
            Kind.LEFT_OVER,
            Kind.NOT_FINISHED,
            Kind.NOT_DELETED,
        ]
    )


def test_people_get_the_order_the_file_and_a_remedy(
    catalogue: Catalogue, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    recording = saved(catalogue, settings, "SO-\x1b[31m")
    (settings.footage_folder / recording.path).write_bytes(bytes(10))
    assert run_fsck(settings, json=False) == 1
    text = capsys.readouterr().out
    assert "order SO-\\x1b[31m" in text
    assert "(10 bytes, 1000 in the catalogue)" in text
    assert REMEDIES[Kind.OTHER_SIZE] in text
    assert "1 do not fit" in text


def test_many_of_a_kind_are_cut_short(
    catalogue: Catalogue, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(30):
        (settings.footage_folder / f"{number}.mp4").write_bytes(b"x")
    assert run_fsck(settings, json=False) == 1
    text = capsys.readouterr().out
    assert text.count("without a row: ") == 21
    assert "without a row: and 10 more" in text


def test_what_a_living_station_records_is_passed_over(
    catalogue: Catalogue, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    running = new("running")
    catalogue.register(running)
    (settings.incoming_folder / f"{running.id}.mp4").write_bytes(b"x")
    (settings.incoming_folder / "being-made.tmp").write_bytes(b"x")
    publish_status(settings)
    assert kinds(settings, capsys) == []


def test_nothing_is_changed(
    catalogue: Catalogue, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    recording = saved(catalogue, settings)
    (settings.footage_folder / recording.path).unlink()
    before = sorted(path for path in settings.footage_folder.rglob("*"))
    kinds(settings, capsys)
    assert sorted(path for path in settings.footage_folder.rglob("*")) == before
    with catalogue.reading() as tables:
        assert tables.recordings.get().state == RecordingState.SAVED


def test_a_disk_that_is_not_there_is_said_once(catalogue: Catalogue, settings: Settings) -> None:
    saved(catalogue, settings)
    (settings.footage_folder / MARKER_NAME).unlink()
    with pytest.raises(StorageError, match="not mounted"):
        run_fsck(settings, json=False)


def test_no_catalogue_is_said(settings: Settings) -> None:
    with pytest.raises(CatalogueError, match="no catalogue"):
        run_fsck(settings, json=False)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_said(
    catalogue: Catalogue, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    (settings.footage_folder / saved(catalogue, settings).path).chmod(0)
    assert kinds(settings, capsys) == [Kind.UNREADABLE]
