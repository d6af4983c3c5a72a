"""When background work has to wait for the station."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path

import pytest

from recorderd.finisher.idle import Idleness
from recorderd.settings import Settings, StationSettings
from recorderd.store.identity import boot_id


class Leaving(threading.Event):
    """Nobody really waits; each wait lets the station's status become the next one."""

    def __init__(self, settings: Settings, phases: list[str]) -> None:
        super().__init__()
        self.waits = 0
        self._settings = settings
        self._phases = phases
        self.next()

    def next(self) -> None:
        if not self._phases:
            self.set()
            return
        document = {
            "phase": self._phases.pop(0),
            "monotonic_ns": time.monotonic_ns(),
            "boot_id": boot_id(),
        }
        self._settings.status_file.write_text(json.dumps(document))

    def wait(self, timeout: float | None = None) -> bool:
        self.waits += 1
        self.next()
        return self.is_set()


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    folder = str(tmp_path)
    return Settings(station=StationSettings(state_folder=folder, run_folder=folder))


def test_waits_until_the_station_is_ready(settings: Settings) -> None:
    leaving = Leaving(settings, ["recording", "recording", "closing", "ready"])
    assert not Idleness(settings, leaving).pause_while_recording()
    assert leaving.waits == 3


def test_drops_the_work_when_it_shall_leave(settings: Settings) -> None:
    leaving = Leaving(settings, ["recording", "recording"])
    assert Idleness(settings, leaving).pause_while_recording()


@pytest.mark.parametrize("contents", [None, "", "[]", '{"phase": "recording"}'])
def test_station_that_does_not_run_needs_nothing(settings: Settings, contents: str | None) -> None:
    if contents is not None:
        settings.status_file.write_text(contents)
    assert not Idleness(settings, threading.Event()).pause_while_recording()


def test_status_of_a_station_that_was_killed(settings: Settings) -> None:
    old = {"phase": "recording", "monotonic_ns": time.monotonic_ns() - 10**10, "boot_id": boot_id()}
    settings.status_file.write_text(json.dumps(old))
    assert not Idleness(settings, threading.Event()).pause_while_recording()


def test_large_machine_has_enough_for_both(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    leaving = Leaving(settings, ["recording"])
    assert not Idleness(settings, leaving).pause_while_recording()
    assert leaving.waits == 0
