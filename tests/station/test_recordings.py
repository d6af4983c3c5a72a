from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from recorderd.core.actions import StartRecording
from recorderd.core.events import Event, RecordingFailed, RecordingFinished
from recorderd.core.model import Order, RecordingId, Symbology
from recorderd.engine.messages import (
    Command,
    FilesSetAside,
    NothingLeft,
    Salvage,
    SalvagePostponed,
    SetAside,
    Verified,
    Verify,
)
from recorderd.settings import Settings, StationSettings
from recorderd.station.clock import StationClock
from recorderd.station.recordings import Recordings
from recorderd.store.catalogue import Catalogue
from tests.engine.pictures import files_in
from tests.station.test_ledger import CAPTURED


class Hands:
    """A station whose catalogue is locked until `unlock`."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[Any], None] | None] = []
        self.stepped: list[Event] = []
        self.told: list[Command] = []

    def tell_engine(self, command: Command) -> None:
        self.told.append(command)

    def submit(
        self, job: Callable[[Catalogue], Any], done: Callable[[Any], None] | None = None
    ) -> None:
        self.waiting.append(done)

    def step(self, event: Event) -> None:
        self.stepped.append(event)

    def note(self, event: str, detail: str, recording_id: RecordingId | None = None) -> None:
        """Nobody reads it."""

    def unlock(self) -> None:
        waiting, self.waiting = self.waiting, []
        for done in waiting:
            if done is not None:
                done(1)


ID = RecordingId("one")


def begun(tmp_path: Path, hands: Hands) -> Recordings:
    """One recording that is being written."""
    settings = Settings(station=StationSettings(state_folder=str(tmp_path)))
    recordings = Recordings(settings, hands, "boot")
    order = Order("7", "7", Symbology.QR)
    recordings.start(StartRecording(ID, order, 1, None, 0, None), StationClock())
    recordings.engine_started()
    return recordings


def given_up(tmp_path: Path, hands: Hands) -> Recordings:
    """One recording, of which the engine has found nothing that plays."""
    recordings = begun(tmp_path, hands)
    recordings.heard(NothingLeft(ID, "the disk is full"))
    return recordings


def test_bad_news_is_decided_once_however_long_the_catalogue_is_locked(tmp_path: Path) -> None:
    hands = Hands()
    recordings = given_up(tmp_path, hands)
    for _ in range(5):
        recordings.disk_looked_at(good=True)
    recordings.heard(FilesSetAside(ID, ()))
    for _ in range(5):
        recordings.disk_looked_at(good=True)
    hands.unlock()
    failed = [event for event in hands.stepped if isinstance(event, RecordingFailed)]
    assert failed == [RecordingFailed(ID, "the disk is full")]
    assert not list(recordings)


def test_row_is_not_lost_before_its_file_is_set_aside(tmp_path: Path) -> None:
    """An engine that dies meanwhile is asked again; the row then says where the file is."""
    hands = Hands()
    recordings = given_up(tmp_path, hands)
    assert not any(isinstance(command, SetAside) for command in hands.told)
    for _ in range(3):
        recordings.disk_looked_at(good=True)
    recordings.engine_gone()
    recordings.engine_started()
    asked = [command for command in hands.told if isinstance(command, SetAside)]
    assert len(asked) == 2
    hands.unlock()
    assert list(recordings)
    recordings.heard(FilesSetAside(ID, ("one.1.mp4 (7 bytes)",)))
    hands.unlock()
    (failed,) = [event for event in hands.stepped if isinstance(event, RecordingFailed)]
    assert "one.1.mp4 (7 bytes)" in failed.problem


def test_file_that_cannot_be_set_aside_now_is_looked_at_again(tmp_path: Path) -> None:
    hands = Hands()
    recordings = given_up(tmp_path, hands)
    for _ in range(3):
        recordings.disk_looked_at(good=True)
    hands.told.clear()
    recordings.heard(SalvagePostponed(ID, "the disk is gone"))
    recordings.disk_looked_at(good=True)
    assert [type(command) for command in hands.told] == [Salvage]


def test_file_that_plays_after_all_is_saved(tmp_path: Path) -> None:
    """Its disk was away for a moment, between two looks, when nothing of it was found."""
    hands = Hands()
    recordings = given_up(tmp_path, hands)
    for _ in range(3):
        recordings.disk_looked_at(good=True)
    recordings.heard(replace(CAPTURED, recording_id=ID))
    hands.unlock()
    assert [type(command) for command in hands.told[-2:]] == [SetAside, Verify]
    recordings.heard(Verified(ID, None))
    hands.unlock()
    assert RecordingFinished(ID) in hands.stepped


def test_file_that_cannot_be_read_is_looked_at_ever_more_seldom(tmp_path: Path) -> None:
    hands = Hands()
    recordings = begun(tmp_path, hands)
    recordings.heard(SalvagePostponed(ID, "input/output error"))
    asked_at = []
    for second in range(700):
        recordings.disk_looked_at(good=True)
        if isinstance(hands.told[-1], Salvage):
            asked_at.append(second)
            hands.told.clear()
            hands.told.append(SetAside(ID, files_in(tmp_path)))
            recordings.heard(SalvagePostponed(ID, "input/output error"))
    pauses = [later - earlier for earlier, later in pairwise(asked_at)]
    assert pauses == [2, 4, 8, 16, 32, 64, 128, 256]
    recordings.disk_looked_at(good=False)
    recordings.disk_looked_at(good=True)
    assert isinstance(hands.told[-1], Salvage), "the disk was away: at once"
