"""Deleting in small steps, never what is held, never at the station's expense."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from recorderd.core.model import Mode
from recorderd.core.retention import Reason
from recorderd.errors import CatalogueError
from recorderd.finisher import housekeeping
from recorderd.finisher.housekeeping import AT_ONCE, Housekeeping
from recorderd.store.catalogue import Catalogue
from recorderd.store.holds import HoldAction, HoldRequest, ask
from recorderd.store.identity import boot_id
from recorderd.store.removal import Moment
from tests.store.shelf import NOW, Shelf


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    made = Shelf(tmp_path, days=30.0)
    yield made
    made.catalogue.close()


def keeper(shelf: Shelf, now: Moment = NOW, given_up: frozenset[str] = frozenset()) -> Housekeeping:
    return Housekeeping(
        shelf.settings, threading.Event(), lambda job, _id: job in given_up, lambda: now
    )


def limited(shelf: Shelf, **retention: float) -> Shelf:
    """The same shelf with other limits."""
    shelf.settings = replace(
        shelf.settings,
        retention=replace(shelf.settings.retention, days=0.0, **retention),  # type: ignore[arg-type]
    )
    return shelf


def station_records(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    shelf.settings.run_folder.mkdir(exist_ok=True)
    document = {"phase": "recording", "monotonic_ns": time.monotonic_ns(), "boot_id": boot_id()}
    shelf.settings.status_file.write_text(json.dumps(document))


def free(monkeypatch: pytest.MonkeyPatch, gigabytes: float) -> None:
    monkeypatch.setattr(Housekeeping, "_free_bytes", lambda _: round(gigabytes * 1e9))


def test_old_ones_go_and_say_why(shelf: Shelf) -> None:
    old, young = shelf.put(days_ago=31), shelf.put(days_ago=29)
    keeper(shelf).look()
    assert [shelf.state(each) for each in (old, young)] == ["deleted", "saved"]
    assert shelf.there(old) == [False] * 3
    assert shelf.events(old)[0] == ("deletion begun", "its time is over")


def spare(shelf: Shelf, recording_id: str, name: str = "{}.1.mp4") -> Path:
    path = shelf.settings.set_aside_folder / name.format(recording_id)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"x" * 1000)
    return path


def test_what_was_set_aside_goes_first(shelf: Shelf) -> None:
    limited(shelf, maximum_gigabytes=2e-6)
    ids = [shelf.put(f"SO-{number}", days_ago=2) for number in range(2)]
    doomed, foreign = spare(shelf, ids[1]), spare(shelf, "", "holiday{}.mp4")
    keeper(shelf).look()
    assert not doomed.exists()
    assert foreign.exists(), "nobody knows whose it is"
    assert [shelf.state(each) for each in ids] == ["saved", "saved"]
    (event,) = [each for each in shelf.events(ids[1]) if "set-aside" in each[0]]
    assert event == (
        "set-aside file deleted",
        f"{doomed.name}: all videos together take too much room",
    )


def test_what_was_set_aside_of_a_held_order_stays(shelf: Shelf) -> None:
    old = shelf.put(days_ago=31)
    path = spare(shelf, old)
    request = HoldRequest.now(HoldAction.HOLD, "SO-1", "Anna", "a complaint")
    assert ask(shelf.settings, request, lambda: True)
    keeper(shelf).look()
    assert path.exists()


def test_set_aside_file_that_cannot_be_deleted_holds_nobody_up(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [shelf.put(f"SO-{number}", days_ago=31) for number in range(2)]
    stuck, other = spare(shelf, ids[0]), spare(shelf, ids[1])
    real = Path.unlink

    def refused(path: Path, missing_ok: bool = False) -> None:
        if path == stuck:
            raise OSError(errno.EROFS, "Read-only file system", str(path))
        real(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", refused)
    keeping = keeper(shelf)
    with capture_logs() as entries:
        keeping.look()
        keeping.look()
    assert (stuck.exists(), other.exists()) == (True, False)
    assert [shelf.state(each) for each in ids] == ["deleted", "deleted"]
    assert not [each for each in shelf.events(ids[0]) if "set-aside" in each[0]]
    said = [each for each in entries if each["event"] == "a set-aside file cannot be deleted"]
    assert [each["file"] for each in said] == [stuck.name]


def test_nothing_goes_by_default(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "default")
    old = shelf.put(days_ago=5000)
    keeper(shelf).look()
    shelf.catalogue.close()
    assert shelf.state(old) == "saved"


def test_few_at_once_and_all_in_the_end(shelf: Shelf) -> None:
    ids = [shelf.put(days_ago=60 - number) for number in range(AT_ONCE + 3)]
    keeping = keeper(shelf)
    keeping.look()
    states = [shelf.state(each) for each in ids]
    assert states == ["deleted"] * AT_ONCE + ["saved"] * 3
    keeping.look()
    assert {shelf.state(each) for each in ids} == {"deleted"}


def test_more_than_fits_into_one_plan(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(housekeeping, "_PLANNED", 2)
    ids = [shelf.put(days_ago=60) for _ in range(5)]
    keeping = keeper(shelf)
    for _ in range(3):
        keeping.look()
    assert {shelf.state(each) for each in ids} == {"deleted"}


def test_clock_that_is_not_set_deletes_nothing(shelf: Shelf) -> None:
    old = shelf.put(days_ago=31)
    keeper(shelf, replace(NOW, clock_is_set=False)).look()
    assert shelf.state(old) == "saved"


def test_hold_request_comes_before_the_deletion(shelf: Shelf) -> None:
    old = shelf.put(days_ago=31)
    request = HoldRequest.now(HoldAction.HOLD, "SO-1", "Anna", "a complaint")
    assert ask(shelf.settings, request, lambda: True)
    keeper(shelf).look()
    assert (shelf.state(old), shelf.row(old).held) == ("saved", True)


def test_hold_request_that_comes_after_the_plan(shelf: Shelf) -> None:
    ids = [shelf.put(f"SO-{number}", days_ago=60) for number in range(AT_ONCE + 1)]
    keeping = keeper(shelf)
    keeping.look()
    request = HoldRequest.now(HoldAction.HOLD, f"SO-{AT_ONCE}", "Anna", "a complaint")
    assert ask(shelf.settings, request, lambda: True)
    keeping.look()
    assert shelf.state(ids[-1]) == "saved"


def test_station_that_records_is_left_alone(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    old = shelf.put(days_ago=31)
    request = HoldRequest.now(HoldAction.HOLD, "SO-2", "Anna", "a complaint")
    held = shelf.put("SO-2", days_ago=32)
    assert ask(shelf.settings, request, lambda: True)
    station_records(shelf, monkeypatch)
    keeping = keeper(shelf)
    keeping.look()
    assert shelf.state(old) == "saved"
    assert shelf.row(held).held, "a promise is kept at once"
    shelf.settings.status_file.unlink()
    keeping.look()
    assert shelf.state(old) == "deleted"


def test_rather_one_deletion_while_recording_than_a_station_that_refuses(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    limited(shelf, free_gigabytes=1.0)
    ids = [shelf.put(days_ago=9, size=10_000_000) for _ in range(20)]
    station_records(shelf, monkeypatch)
    keeping = keeper(shelf)
    free(monkeypatch, 0.6)
    keeping.look()
    assert {shelf.state(each) for each in ids} == {"saved"}, "there is room for the next order"
    free(monkeypatch, 0.53)
    keeping.look()
    assert [shelf.state(each) for each in ids[:2]] == ["deleted", "saved"]


def test_free_space_is_looked_at_before_each_deletion(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else has made room meanwhile."""
    limited(shelf, free_gigabytes=10.0)
    ids = [shelf.put(days_ago=9, size=1_000_000) for _ in range(AT_ONCE + 3)]
    keeping = keeper(shelf)
    free(monkeypatch, 1.0)
    keeping.look()
    free(monkeypatch, 11.0)
    keeping.look()
    assert [shelf.state(each) for each in ids].count("deleted") == AT_ONCE


