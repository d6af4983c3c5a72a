"""The whole panel, opened as the station opens it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from recorderd.core.events import FaultCleared, FaultRaised, PedalChanged
from recorderd.core.model import Fault
from recorderd.core.signals import Lamp, Signal
from recorderd.errors import InvariantViolationError
from recorderd.panel.panel import Panel, open_panel
from recorderd.settings import PanelSettings, Settings, StationSettings

from .listening import Listener
from .rigs import SocketClient


@contextmanager
def opened(settings: Settings, listener: Listener) -> Iterator[Panel]:
    panel = open_panel(settings, listener)
    try:
        yield panel
    finally:
        panel.close()


def simulated(folder: Path) -> Settings:
    return Settings(
        station=StationSettings(run_folder=str(folder)), panel=PanelSettings(driver="simulated")
    )


def test_a_signal_from_the_station_is_seen_at_the_socket(tmp_path: Path) -> None:
    listener = Listener()
    with opened(simulated(tmp_path), listener) as panel:
        panel.show(Signal.RECORDING)
        listener.wait_for_event(PedalChanged(False))
        client = SocketClient(tmp_path / "panel.sock")
        client.read_until("signal", "recording")
        panel.play(Signal.REFUSED)
        client.read_until("buzzer", "low")
        client.read_until("buzzer", None)
        while client.lit != {Lamp.RED}:
            assert client.read() is not None
        client.write(b"press\n")
        listener.wait_for_event(PedalChanged(True))
    client.read_to_end()
    assert client.lit == frozenset()
    client.close()
    assert [thread.name for thread in threading.enumerate() if "panel" in thread.name] == []


def test_a_panel_that_cannot_be_opened_is_a_fault_until_it_can(tmp_path: Path) -> None:
    listener = Listener()
    obstacle = tmp_path / "panel.sock"
    obstacle.write_text("in the way")
    with opened(simulated(tmp_path), listener) as panel:
        panel.show(Signal.READY)
        listener.wait_for(lambda events: len(events) == 1)
        fault = listener.events[0]
        assert isinstance(fault, FaultRaised)
        assert "Remove it" in fault.problem
        obstacle.unlink()
        listener.wait_for_event(FaultCleared(Fault.PANEL))
        client = SocketClient(obstacle)
        client.read_until("signal", "ready")
        client.close()


def test_gpio_on_a_machine_without_it_is_a_fault_and_nothing_else() -> None:
    listener = Listener()
    with opened(Settings(panel=PanelSettings(gpio_chip=63)), listener) as panel:
        panel.show(Signal.READY)
        panel.play(Signal.SAVED)
        listener.wait_for(lambda events: len(events) == 1)
    assert isinstance(listener.events[0], FaultRaised)


def test_usb_devices_are_opened_as_the_settings_name_them(tmp_path: Path) -> None:
    pedal, scanner = str(tmp_path / "pedal"), str(tmp_path / "scanner")
    settings = Settings(
        panel=PanelSettings(driver="none", usb_pedal=pedal, usb_scanner=scanner),
    )
    listener = Listener()
    with opened(settings, listener):
        listener.wait_for(lambda events: any(pedal in str(e) and scanner in str(e) for e in events))


def test_no_panel_at_all_is_no_fault() -> None:
    listener = Listener()
    with opened(Settings(panel=PanelSettings(driver="none")), listener) as panel:
        for signal in (Signal.READY, Signal.RECORDING):
            panel.show(signal)
        panel.play(Signal.STARTED)
    assert listener.events == []


def test_a_signal_of_the_wrong_kind_is_a_bug_of_the_caller() -> None:
    with opened(Settings(panel=PanelSettings(driver="none")), Listener()) as panel:
        with pytest.raises(InvariantViolationError):
            panel.show(Signal.SAVED)
        with pytest.raises(InvariantViolationError):
            panel.play(Signal.READY)
