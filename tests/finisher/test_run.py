"""The finisher's round: what is left to be done is found in the catalogue, and done."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from recorderd.core.model import Mode
from recorderd.engine.encoders import VideoEncoder
from recorderd.errors import CatalogueError, DeviceError, StorageError
from recorderd.finisher import run
from recorderd.finisher.fingerprint import Fingerprint, fingerprint
from recorderd.finisher.run import Finisher
from recorderd.finisher.sections import take_away_unneeded
from recorderd.settings import Settings, StationSettings
from recorderd.station import clock as station_clock
from recorderd.store import footage, visits
from recorderd.store.chores import MOST_AT_ONCE, MOST_TRIES, Chores, Finished, pause_after
from recorderd.store.footage import StorageHealth, thumbnail_path
from recorderd.store.identity import boot_id
from recorderd.store.records import ClockReading
from tests.finisher.archive import Archive, write_mjpeg


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


def test_recording_that_cannot_be_transcoded_is_hashed_and_tried_again_later(
    archive: Archive, finisher: Finisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[int] = []

    def fail(*_: object) -> None:
        tries.append(1)
        raise DeviceError("The encoder failed", "Try another")

    recording_id = archive.add()
    with monkeypatch.context() as broken:
        broken.setattr(VideoEncoder, "encode", fail)
        finisher.look()
        finisher.look()
        Finisher(archive.settings, threading.Event()).look()
    assert len(tries) == 1, "the pause goes on after a restart"
    assert archive.failures() == [("transcode", recording_id, 1, "The encoder failed", False)]
    assert archive.row(recording_id)["sha256"] == _sha256(archive.path(recording_id))
    assert archive.row(recording_id)["codec"] == "mjpeg"
    finisher.look()
    assert archive.row(recording_id)["codec"] == "mjpeg", "not before the pause is over"
    archive.let_pauses_pass()
    finisher.look()
    assert archive.row(recording_id)["codec"] == "h264"
    assert archive.row(recording_id)["sha256"] == _sha256(archive.path(recording_id))
    assert archive.failures() == []


def test_what_fails_again_and_again_is_given_up(
    archive: Archive, capsys: pytest.CaptureFixture[str]
) -> None:
    recording_id = archive.add(mode=Mode.ENCODE, there=False)
    path = archive.path(recording_id)
    for _ in range(MOST_TRIES + 2):
        Finisher(archive.settings, threading.Event()).look()
        archive.let_pauses_pass()
    found = {job: (tries, given_up) for job, _, tries, _, given_up in archive.failures()}
    assert found == {"thumbnail": (MOST_TRIES, True), "fingerprint": (MOST_TRIES, True)}
    write_mjpeg(path)
    assert run.try_again(archive.settings) == 0
    assert "2 jobs" in capsys.readouterr().out
    Finisher(archive.settings, threading.Event()).look()
    assert archive.failures() == []
    assert archive.row(recording_id)["sha256"] is not None


def test_pauses_grow_up_to_a_day() -> None:
    pauses = [pause_after(tries) for tries in range(1, MOST_TRIES)]
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (timedelta(minutes=1), timedelta(days=1))


def test_a_clock_that_was_wrong_makes_no_pause_of_years(
    archive: Archive, finisher: Finisher
) -> None:
    recording_id = archive.add(mode=Mode.ENCODE)
    in_2099 = datetime(2099, 1, 1, tzinfo=UTC)
    Chores(archive.catalogue).failed(recording_id, "fingerprint", "broken", "mend it", in_2099)
    finisher.look()
    assert archive.row(recording_id)["sha256"] is not None


def test_recording_with_which_the_last_finisher_died_waits_its_turn(archive: Archive) -> None:
    deadly, other = archive.add(after=10), archive.add()
    finisher = Finisher(archive.settings, threading.Event(), ("transcode", deadly))
    finisher.look()
    finisher.look()
    assert archive.row(deadly)["codec"] == "mjpeg"
    assert archive.row(other)["codec"] == "h264"
    ((job, recording_id, tries, problem, _),) = archive.failures()
    assert (job, recording_id, tries) == ("transcode", deadly, 1)
    assert "crashed" in problem
    archive.let_pauses_pass()
    finisher.look()
    assert archive.row(deadly)["codec"] == "h264"


@pytest.mark.slow
def test_every_one_of_a_thousand_has_its_turn(
    archive: Archive, finisher: Finisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also behind more failing ones than are read in one go."""
    first = archive.add(mode=Mode.ENCODE)
    thumbnail_path(archive.path(first)).touch()
    everyone = [first, *archive.multiply(first, 999)]
    failing = set(everyone[: 2 * MOST_AT_ONCE])
    asked: list[str] = []

    def hash_or_fail(self: Finisher, chores: Chores, recording: Finished) -> bool:
        asked.append(recording.id)
        if recording.id in failing:
            raise StorageError("This one cannot be read", "Look at it")
        chores.fingerprinted(recording.id, "0" * 64, 0)
        return True

    monkeypatch.setattr(Finisher, "_fingerprint", hash_or_fail)
    finisher = Finisher(archive.settings, threading.Event())
    finisher.look()
    assert asked == everyone, "each once, newest first"
    finisher.look()
    assert len(asked) == 1000
    assert len(archive.failures()) == len(failing)
    failing.clear()
    archive.let_pauses_pass()
    finisher.look()
    assert len(asked) == 1000 + 2 * MOST_AT_ONCE
    with archive.catalogue.reading() as tables:
        row = tables.recordings
        assert row.select().where(row.sha256.is_null()).count() == 0


