"""A technician tests lamps and buzzer: never in the middle of an order."""

from __future__ import annotations

from recorderd.core.events import PanelTestRequested
from recorderd.core.model import Fault
from recorderd.core.signals import Signal
from tests.core.bench import Bench


def test_lamps_and_buzzer_are_tested_when_nothing_is_recorded() -> None:
    bench = Bench.ready().send(PanelTestRequested())
    assert bench.played == [Signal.TEST]
    assert bench.signal() is Signal.READY


def test_a_station_with_a_fault_can_be_tested_too() -> None:
    assert Bench.ready().lose(Fault.CAMERA).send(PanelTestRequested()).played == [Signal.TEST]


def test_a_packer_at_work_is_not_confused() -> None:
    bench = Bench.recording()
    played = list(bench.played)
    assert bench.send(PanelTestRequested()).played == played
    assert bench.notes[-1].startswith("panel test refused")


def test_nor_one_who_waits_for_the_saved_signal() -> None:
    bench = Bench.recording().press()
    played = list(bench.played)
    assert bench.send(PanelTestRequested()).played == played
