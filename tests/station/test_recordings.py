from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from recorderd.core.actions import StartRecording
from recorderd.core.events import Event, RecordingFailed
from recorderd.core.model import Order, RecordingId, Symbology
from recorderd.engine.messages import Command, NothingLeft
from recorderd.settings import Settings, StationSettings
from recorderd.station.clock import StationClock
from recorderd.station.recordings import Recordings
from recorderd.store.catalogue import Catalogue


class Hands:
    """A station whose catalogue is locked until `unlock`."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[Any], None] | None] = []
        self.stepped: list[Event] = []

    def tell_engine(self, command: Command) -> None:
        """Nobody listens."""

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


def test_bad_news_is_decided_once_however_long_the_catalogue_is_locked(tmp_path: Path) -> None:
    hands = Hands()
    settings = Settings(station=StationSettings(state_folder=str(tmp_path)))
    recordings = Recordings(settings, hands, "boot")
    recording_id = RecordingId("one")
    order = Order("7", "7", Symbology.QR)
    recordings.start(StartRecording(recording_id, order, 1, None, 0, None), StationClock())
    recordings.engine_started()
    recordings.heard(NothingLeft(recording_id, "the disk is full"))
    for _ in range(5):
        recordings.disk_looked_at(good=True)
    hands.unlock()
    failed = [event for event in hands.stepped if isinstance(event, RecordingFailed)]
    assert failed == [RecordingFailed(recording_id, "the disk is full")]
    assert not list(recordings)