def test_goal_that_would_delete_everything_is_a_mistake(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Megabytes written where gigabytes are meant."""
    limited(shelf, free_gigabytes=51.0)
    free(monkeypatch, 10.0)
    monkeypatch.setattr(Housekeeping, "_disk_bytes", lambda _: 100_000_000_000)
    old = shelf.put(days_ago=9)
    keeper(shelf).look()
    assert shelf.state(old) == "saved"


def test_disk_that_is_full_to_the_last_byte(tmp_path: Path) -> None:
    """A database on it cannot even be opened: the ballast goes first."""
    folder = tmp_path / "disk"
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", "size=200m", "tmpfs", str(folder)]
    if subprocess.run(["mount", *options], capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a disk is not allowed here")
    try:
        shelf = Shelf(folder, free_gigabytes=0.06, keep_hours=0.0)
        ids = [shelf.put(days_ago=3, size=1_000_000) for _ in range(3)]
        for each in ids:
            shelf.files(each)[0].write_bytes(b"x" * 1_000_000)
        keeping = keeper(shelf)
        keeping.look()
        shelf.catalogue.close()
        with (folder / "filler").open("wb", buffering=0) as filler:
            while _free_bytes(folder):
                filler.write(b"x" * _free_bytes(folder))
        with pytest.raises(CatalogueError):
            Catalogue.open(shelf.settings.database_url, "bench-1")
        keeper(shelf).look()
        shelf.catalogue = Catalogue.open(shelf.settings.database_url, "bench-1")
        assert {shelf.state(each) for each in ids} == {"deleted"}
        shelf.catalogue.close()
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=False)


def _free_bytes(folder: Path) -> int:
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize


def test_by_size(shelf: Shelf) -> None:
    limited(shelf, maximum_gigabytes=2.5)
    ids = [shelf.put(days_ago=9 - number, size=1_000_000_000) for number in range(4)]
    keeper(shelf).look()
    assert [shelf.state(each) for each in ids] == ["deleted", "deleted", "saved", "saved"]


def test_fingerprint_comes_first(shelf: Shelf) -> None:
    old = shelf.put(days_ago=31, fingerprint=False)
    deferred = shelf.put(days_ago=31, mode=Mode.DEFER, fingerprint=False)
    keeper(shelf, given_up=frozenset({"transcode"})).look()
    assert [shelf.state(old), shelf.state(deferred)] == ["saved", "saved"]
    keeper(shelf, given_up=frozenset({"transcode", "fingerprint"})).look()
    assert [shelf.state(old), shelf.state(deferred)] == ["deleted", "deleted"]


def test_disk_does_not_fill_with_what_cannot_be_encoded_in_time(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Oldest first, never a held one, only as many as must, and it is said once."""
    limited(shelf, free_gigabytes=5.0)
    waits: dict[str, Any] = {"mode": Mode.DEFER, "fingerprint": False, "size": 1_000_000_000}
    ids = [shelf.put(f"SO-{number}", days_ago=9 - number, **waits) for number in range(4)]
    request = HoldRequest.now(HoldAction.HOLD, "SO-0", "Anna", "a complaint")
    assert ask(shelf.settings, request, lambda: True)
    free(monkeypatch, 3.5)
    with capture_logs() as entries:
        keeper(shelf).look()
    assert [shelf.state(each) for each in ids] == ["saved", "deleted", "deleted", "saved"]
    said = [each for each in entries if "before they were encoded" in each["event"]]
    assert [each["videos"] for each in said] == [2]


@pytest.mark.parametrize("noticed", ["before", "after"])
def test_recording_with_which_the_finisher_is_at_work_stays(shelf: Shelf, noticed: str) -> None:
    """Also if it begins in the very moment in which the deletion does."""
    old = shelf.put(days_ago=31, mode=Mode.DEFER, fingerprint=False)
    answers = iter([True] if noticed == "before" else [False, True])
    keeping = Housekeeping(
        shelf.settings,
        threading.Event(),
        lambda *_: False,
        lambda: NOW,
        works_on=lambda _id: next(answers),
    )
    keeping.look()
    assert shelf.state(old) == "saved"
    assert shelf.there(old) == [True] * 3


def test_deletion_cut_short_is_finished_at_the_next_start(shelf: Shelf) -> None:
    young = shelf.put()
    assert shelf.removal.begin(young, Reason.SPACE) is not None
    keeper(shelf).look()
    assert shelf.state(young) == "deleted"
    assert shelf.there(young) == [False] * 3


def test_held_after_its_deletion_was_cut_short(shelf: Shelf) -> None:
    old = shelf.put(days_ago=31)
    assert shelf.removal.begin(old, Reason.AGE) is not None
    request = HoldRequest.now(HoldAction.HOLD, "SO-1", "Anna", "a complaint")
    assert ask(shelf.settings, request, lambda: True)
    keeper(shelf).look()
    assert (shelf.state(old), shelf.row(old).held, shelf.there(old)) == ("saved", True, [True] * 3)


def test_disk_that_is_away(shelf: Shelf) -> None:
    old = shelf.put(days_ago=31)
    footage = shelf.settings.footage_folder
    footage.rename(footage.with_name("elsewhere"))
    keeping = keeper(shelf)
    keeping.look()
    assert shelf.state(old) == "saved"
    footage.with_name("elsewhere").rename(footage)
    keeping.look()
    assert shelf.state(old) == "deleted"


def test_works_on_its_own_until_it_shall_leave(shelf: Shelf) -> None:
    old = shelf.put(days_ago=31)
    leaving = threading.Event()
    done = threading.Event()

    def now() -> Moment:
        done.set()
        return NOW

    with Housekeeping(shelf.settings, leaving, lambda *_: False, now):
        assert done.wait(10)
    assert leaving.is_set()
    assert shelf.state(old) in ("saved", "deleted")


def test_bug_ends_the_finisher(shelf: Shelf) -> None:
    leaving = threading.Event()

    def now() -> Moment:
        raise ZeroDivisionError

    def work() -> None:
        with Housekeeping(shelf.settings, leaving, lambda *_: False, now):
            assert leaving.wait(10)

    with pytest.raises(ZeroDivisionError):
        work()
