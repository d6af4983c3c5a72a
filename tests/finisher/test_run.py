"""The finisher's round: what is left to be done is found in the catalogue, and done."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from pathlib import Path

import pytest

from recorderd.core.model import Mode
from recorderd.engine.encoders import VideoEncoder
from recorderd.errors import CatalogueError, DeviceError
from recorderd.finisher import run
from recorderd.finisher.run import Finisher
from recorderd.settings import Settings, StationSettings
from recorderd.store import footage
from recorderd.store.chores import Chores
from recorderd.store.footage import StorageHealth, thumbnail_path
from recorderd.store.identity import boot_id
from tests.finisher.archive import Archive


@pytest.fixture
def finisher(archive: Archive) -> Finisher:
    return Finisher(archive.settings, threading.Event())


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_deferred_recording_is_brought_to_its_end(archive: Archive, finisher: Finisher) -> None:
    recording_id = archive.add()
    path = archive.path(recording_id)
    original = _sha256(path)
    finisher.look()
    assert archive.row(recording_id) == {
        "bytes": path.stat().st_size,
        "codec": "h264",
        "encoder": "libx264",
        "mode": "defer",
        "sha256": _sha256(path),
        "transcoded_from": original,
        "state": "saved",
    }
    assert original != _sha256(path)
    assert thumbnail_path(path).exists()


def test_other_recordings_stay_as_they_are(archive: Archive, finisher: Finisher) -> None:
    recording_id = archive.add(mode=Mode.ENCODE)
    path = archive.path(recording_id)
    before = path.read_bytes()
    finisher.look()
    assert path.read_bytes() == before
    assert archive.row(recording_id)["sha256"] == hashlib.sha256(before).hexdigest()
    assert archive.row(recording_id)["transcoded_from"] is None


def test_second_round_finds_nothing_to_do(
    archive: Archive, finisher: Finisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive.add()
    finisher.look()
    for job in ("make_thumbnail", "transcode", "fingerprint"):
        monkeypatch.setattr(run, job, lambda *_: pytest.fail("this was done already"))
    finisher.look()


def test_hash_of_before_is_void_after_the_transcode(archive: Archive, finisher: Finisher) -> None:
    recording_id = archive.add()
    archive.catalogue.amend(recording_id, {"sha256": _sha256(archive.path(recording_id))})
    finisher.look()
    assert archive.row(recording_id)["sha256"] == _sha256(archive.path(recording_id))


def test_recording_that_cannot_be_transcoded_is_hashed_and_given_up_until_the_next_start(
    archive: Archive, finisher: Finisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[int] = []

    def fail(*_: object) -> None:
        tries.append(1)
        raise DeviceError("The encoder failed", "Try another")

    with monkeypatch.context() as broken:
        broken.setattr(VideoEncoder, "encode", fail)
        recording_id = archive.add()
        finisher.look()
        finisher.look()
    assert len(tries) == 1
    assert archive.row(recording_id)["sha256"] == _sha256(archive.path(recording_id))
    assert archive.row(recording_id)["codec"] == "mjpeg"
    finisher.look()
    assert archive.row(recording_id)["codec"] == "mjpeg", "only the next start tries again"
    Finisher(archive.settings, threading.Event()).look()
    assert archive.row(recording_id)["codec"] == "h264"
    assert archive.row(recording_id)["sha256"] == _sha256(archive.path(recording_id))


def test_the_original_is_sealed_before_it_is_encoded(archive: Archive, finisher: Finisher) -> None:
    recording_id = archive.add()
    original = _sha256(archive.path(recording_id))
    finisher.look()
    finisher.look()
    with archive.catalogue.transaction() as tables:
        seals = [json.loads(each.statement) for each in tables.seals.select()]
        row = tables.recordings.get_by_id(recording_id)
        assert row.seal == tables.seals.get(tables.seals.number == 2).seal
    assert [each["what"] for each in seals] == ["recorded", "replaced"]
    before, after = (each["facts"] for each in seals)
    assert (before["codec"], after["codec"]) == ("mjpeg", "h264")
    assert after["transcoded_from"] == before["sha256"] == original
    assert after["sha256"] == _sha256(archive.path(recording_id))


def test_a_crash_after_the_file_was_replaced_is_sealed_as_what_it_is(
    archive: Archive, finisher: Finisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording_id = archive.add()
    with monkeypatch.context() as power:
        power.setattr(Chores, "transcoded", _cut)
        with pytest.raises(KeyboardInterrupt):
            finisher.look()
    Finisher(archive.settings, threading.Event()).look()
    with archive.catalogue.transaction() as tables:
        seals = [json.loads(each.statement) for each in tables.seals.select()]
    assert [each["what"] for each in seals] == ["recorded", "replaced"]
    assert seals[1]["facts"]["sha256"] == _sha256(archive.path(recording_id))


def _cut(*_: object) -> None:
    raise KeyboardInterrupt


def test_missing_file_does_not_hold_up_the_others(archive: Archive, finisher: Finisher) -> None:
    missing = archive.add(there=False, after=100)
    there = archive.add()
    finisher.look()
    finisher.look()
    assert archive.row(missing)["sha256"] is None
    assert archive.row(there)["codec"] == "h264"
    assert archive.row(there)["sha256"] is not None


def test_disk_that_is_away_is_no_reason_to_give_up(archive: Archive, finisher: Finisher) -> None:
    recording_id = archive.add()
    folder = archive.settings.footage_folder
    folder.rename(folder.with_name("elsewhere"))
    finisher.look()
    folder.with_name("elsewhere").rename(folder)
    finisher.look()
    assert archive.row(recording_id)["codec"] == "h264"


def test_no_room_for_a_second_file(
    archive: Archive, finisher: Finisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The room is the station's; the transcode follows once there is enough."""
    recording_id = archive.add()
    with monkeypatch.context() as full:
        few = os.statvfs_result((4096, 4096, 100, 100, 100, 100, 100, 100, 0, 255))
        full.setattr(os, "statvfs", lambda _: few)
        full.setattr(footage, "check", lambda *_: StorageHealth(400_000, None))
        finisher.look()
        assert archive.row(recording_id)["codec"] == "mjpeg"
        assert archive.row(recording_id)["sha256"] is not None
    finisher.look()
    assert archive.row(recording_id)["codec"] == "h264"


