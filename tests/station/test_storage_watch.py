"""The look at the footage folder, once a second, with a disk that says what the test wants."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from recorderd.core.events import DiskMeasured, FaultCleared, FaultRaised
from recorderd.core.model import Fault, nanoseconds
from recorderd.errors import StorageError
from recorderd.settings import Settings, StationSettings
from recorderd.station import storage_watch
from recorderd.station.storage_watch import StorageWatch
from recorderd.store import footage
from recorderd.store.footage import StorageHealth

Said = FaultRaised | FaultCleared | DiskMeasured


class Watched:
    def __init__(self, folder: Path) -> None:
        self.heard: queue.SimpleQueue[Said] = queue.SimpleQueue()
        self.adopted: queue.SimpleQueue[str] = queue.SimpleQueue()
        settings = Settings(station=StationSettings(state_folder=str(folder / "state")))
        self.footage = settings.footage_folder
        self.watch = StorageWatch(settings, self.heard.put, self.adopted.put)

    def next(self) -> Said:
        return self.heard.get(timeout=10)

    def problem(self) -> str:
        """The next thing said, which must be that something is wrong."""
        said = self.next()
        while not isinstance(said, FaultRaised):
            said = self.next()
        return said.problem

    def free_bytes(self) -> int:
        """Wait for the first look that finds all well."""
        said = self.next()
        while not isinstance(said, DiskMeasured):
            said = self.next()
        assert self.next() == FaultCleared(Fault.STORAGE)
        return said.free_bytes


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    monkeypatch.setattr(storage_watch, "PERIOD_SECONDS", 0.01)
    watched = Watched(tmp_path)
    yield watched
    watched.watch.close(timeout=5)


def test_new_folder_is_adopted_once(watched: Watched) -> None:
    watched.watch.start(None)
    assert watched.free_bytes() > 0
    assert watched.free_bytes() > 0
    assert (
        watched.adopted.get(timeout=1) == (watched.footage / ".recorderd-footage").read_text()[:-1]
    )
    assert watched.adopted.empty()


def test_unmounted_disk_and_its_return(watched: Watched) -> None:
    watched.watch.start(None)
    watched.free_bytes()
    watched.footage.rename(watched.footage.with_name("elsewhere"))
    assert "Connect and mount the disk" in watched.problem()
    watched.footage.with_name("elsewhere").rename(watched.footage)
    watched.free_bytes()


def test_missing_incoming_folder_is_made_anew_without_a_fault(watched: Watched) -> None:
    watched.watch.start(None)
    watched.free_bytes()
    incoming = watched.footage.with_name("incoming")
    incoming.rmdir()
    while not incoming.is_dir():
        watched.free_bytes()


def test_disk_of_another_catalogue(watched: Watched) -> None:
    watched.footage.mkdir(parents=True)
    (watched.footage / ".recorderd-footage").write_text("0190a000-0000-7000-8000-000000000001\n")
    watched.watch.start("0190a000-0000-7000-8000-000000000002")
    assert "belongs to another disk" in watched.problem()
    assert watched.adopted.empty()


def test_trouble_goes_away_by_itself(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    real = footage.prepare
    problems = [StorageError("It is full", "Make room"), StorageError("It is gone", "Find it")]

    def prepare(settings: Settings, footage_id: str | None) -> str:
        if problems:
            raise problems.pop(0)
        return real(settings, footage_id)

    monkeypatch.setattr(footage, "prepare", prepare)
    watched.watch.start(None)
    assert watched.problem() == "It is full. Make room."
    assert watched.problem() == "It is gone. Find it."
    watched.free_bytes()


def test_problem_that_trying_out_does_not_meet(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The blocks kept for root let the trial succeed where a recording would not."""
    monkeypatch.setattr(footage, "check", lambda *_: StorageHealth(7, "The disk is full"))
    watched.watch.start(None)
    assert "The disk is full" in watched.problem()
    assert "The disk is full" in watched.problem()


def test_disk_that_only_looks_writable(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    watched.watch.start(None)
    watched.free_bytes()

    def prepare(_settings: Settings, _footage_id: str | None) -> str:
        raise StorageError("It cannot be written", "Check the cable")

    with monkeypatch.context() as broken:
        broken.setattr(footage, "prepare", prepare)
        watched.free_bytes()
        watched.watch.doubt()
        assert watched.problem() == "It cannot be written. Check the cable."
        assert watched.problem() == "It cannot be written. Check the cable."
    watched.free_bytes()


def test_disk_that_hangs_is_silent(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that has never answered yet."""
    hanging, go_on = threading.Event(), threading.Event()
    real = footage.prepare

    def prepare(settings: Settings, footage_id: str | None) -> str:
        hanging.set()
        assert go_on.wait(10)
        return real(settings, footage_id)

    monkeypatch.setattr(footage, "prepare", prepare)
    assert watched.watch.silent_for == 0
    watched.watch.start(None)
    assert hanging.wait(10)
    before = watched.watch.silent_for
    threading.Event().wait(0.05)
    assert watched.watch.silent_for >= before + nanoseconds(0.05)
    go_on.set()
    watched.free_bytes()
    assert watched.watch.silent_for < nanoseconds(5)
