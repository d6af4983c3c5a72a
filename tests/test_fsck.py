"""`recorderd fsck`: what does not fit together is named, with a remedy, and nothing is changed."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from recorderd import fsck
from recorderd.core.model import RecordingState
from recorderd.errors import CatalogueError, StorageError
from recorderd.finisher.fingerprint import Fingerprint
from recorderd.fsck import run_fsck
from recorderd.recovery import contents
from recorderd.recovery.repair import Repair
from recorderd.settings import Settings, StationSettings
from recorderd.station.state_lock import FINISHER_LOCK_NAME, StateLock
from recorderd.store.catalogue import Catalogue, NewRecording
from recorderd.store.consistency import (
    REMEDIES,
    Comparison,
    Finding,
    Kind,
    _may_read,
    footage_id_of,
)
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


def test_what_is_set_aside_is_told_and_is_no_fault(
    catalogue: Catalogue, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    recording = saved(catalogue, settings)
    path = settings.set_aside_folder / f"{recording.id}.1.mp4"
    path.parent.mkdir()
    path.write_bytes(b"rubbish")
    assert run_fsck(settings, json=False) == 0
    told = capsys.readouterr().out
    assert path.name in told
    assert "no fault" in told
    assert run_fsck(settings, json=True) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["set_aside"] == [{"path": str(path), "recording_id": recording.id, "bytes": 7}]


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


def test_repair_is_refused_while_a_station_works_there(
    catalogue: Catalogue, settings: Settings
) -> None:
    recording = saved(catalogue, settings)
    (settings.footage_folder / recording.path).unlink()
    station = StateLock(settings.state_folder, patience_seconds=0)
    with pytest.raises(StorageError, match="Another recorderd is working") as refused:
        run_fsck(settings, json=False, repair=True)
    assert "systemctl stop recorderd" in refused.value.remedy
    station.release()
    finisher = StateLock(settings.state_folder, name=FINISHER_LOCK_NAME, patience_seconds=0)
    with pytest.raises(StorageError, match="Another recorderd is working"):
        run_fsck(settings, json=False, repair=True)
    finisher.release()
    with catalogue.reading() as tables:
        assert tables.recordings.get().state == RecordingState.SAVED
    assert run_fsck(settings, json=False, repair=True) == 0
    with catalogue.reading() as tables:
        assert tables.recordings.get().state == RecordingState.LOST


def test_people_read_what_was_repaired_and_what_is_left(
    catalogue: Catalogue, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    recording = saved(catalogue, settings)
    (settings.footage_folder / recording.path).unlink()
    (settings.footage_folder / "holiday.mp4").write_bytes(b"x")
    assert run_fsck(settings, json=False, repair=True) == 1
    text = capsys.readouterr().out
    assert "  done: given up as lost: its file was on this disk and is nowhere on it" in text
    assert "It is no recording that tells of itself: move it to another place." in text
    assert "1 repaired, 1 are left" in text
    (settings.footage_folder / "holiday.mp4").unlink()
    assert run_fsck(settings, json=False) == 0


def test_nothing_is_given_up_while_a_folder_hides(
    catalogue: Catalogue, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    """As an account that may not look everywhere."""
    recording = saved(catalogue, settings)
    video = settings.footage_folder / recording.path
    hidden = settings.footage_folder / "hidden"
    hidden.mkdir()
    video.rename(hidden / video.name)
    comparison = Comparison(settings, footage_id_of(settings), being_recorded=False)
    list(comparison)
    comparison._footage.closed.append("hidden/")
    del comparison._footage.files[f"hidden/{video.name}"]
    repair = Repair(settings, catalogue, comparison)
    treated = repair._treat(Finding(Kind.MISSING, video, recording.id, "SO-1"))
    assert treated.done is None
    assert "cannot be looked into" in treated.remedy


def test_a_changed_bit_is_found_by_its_hash(
    catalogue: Catalogue, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = []
    for order_id in ("fine", "changed", "gone", "never hashed"):
        recording = saved(catalogue, settings, order_id)
        paths.append(settings.footage_folder / recording.path)
        if order_id != "never hashed":
            sha256 = hashlib.sha256(paths[-1].read_bytes()).hexdigest()
            catalogue.amend(recording.id, {"sha256": sha256})
    paths[1].write_bytes(bytes(999) + b"\1")
    paths[2].unlink()
    assert kinds(settings, capsys) == [Kind.MISSING]
    assert run_fsck(settings, json=True, contents=True) == 1
    found = json.loads(capsys.readouterr().out)["found"]
    assert [each["kind"] for each in found] == [Kind.MISSING, Kind.OTHER_CONTENT]
    assert found[1]["order_id"] == "changed"
    assert hashlib.sha256(paths[1].read_bytes()).hexdigest() in found[1]["detail"]
    assert found[1]["done"] is None
    assert "backup" in found[1]["remedy"]


def test_a_hash_that_is_made_anew_meanwhile_is_no_change(
    catalogue: Catalogue, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The finisher replaces a file and then its hash."""
    recording = saved(catalogue, settings)
    catalogue.amend(recording.id, {"sha256": "of before"})

    def replaced(*_: object) -> Fingerprint:
        catalogue.amend(recording.id, {"sha256": None})
        return Fingerprint("of now", 0)

    monkeypatch.setattr(contents, "fingerprint", replaced)
    assert run_fsck(settings, json=True, contents=True) == 0


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_is_shown_on_a_terminal_only(
    catalogue: Catalogue,
    settings: Settings,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    terminal: bool,
) -> None:
    recording = saved(catalogue, settings)
    catalogue.amend(recording.id, {"sha256": "another"})
    monkeypatch.setattr(fsck, "_PROGRESS_SECONDS", 0.0)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    run_fsck(settings, json=True, contents=True)
    streams = capsys.readouterr()
    assert ("0 of 1 recordings" in streams.err) is terminal
    assert streams.err == "" or streams.err.endswith("\r\x1b[K")
    assert json.loads(streams.out)["recordings"] == 1


@pytest.mark.parametrize(
    ("mode", "user", "group", "folder", "may"),
    [
        (0o640, 7, 7, False, True),
        (0o040, 7, 7, False, False),
        (0o640, 0, 7, False, True),
        (0o600, 0, 7, False, False),
        (0o644, 0, 0, False, True),
        (0o640, 0, 0, False, False),
        (0o700, 7, 7, True, True),
        (0o400, 7, 7, True, False),
        (0o750, 0, 7, True, True),
    ],
)
def test_whether_the_service_may_read(
    mode: int, user: int, group: int, folder: bool, may: bool
) -> None:
    kind = stat.S_IFDIR if folder else stat.S_IFREG
    found = os.stat_result((kind | mode, 0, 0, 1, user, group, 0, 0, 0, 0))
    service = os.stat_result((stat.S_IFDIR | 0o750, 0, 0, 1, 7, 7, 0, 0, 0, 0))
    assert _may_read(found, service) is may
    root = os.stat_result((stat.S_IFDIR | 0o750, 0, 0, 1, 0, 0, 0, 0, 0, 0))
    assert _may_read(found, root)