def test_station_without_a_catalogue_yet(tmp_path: Path) -> None:
    settings = Settings(station=StationSettings(state_folder=str(tmp_path / "state")))
    Finisher(settings, threading.Event()).look()
    assert not (tmp_path / "state").exists(), "making it is the station's part"


def test_catalogue_without_recordings(archive: Archive, finisher: Finisher) -> None:
    finisher.look()
    assert not list(archive.settings.incoming_folder.iterdir())


def test_catalogue_that_cannot_be_read(archive: Archive, finisher: Finisher) -> None:
    archive.catalogue.close()
    database = archive.settings.state_folder / "catalogue.db"
    for beside in database.parent.glob("catalogue.db-*"):
        beside.unlink()
    database.write_bytes(b"no database, but long enough to look like one" * 100)
    with pytest.raises(CatalogueError):
        finisher.look()


def test_nothing_is_done_while_it_shall_leave(archive: Archive) -> None:
    recording_id = archive.add()
    leaving = threading.Event()
    leaving.set()
    Finisher(archive.settings, leaving).look()
    assert archive.row(recording_id)["sha256"] is None


def test_heavy_work_waits_while_an_order_is_recorded(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is dropped when the finisher has to leave meanwhile."""
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    recording_id = archive.add()
    archive.settings.run_folder.mkdir()
    document = {"phase": "recording", "monotonic_ns": time.monotonic_ns(), "boot_id": boot_id()}
    archive.settings.status_file.write_text(json.dumps(document))
    leaving = threading.Event()
    waiting = threading.Thread(target=Finisher(archive.settings, leaving).look)
    waiting.start()
    waiting.join(0.3)
    assert waiting.is_alive()
    leaving.set()
    waiting.join(10)
    assert not waiting.is_alive()
    assert archive.row(recording_id)["codec"] == "mjpeg"
    assert archive.row(recording_id)["sha256"] is None
