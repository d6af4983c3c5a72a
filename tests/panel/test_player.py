"""The player with a simulated clock, and its thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from recorderd.core.events import FaultCleared, FaultRaised
from recorderd.core.model import Fault, nanoseconds
from recorderd.core.signals import Lamp, Signal, Tone
from recorderd.errors import DeviceError
from recorderd.panel.faults import PanelFaults
from recorderd.panel.player import REFRESH, SignalPlayer

from .listening import FakeOutputs, Listener, lamps_lost

GREEN = frozenset({Lamp.GREEN})
RED = frozenset({Lamp.RED})
RAISED = FaultRaised(Fault.PANEL, "The lamps are lost. Find them.")
CLEARED = FaultCleared(Fault.PANEL)


class Bench:
    """A player whose thread is never started: the test is its thread and its clock."""

    def __init__(self) -> None:
        self.now = nanoseconds(5000)
        self.listener = Listener()
        self.opened: list[FakeOutputs] = []
        self.tries: list[int] = []
        self.missing: Exception | None = None
        self.player = SignalPlayer(self._open, PanelFaults(self.listener), lambda: self.now)

    def _open(self) -> FakeOutputs:
        self.tries.append(self.now)
        if self.missing is not None:
            raise self.missing
        self.opened.append(FakeOutputs())
        return self.opened[-1]

    def run(self, seconds: float) -> None:
        end = self.now + nanoseconds(seconds)
        wake = self.player.tick(self.now)
        while wake <= end:
            assert wake > self.now
            self.now = wake
            wake = self.player.tick(self.now)
        self.now = end


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_signals_reach_the_outputs(bench: Bench) -> None:
    bench.player.show(Signal.RECORDING)
    bench.player.play(Signal.STARTED)
    bench.run(0.05)
    (outputs,) = bench.opened
    assert (outputs.lit, outputs.tone) == (RED, Tone.HIGH)
    assert outputs.announced == [Signal.RECORDING, Signal.STARTED]
    bench.run(0.5)
    assert (outputs.lit, outputs.tone) == (RED, None)
    assert bench.listener.events == []


def test_a_steady_lamp_is_set_again_every_second(bench: Bench) -> None:
    bench.player.show(Signal.READY)
    bench.run(10)
    assert bench.opened[0].calls.count("light") == 1 + 10
    assert "sound" not in bench.opened[0].calls


def test_a_missing_driver_is_a_fault_and_tried_again_ever_more_rarely(bench: Bench) -> None:
    bench.missing = lamps_lost()
    start = bench.now
    bench.player.show(Signal.READY)
    bench.run(130)
    assert bench.listener.events == [RAISED]
    assert [round((each - start) / 1e9) for each in bench.tries] == [
        0,
        1,
        3,
        7,
        15,
        31,
        61,
        91,
        121,
    ]
    bench.missing = None
    bench.run(30)
    assert bench.listener.events == [RAISED, CLEARED]
    assert bench.opened[0].lit == GREEN
    assert bench.opened[0].announced == [Signal.READY]


def test_another_problem_is_told_anew(bench: Bench) -> None:
    bench.missing = lamps_lost()
    bench.run(0.5)
    bench.missing = DeviceError("The pin is busy", "Free it")
    bench.run(5)
    assert bench.listener.events == [RAISED, FaultRaised(Fault.PANEL, "The pin is busy. Free it.")]


def test_a_driver_that_fails_while_nothing_changes_is_noticed_within_two_seconds(
    bench: Bench,
) -> None:
    bench.player.show(Signal.READY)
    bench.run(40)
    bench.opened[0].broken = lamps_lost()
    bench.run(2)
    assert bench.listener.events[0] == RAISED
    assert bench.opened[0].closed.is_set()
    bench.run(1)
    assert bench.listener.events == [RAISED, CLEARED]
    assert bench.opened[1].lit == GREEN


def test_a_driver_that_breaks_again_and_again_does_not_flicker(bench: Bench) -> None:
    bench.player.show(Signal.READY)
    for _ in range(100):
        bench.run(0.9)
        bench.opened[-1].broken = lamps_lost()
    assert len(bench.opened) <= 7


def test_a_tone_that_lasts_sounds_on_new_outputs_too(bench: Bench) -> None:
    bench.player.show(Signal.FAULT_RECORDING)
    bench.run(10.1)
    bench.opened[0].broken = lamps_lost()
    bench.run(1.3)  # fails as the first low tone ends; opened again during the third
    assert bench.opened[1].tone == Tone.LOW


def test_a_mistake_in_a_driver_is_a_fault_too(bench: Bench) -> None:
    bench.missing = ZeroDivisionError("a bug")
    bench.run(0.1)
    (fault,) = bench.listener.events
    assert isinstance(fault, FaultRaised)
    assert "a bug" in fault.problem


def test_what_was_played_while_the_lamps_were_lost_is_not_played_late(bench: Bench) -> None:
    bench.missing = lamps_lost()
    bench.player.show(Signal.RECORDING)
    bench.player.play(Signal.REFUSED)
    bench.run(0.99)
    bench.missing = None
    bench.run(3)
    assert "sound" not in bench.opened[0].calls
    assert bench.opened[0].announced == [Signal.RECORDING]


class Live:
    """A player with its thread running."""

    def __init__(self) -> None:
        self.outputs = FakeOutputs()
        self.listener = Listener()
        self.player = SignalPlayer(lambda: self.outputs, PanelFaults(self.listener))
        self.player.start()


@pytest.fixture
def live() -> Iterator[Live]:
    live = Live()
    yield live
    live.player.close()


def test_the_thread_shows_a_new_signal_at_once(live: Live) -> None:
    live.player.show(Signal.READY)
    live.outputs.wait_until_lit(GREEN)
    live.player.show(Signal.RECORDING)
    live.outputs.wait_until_lit(RED)


def test_closing_releases_the_outputs_and_ends_the_thread(live: Live) -> None:
    live.player.close()
    assert live.outputs.closed.is_set()
    assert "panel-player" not in [thread.name for thread in threading.enumerate()]


def test_show_returns_while_the_driver_hangs() -> None:
    reached, release = threading.Event(), threading.Event()

    def hang() -> FakeOutputs:
        reached.set()
        release.wait(10)
        return FakeOutputs()

    player = SignalPlayer(hang, PanelFaults(Listener()))
    player.start()
    try:
        assert reached.wait(10)
        for _ in range(100):
            player.show(Signal.READY)
            player.play(Signal.SAVED)
        assert player.dropped == 92
    finally:
        release.set()
        player.close()


def test_refreshing_is_quick_enough_for_the_promise_of_two_seconds() -> None:
    assert nanoseconds(2) > REFRESH