@pytest.mark.slow
def test_every_one_of_a_thousand_gets_its_thumbnail(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = archive.add(mode=Mode.ENCODE)
    everyone = [first, *archive.multiply(first, 999)]
    there: set[str] = set(everyone[3:990])
    made: list[str] = []

    def lacks(self: Finisher, recording: Finished) -> bool:
        return recording.id not in there

    def make(self: Finisher, _chores: Chores, recording: Finished) -> bool:
        made.append(recording.id)
        there.add(recording.id)
        return True

    monkeypatch.setattr(Finisher, "_lacks_thumbnail", lacks)
    monkeypatch.setattr(Finisher, "_thumbnail", make)
    monkeypatch.setattr(Finisher, "_fingerprint", lambda *_: False)
    finisher = Finisher(archive.settings, threading.Event())
    finisher.look()
    assert made == everyone[:3] + everyone[990:]


def test_what_was_recorded_meanwhile_is_next(
    archive: Archive, finisher: Finisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, older = archive.add(mode=Mode.ENCODE, after=10), archive.add(mode=Mode.ENCODE)
    done: list[str] = []
    really = fingerprint

    def slowly(path: Path, *rest: Any) -> Fingerprint | None:
        if not done:
            done.append(archive.add(mode=Mode.ENCODE, after=20))
        done.append(path.stem[2:])
        return really(path, *rest)

    monkeypatch.setattr(run, "fingerprint", slowly)
    finisher.look()
    new = done.pop(0)
    assert done == [old, new, older]


def test_half_done_file_of_a_recording_nobody_asks_for_any_more(
    archive: Archive, finisher: Finisher
) -> None:
    left_over = archive.settings.incoming_folder / "some-id.transcode.mp4"
    left_over.touch()
    finisher.look()
    assert not left_over.exists()


def test_what_is_encoded_of_recordings_stays_while_they_wait_for_it(
    archive: Archive, finisher: Finisher
) -> None:
    waiting, done, deleted = archive.add(), archive.add(after=9), archive.add(after=18)
    with archive.catalogue.transaction() as tables:
        row = tables.recordings
        row.update(transcoded_from="0" * 64).where(row.id == done).execute()
        row.update(state="deleted").where(row.id == deleted).execute()
    names = [f"{each}.0000.transcode.mp4" for each in (waiting, done, deleted)]
    for name in names:
        (archive.settings.incoming_folder / name).touch()
    take_away_unneeded(archive.settings, archive.catalogue)
    assert [path.name for path in archive.settings.incoming_folder.iterdir()] == names[:1]
    finisher.look()
    assert not list(archive.settings.incoming_folder.iterdir())


def test_what_was_encoded_when_the_finisher_died_is_not_used_again(archive: Archive) -> None:
    died_with, other = archive.add(), archive.add(after=9)
    names = [f"{each}.0000.transcode.mp4" for each in (died_with, other)]
    for name in names:
        (archive.settings.incoming_folder / name).touch()
    leaving = threading.Event()
    leaving.set()
    Finisher(archive.settings, leaving, ("transcode", died_with)).look()
    assert [path.name for path in archive.settings.incoming_folder.iterdir()] == names[1:]


def test_what_is_encoded_so_far_is_part_of_the_room_that_is_needed(
    archive: Archive, finisher: Finisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = archive.finished(archive.add())
    size = archive.path(recording.id).stat().st_size
    minimum = round(archive.settings.storage.minimum_free_gigabytes * 1e9)
    free = minimum + size - 1000
    disk = os.statvfs_result((1, 1, free, free, free, 100, 100, 100, 0, 255))
    with monkeypatch.context() as nearly_full:
        nearly_full.setattr(os, "statvfs", lambda _: disk)
        assert not finisher._has_room_beside(recording)
        section = archive.settings.incoming_folder / f"{recording.id}.0000.transcode.mp4"
        section.write_bytes(bytes(1000))
        assert finisher._has_room_beside(recording)


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


@pytest.mark.parametrize("right", [False, True])
def test_visits_of_before_the_clock_was_set_are_dated_by_it(
    archive: Archive, finisher: Finisher, right: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They may reach the event log when the station has corrected it already."""
    file = archive.settings.visits_file
    reading = ClockReading(boot_id(), time.monotonic_ns(), "unsynchronised")
    with monkeypatch.context() as in_1970:
        in_1970.setattr(visits, "microseconds", lambda _: 5_000_000)
        visits.write_down(file, "view", "some-id", "10.0.0.7", reading)
    with file.open("a") as old:
        old.write('{"at_us": 7, "event": "view", "recording_id": "x", "detail": "older"}\n')
    clock = "synchronised" if right else "unsynchronised"
    monkeypatch.setattr(station_clock, "synchronisation", lambda: clock)
    finisher.look()
    with archive.catalogue.reading() as tables:
        events = {event.detail: event for event in tables.events.select()}
    visit = events["10.0.0.7"]
    assert visit.clock == ("corrected" if right else "unsynchronised")
    assert (abs(visit.at - datetime.now(UTC)) < timedelta(minutes=1)) == right
    assert (events["older"].clock, events["older"].at.year) == (None, 1970)


def test_recording_that_is_being_deleted_is_not_worked_on(
    archive: Archive, finisher: Finisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its deletion begins between the choice of a job and the job."""
    recording_id = archive.add(mode=Mode.COPY)
    path = archive.path(recording_id)
    choose = finisher._next

    def begin_deletion(*arguments: Any) -> Any:
        found = choose(*arguments)
        with archive.catalogue.transaction() as tables:
            tables.recordings.update(state="deleting").execute()
        return found

    monkeypatch.setattr(finisher, "_next", begin_deletion)
    finisher.look()
    assert not thumbnail_path(path).exists()
