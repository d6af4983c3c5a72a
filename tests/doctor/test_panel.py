"""Lamps, buzzer and pedal, with a person and without, with a station and without."""

from __future__ import annotations

import socket
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from recorderd.config import LoadedSettings
from recorderd.core.events import PedalChanged
from recorderd.doctor import panel as panel_module
from recorderd.doctor.check import Verdict
from recorderd.doctor.checks.panel import BuzzerCheck, LampsCheck, PedalCheck
from recorderd.doctor.examine import guarded
from recorderd.panel import test_request as panel_request
from recorderd.panel.base import PanelListener
from recorderd.settings import Settings
from tests.doctor.stations import Someone, examination, loaded_in, publish

SIMULATED = '[panel]\ndriver = "simulated"\n'


class PaperStation:
    """Answers requests as the station does; somebody steps on its pedal all the time."""

    def __init__(self, loaded: LoadedSettings) -> None:
        self._loaded = loaded
        self._counters = {"panel_tests": 0, "pedal_presses": 0}
        self._leaving = threading.Event()
        self._thread = threading.Thread(target=self._run)
        publish(loaded, counters=self._counters)

    def __enter__(self) -> PaperStation:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._leaving.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._leaving.wait(0.05):
            self._counters["panel_tests"] += panel_request.taken(self._loaded.settings.run_folder)
            self._counters["pedal_presses"] += 1
            publish(self._loaded, counters=self._counters)


def test_the_running_station_shows_its_lamps(tmp_path: Path) -> None:
    loaded = loaded_in(tmp_path, SIMULATED)
    with PaperStation(loaded):
        subject = examination(loaded, person=Someone(True))
        assert guarded(LampsCheck(), subject).verdict is Verdict.GOOD
        assert guarded(BuzzerCheck(), subject).verdict is Verdict.GOOD
        dark = examination(loaded, person=Someone(False))
        finding = guarded(LampsCheck(), dark)
    assert finding.verdict is Verdict.BAD
    assert "wiring" in finding.remedy


def test_a_station_that_plays_nothing_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(panel_module, "ANSWER_SECONDS", 0.2)
    loaded = loaded_in(tmp_path, SIMULATED)
    publish(loaded)
    subject = examination(loaded, person=Someone(True))
    assert guarded(LampsCheck(), subject).verdict is Verdict.BAD
    assert not panel_request.taken(loaded.settings.run_folder)


def test_the_order_that_the_shown_label_began_is_waited_for(tmp_path: Path) -> None:
    loaded = loaded_in(tmp_path, SIMULATED)
    publish(loaded, phase="recording", order="SO-1")
    with ExitStack() as stack:

        def take_it_away(text: str) -> None:
            if "step on the pedal" in text:
                stack.enter_context(PaperStation(loaded))

        person = Someone(True, take_it_away)
        assert guarded(LampsCheck(), examination(loaded, person=person)).verdict is Verdict.GOOD


def test_a_packer_at_work_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recorderd.doctor.checks.panel.END_SECONDS", 0.1)
    loaded = loaded_in(tmp_path, SIMULATED)
    publish(loaded, phase="recording", order="SO-1")
    for check in (LampsCheck(), BuzzerCheck(), PedalCheck()):
        finding = guarded(check, examination(loaded, person=Someone(True)))
        assert finding.verdict is Verdict.SKIPPED
        assert "being recorded" in finding.seen


def test_the_pedal_of_the_running_station(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = loaded_in(tmp_path, SIMULATED)
    with PaperStation(loaded):
        finding = guarded(PedalCheck(), examination(loaded, person=Someone(True)))
    assert finding.verdict is Verdict.GOOD
    monkeypatch.setattr("recorderd.doctor.checks.panel.PRESS_SECONDS", 0.2)
    publish(loaded, counters={"pedal_presses": 7})
    finding = guarded(PedalCheck(), examination(loaded, person=Someone(True)))
    assert (finding.verdict, finding.seen) == (Verdict.BAD, "no press arrived")


def test_without_a_station_the_pins_are_ours(tmp_path: Path) -> None:
    loaded = loaded_in(tmp_path, SIMULATED)
    done = threading.Event()

    def step(text: str) -> None:
        if "pedal" in text:
            threading.Thread(target=press).start()

    def press() -> None:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(loaded.settings.panel_socket))
            while not done.wait(0.1):
                client.sendall(b"press\nrelease\n")

    subject = examination(loaded, person=Someone(True, step))
    try:
        assert guarded(LampsCheck(), subject).verdict is Verdict.GOOD
        assert guarded(PedalCheck(), subject).verdict is Verdict.GOOD
    finally:
        done.set()
        subject.close()


def test_a_pedal_that_is_down_already_was_not_pressed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recorderd.doctor.checks.panel.PRESS_SECONDS", 0.2)

    class Opened:
        """A panel whose pedal's contact is closed when it is opened."""

        def __init__(self, _settings: Settings, listener: PanelListener) -> None:
            listener(PedalChanged(True))

        def close(self) -> None:
            """There is nothing to let go of."""

    monkeypatch.setattr(panel_module, "open_panel", Opened)
    monkeypatch.setattr(panel_module, "_OPEN_SECONDS", 0.0)
    loaded = loaded_in(tmp_path, SIMULATED)
    finding = guarded(PedalCheck(), examination(loaded, person=Someone(True)))
    assert (finding.verdict, finding.seen) == (Verdict.BAD, "no press arrived")


def test_pins_that_do_not_exist(tmp_path: Path) -> None:
    loaded = loaded_in(tmp_path, '[panel]\ndriver = "gpio"\ngpio_chip = 63\n')
    finding = guarded(LampsCheck(), examination(loaded))
    assert finding.verdict is Verdict.BAD
    assert finding.remedy
    assert finding.remedy not in finding.seen
    assert not finding.remedy.endswith(".")


def test_a_fault_of_the_panel_is_told_without_hands(tmp_path: Path) -> None:
    loaded = loaded_in(tmp_path, SIMULATED)
    publish(loaded, faults={"panel": "GPIO 17 (panel.green_pin) is in use. End that program."})
    finding = guarded(LampsCheck(), examination(loaded))
    assert (finding.verdict, finding.remedy) == (Verdict.BAD, "End that program")
    for check in (BuzzerCheck(), PedalCheck()):
        assert "see lamps" in guarded(check, examination(loaded)).seen


def test_a_stuck_pedal_is_told_by_the_pedal(tmp_path: Path) -> None:
    loaded = loaded_in(tmp_path, SIMULATED)
    publish(loaded, faults={"pedal-stuck": "something lies on it"})
    assert guarded(PedalCheck(), examination(loaded)).verdict is Verdict.BAD
    assert guarded(LampsCheck(), examination(loaded)).verdict is Verdict.SKIPPED


def test_nobody_is_asked_without_hands(tmp_path: Path) -> None:
    loaded = loaded_in(tmp_path, SIMULATED)
    publish(loaded)
    for check in (LampsCheck(), BuzzerCheck(), PedalCheck()):
        assert guarded(check, examination(loaded)).verdict is Verdict.SKIPPED
    without = examination(loaded_in(tmp_path, '[panel]\ndriver = "none"\n'))
    assert "none" in guarded(LampsCheck(), without).seen
