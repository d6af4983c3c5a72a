"""Lamps, buzzer and pedal for the doctor: through the running station, or opened by ourselves."""

from __future__ import annotations

import threading
import time
from typing import Protocol

from recorderd.core.events import FaultRaised, PedalChanged
from recorderd.core.signals import Signal
from recorderd.doctor.running_station import status_of_running
from recorderd.errors import DeviceError, parted
from recorderd.panel import test_request
from recorderd.panel.base import PanelEvent
from recorderd.panel.panel import Panel, open_panel
from recorderd.settings import Settings

ANSWER_SECONDS = 4.0
"""The station looks for requests once a second, and publishes as often."""
_OPEN_SECONDS = 1.5
_POLL_SECONDS = 0.1


class PanelHands(Protocol):
    """Used by one thread."""

    def play_test(self) -> None:
        """Begin the signal that tests lamps and buzzer. Raises DeviceError."""

    def wait_for_press(self, seconds: float) -> bool:
        """Whether the pedal goes down within so long. Raises DeviceError."""

    def close(self) -> None:
        """Let go of the devices. Never raises."""


def panel_hands(settings: Settings, station_runs: bool) -> PanelHands:
    """The panel belongs to the station while that runs. Raises DeviceError."""
    return PanelOfStation(settings) if station_runs else PanelOfOurOwn(settings)


class PanelOfStation:
    """Asks the running station; it plays the test when no order is at hand."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def play_test(self) -> None:
        before = self._count("panel_tests")
        test_request.ask(self._settings.run_folder)
        if not self._rises("panel_tests", before, ANSWER_SECONDS):
            test_request.taken(self._settings.run_folder)
            raise DeviceError(
                "The station did not test its lamps: an order is at hand",
                "Finish the order, then run recorderd doctor again",
            )

    def wait_for_press(self, seconds: float) -> bool:
        return self._rises("pedal_presses", self._count("pedal_presses"), seconds)

    def close(self) -> None:
        """The devices are the station's."""

    def _rises(self, name: str, before: int, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self._count(name) > before:
                return True
            time.sleep(_POLL_SECONDS)
        return False

    def _count(self, name: str) -> int:
        count = (status_of_running(self._settings).get("counters") or {}).get(name)
        return count if isinstance(count, int) else 0


class PanelOfOurOwn:
    """Opens the devices of the settings. Raises DeviceError if they cannot be had."""

    def __init__(self, settings: Settings) -> None:
        self._changed = threading.Condition()
        self._down = False
        self._presses = 0
        self._problem = ""
        self._panel: Panel = open_panel(settings, self._heard)
        with self._changed:
            self._changed.wait_for(lambda: self._problem, _OPEN_SECONDS)
            problem = self._problem
        if problem:
            self.close()
            raise DeviceError(*parted(problem))

    def play_test(self) -> None:
        self._panel.play(Signal.TEST)

    def wait_for_press(self, seconds: float) -> bool:
        with self._changed:
            before = self._presses
            return self._changed.wait_for(lambda: self._presses > before, seconds)

    def close(self) -> None:
        self._panel.close()

    def _heard(self, event: PanelEvent) -> None:
        """On the threads of the panel."""
        with self._changed:
            if isinstance(event, PedalChanged):
                self._presses += event.down and not self._down
                self._down = event.down
            elif isinstance(event, FaultRaised):
                self._problem = event.problem
            self._changed.notify_all()
