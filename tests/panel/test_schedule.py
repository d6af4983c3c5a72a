"""The scheduling core against a simulated clock."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorderd.core.model import nanoseconds
from recorderd.core.signals import APPEARANCES, Lamp, Signal, Tone
from recorderd.errors import InvariantViolationError
from recorderd.panel.schedule import LONGEST_QUEUE, PAUSE, SignalSchedule

GREEN = frozenset({Lamp.GREEN})
RED = frozenset({Lamp.RED})
DARK: frozenset[Lamp] = frozenset()
LATE = nanoseconds(1000)

STANDING = [signal for signal in Signal if APPEARANCES[signal].standing]
MOMENTARY = [signal for signal in Signal if not APPEARANCES[signal].standing]


class Bench:
    """A schedule with a clock of its own, read as a person would: what shows for how long."""

    def __init__(self) -> None:
        self.schedule = SignalSchedule()
        self.now = LATE
        self.begun: list[Signal] = []

    def show(self, signal: Signal) -> None:
        self.schedule.show(signal, self.now)

    def run(
        self, seconds: float
    ) -> tuple[list[tuple[frozenset[Lamp], float]], list[tuple[Tone | None, float]]]:
        """Let time pass, waking only when the schedule asks for it."""
        lamps: list[tuple[frozenset[Lamp], float]] = []
        tones: list[tuple[Tone | None, float]] = []
        end = self.now + nanoseconds(seconds)
        while self.now < end:
            moment = self.schedule.advance(self.now)
            self.begun += moment.begun
            until = end if moment.next_change_ns is None else min(end, moment.next_change_ns)
            assert until > self.now
            length = (until - self.now) / 1e9
            _lengthen(lamps, moment.lit, length)
            _lengthen(tones, moment.tone, length)
            self.now = until
        return lamps, tones


def _lengthen(trace: list[tuple], shown: object, length: float) -> None:  # type: ignore[type-arg]
    if trace and trace[-1][0] == shown:
        trace[-1] = (shown, round(trace[-1][1] + length, 9))
    else:
        trace.append((shown, round(length, 9)))


def sounds(tones: list[tuple[Tone | None, float]]) -> list[tuple[Tone | None, float]]:
    """A trace of tones without the silence before and after."""
    while tones and tones[0][0] is None:
        tones = tones[1:]
    while tones and tones[-1][0] is None:
        tones = tones[:-1]
    return tones


THREE_LOW = [(Tone.LOW, 0.4), (None, 0.12), (Tone.LOW, 0.4), (None, 0.12), (Tone.LOW, 0.4)]
PAUSE_SECONDS = PAUSE / 1e9


def test_dark_and_silent_before_the_first_signal() -> None:
    moment = SignalSchedule().advance(LATE)
    assert (moment.lit, moment.tone, moment.next_change_ns) == (DARK, None, None)


def test_a_standing_signal_shows_from_its_beginning_and_repeats() -> None:
    bench = Bench()
    bench.show(Signal.SAVING)
    lamps, tones = bench.run(2.4)
    assert lamps == [(RED, 0.8), (DARK, 0.8), (RED, 0.8)]
    assert tones == [(None, 2.4)]
    assert bench.begun == [Signal.SAVING]


def test_the_same_standing_signal_again_changes_nothing() -> None:
    bench, undisturbed = Bench(), Bench()
    for each in (bench, undisturbed):
        each.show(Signal.FAULT_RECORDING)
        each.run(0.5)
    bench.show(Signal.FAULT_RECORDING)
    assert bench.run(25) == undisturbed.run(25)
    assert bench.begun == [Signal.FAULT_RECORDING]


def test_lamps_of_a_momentary_signal_cover_the_standing_pattern_which_goes_on() -> None:
    bench = Bench()
    bench.show(Signal.STARTING)
    bench.run(0.7)
    bench.schedule.play(Signal.SAVED)
    lamps, tones = bench.run(1.0)
    assert lamps == [
        (DARK, 0.1),
        (GREEN, 0.15),
        (DARK, 0.1),
        (GREEN, 0.15),
        (DARK, 0.4),  # the flash ends dark while the slow blink is dark as well
        (GREEN, 0.1),  # 1.6 s after the blink began: as if nothing had covered it
    ]
    assert sounds(tones) == [(Tone.HIGH, 0.12), (None, 0.12), (Tone.HIGH, 0.12)]


def test_a_momentary_signal_without_lamps_leaves_them_alone() -> None:
    bench = Bench()
    bench.show(Signal.RECORDING)
    bench.schedule.play(Signal.STARTED)
    lamps, tones = bench.run(1.0)
    assert lamps == [(RED, 1.0)]
    assert tones == [(Tone.HIGH, 0.12), (None, 0.88)]


def test_momentary_signals_follow_one_another_with_a_pause_between_their_sounds() -> None:
    bench = Bench()
    bench.show(Signal.RECORDING)
    bench.schedule.play(Signal.STARTED)
    bench.schedule.play(Signal.NOTED)
    _, tones = bench.run(2.0)
    assert sounds(tones) == [(Tone.HIGH, 0.12), (None, PAUSE_SECONDS), (Tone.HIGH, 0.12)]
    assert bench.begun == [Signal.RECORDING, Signal.STARTED, Signal.NOTED]


def test_a_full_queue_drops_the_oldest_and_counts() -> None:
    bench = Bench()
    bench.schedule.play(Signal.SAVED)
    bench.schedule.play(Signal.STARTED_AGAIN)
    for _ in range(LONGEST_QUEUE - 1):
        bench.schedule.play(Signal.REFUSED)
    bench.run(60)
    assert bench.schedule.dropped == 1
    assert bench.begun == [Signal.STARTED_AGAIN] + [Signal.REFUSED] * (LONGEST_QUEUE - 1)


def test_a_repeating_standing_sound_keeps_to_its_beginning() -> None:
    bench = Bench()
    bench.show(Signal.STOPS_SOON)
    _, tones = bench.run(15.0)
    assert tones == [(Tone.HIGH, 0.05), (None, 4.95)] * 3


def test_a_standing_sound_without_repetition_is_heard_once() -> None:
    bench = Bench()
    bench.show(Signal.FAULT_IDLE)
    _, tones = bench.run(60)
    assert sounds(tones) == THREE_LOW


def test_a_momentary_sound_goes_before_a_standing_one_that_begins_with_it() -> None:
    bench = Bench()
    bench.schedule.play(Signal.REFUSED)
    bench.show(Signal.FAULT_RECORDING)
    _, tones = bench.run(9)
    assert sounds(tones) == [(Tone.LOW, 0.4), (None, PAUSE_SECONDS), *THREE_LOW]
    _, tones = bench.run(5)
    assert tones[0] == (None, 1.0)
    assert sounds(tones) == THREE_LOW


def test_a_standing_sound_waits_until_no_momentary_signal_does() -> None:
    bench = Bench()
    bench.schedule.play(Signal.SAVED)
    bench.schedule.play(Signal.SAVED)
    bench.show(Signal.FAULT_IDLE)
    _, tones = bench.run(9)
    saved = [(Tone.HIGH, 0.12), (None, 0.12), (Tone.HIGH, 0.12)]
    flash_outlasts_sound = 0.6 - 0.36
    assert sounds(tones) == [
        *saved,
        (None, flash_outlasts_sound),
        *saved,
        (None, PAUSE_SECONDS),
        *THREE_LOW,
    ]


def test_a_standing_sound_cut_off_by_a_momentary_one_is_played_whole_after_it() -> None:
    bench = Bench()
    bench.show(Signal.FAULT_IDLE)
    bench.run(0.1)
    bench.schedule.play(Signal.STARTED)
    _, tones = bench.run(20)
    assert sounds(tones) == [
        (Tone.HIGH, 0.12),
        (None, PAUSE_SECONDS),
        *THREE_LOW,
    ]
    assert tones[0] == (None, PAUSE_SECONDS)


def test_changing_the_standing_signal_stops_its_sound() -> None:
    bench = Bench()
    bench.show(Signal.FAULT_RECORDING)
    bench.run(0.1)
    bench.show(Signal.READY)
    lamps, tones = bench.run(30)
    assert lamps == [(GREEN, 30.0)]
    assert tones == [(None, 30.0)]


def test_changing_the_standing_signal_lets_a_momentary_sound_end() -> None:
    bench = Bench()
    bench.show(Signal.RECORDING)
    bench.schedule.play(Signal.REFUSED)
    bench.run(0.1)
    bench.show(Signal.SAVING)
    _, tones = bench.run(5)
    assert tones == [(Tone.LOW, 0.3), (None, 4.7)]


def test_signals_are_not_played_late_in_a_burst() -> None:
    """Whoever slept through a pattern sees the present, not the past."""
    bench = Bench()
    bench.show(Signal.FAULT_RECORDING)
    bench.run(0.1)
    bench.now += nanoseconds(60)
    _, tones = bench.run(8)
    assert sounds(tones) == THREE_LOW


def test_time_that_goes_back_is_taken_as_standing_still() -> None:
    schedule = SignalSchedule()
    schedule.show(Signal.FAULT_IDLE, LATE)
    assert schedule.advance(LATE - 1).lit == GREEN


@pytest.mark.parametrize("signal", STANDING)
def test_a_standing_signal_cannot_be_played(signal: Signal) -> None:
    with pytest.raises(InvariantViolationError):
        SignalSchedule().play(signal)


@pytest.mark.parametrize("signal", MOMENTARY)
def test_a_momentary_signal_cannot_stand(signal: Signal) -> None:
    with pytest.raises(InvariantViolationError):
        SignalSchedule().show(signal, LATE)


@pytest.mark.parametrize("signal", MOMENTARY)
def test_every_momentary_signal_ends(signal: Signal) -> None:
    bench = Bench()
    bench.show(Signal.READY)
    bench.schedule.play(signal)
    bench.run(3)
    moment = bench.schedule.advance(bench.now)
    assert (moment.lit, moment.tone) == (GREEN, None)


ACTS = st.lists(
    st.tuples(st.integers(0, 2_000), st.sampled_from([*Signal, None])), min_size=1, max_size=25
)


@given(acts=ACTS, extra=st.lists(st.integers(1, 30_000), max_size=30))
def test_nothing_changes_between_the_moments_it_asks_to_be_woken(
    acts: list[tuple[int, Signal | None]], extra: list[int]
) -> None:
    """Waking more often shows the same: so the thread may sleep until the next change."""
    sparse, busy = SignalSchedule(), SignalSchedule()
    now = LATE
    wakes = sorted(LATE + nanoseconds(each / 1000) for each in extra)
    moment = sparse.advance(now)
    busy.advance(now)
    for milliseconds, signal in acts:
        until = now + nanoseconds(milliseconds / 1000)
        while now < until:
            next_change = until if moment.next_change_ns is None else moment.next_change_ns
            between = [wake for wake in wakes if now < wake < min(next_change, until)]
            for wake in between:
                seen = busy.advance(wake)
                assert (seen.lit, seen.tone) == (moment.lit, moment.tone)
            now = min(next_change, until)
            moment, seen = sparse.advance(now), busy.advance(now)
            assert (seen.lit, seen.tone) == (moment.lit, moment.tone)
        if signal is not None:
            for schedule in (sparse, busy):
                if APPEARANCES[signal].standing:
                    schedule.show(signal, now)
                else:
                    schedule.play(signal)
            moment, seen = sparse.advance(now), busy.advance(now)
            assert (seen.lit, seen.tone) == (moment.lit, moment.tone)


@given(acts=ACTS)
def test_every_momentary_sound_is_heard_whole_or_counted_as_dropped(
    acts: list[tuple[int, Signal | None]],
) -> None:
    bench = Bench()
    played = 0
    heard: list[tuple[Tone | None, float]] = []
    bench.show(Signal.READY)
    for milliseconds, signal in acts:
        for tone, length in bench.run(milliseconds / 1000)[1]:
            _lengthen(heard, tone, length)
        if signal is not None and not APPEARANCES[signal].standing:
            played += 1
            bench.schedule.play(signal)
    for tone, length in bench.run(60)[1]:
        _lengthen(heard, tone, length)
    momentary = [signal for signal in bench.begun if signal in MOMENTARY]
    assert len(momentary) + bench.schedule.dropped == played
    expected = [
        tone
        for signal in momentary
        for tone in (APPEARANCES[signal].buzzer or pytest.fail("a silent signal")).steps
        if tone[0] is not None
    ]
    assert [each for each in heard if each[0] is not None] == expected
