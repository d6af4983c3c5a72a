from __future__ import annotations

import pytest

from recorderd.core.signals import APPEARANCES, Lamp, LampPattern, Signal, Tone

GREEN, RED, OFF = frozenset({Lamp.GREEN}), frozenset({Lamp.RED}), frozenset[Lamp]()
HIGH, LOW, SILENCE = Tone.HIGH, Tone.LOW, None

MOMENTARY = {
    Signal.STARTED,
    Signal.STARTED_AGAIN,
    Signal.SAVED,
    Signal.REFUSED,
    Signal.NOTED,
    Signal.FAILED,
    Signal.TEST,
}


def lamps(signal: Signal) -> LampPattern:
    pattern = APPEARANCES[signal].lamps
    assert pattern is not None
    return pattern


def tones(signal: Signal) -> list[Tone | None]:
    pattern = APPEARANCES[signal].buzzer
    return [] if pattern is None else [tone for tone, _ in pattern.steps]


def test_every_signal_has_an_appearance() -> None:
    assert set(APPEARANCES) == set(Signal)


@pytest.mark.parametrize("signal", Signal)
def test_standing_signals_repeat_their_lamps_and_momentary_ones_end(signal: Signal) -> None:
    appearance = APPEARANCES[signal]
    assert appearance.standing is (signal not in MOMENTARY)
    if appearance.standing:
        assert lamps(signal).repeat
    elif appearance.lamps is not None:
        assert not appearance.lamps.repeat
    if appearance.buzzer is not None and not appearance.standing:
        assert appearance.buzzer.every is None


@pytest.mark.parametrize("signal", Signal)
def test_every_signal_can_be_seen_or_heard_and_is_described(signal: Signal) -> None:
    appearance = APPEARANCES[signal]
    assert appearance.lamps is not None or appearance.buzzer is not None
    assert (appearance.lamps_in_words == "-") is (appearance.lamps is None)
    assert (appearance.buzzer_in_words == "-") is (appearance.buzzer is None)
    assert appearance.meaning
    if appearance.lamps is not None:
        assert all(seconds > 0 for _, seconds in appearance.lamps.steps)
    if appearance.buzzer is not None:
        length = sum(seconds for _, seconds in appearance.buzzer.steps)
        assert all(seconds > 0 for _, seconds in appearance.buzzer.steps)
        assert appearance.buzzer.every is None or length < appearance.buzzer.every


def test_no_two_signals_of_a_kind_look_and_sound_alike() -> None:
    for standing in (True, False):
        looks = [
            (appearance.lamps, appearance.buzzer)
            for signal, appearance in APPEARANCES.items()
            # One short high says "understood" to a label and to a card alike.
            if appearance.standing is standing and signal is not Signal.NOTED
        ]
        assert all(looks.count(look) == 1 for look in looks)


@pytest.mark.parametrize(
    ("signal", "lit", "blinks"),
    [
        (Signal.STARTING, GREEN, "slowly"),
        (Signal.READY, GREEN, "never"),
        (Signal.RECORDING, RED, "never"),
        (Signal.SAVING, RED, "slowly"),
        (Signal.STOPS_SOON, RED, "fast"),
    ],
)
def test_lamps_of_the_standing_signals(signal: Signal, lit: frozenset[Lamp], blinks: str) -> None:
    steps = lamps(signal).steps
    if blinks == "never":
        assert [colours for colours, _ in steps] == [lit]
    else:
        assert [colours for colours, _ in steps] == [lit, OFF]
        assert all((seconds >= 0.5) is (blinks == "slowly") for _, seconds in steps)


@pytest.mark.parametrize("signal", [Signal.FAULT_IDLE, Signal.FAULT_RECORDING])
def test_a_fault_alternates_both_lamps(signal: Signal) -> None:
    assert [colours for colours, _ in lamps(signal).steps] == [GREEN, RED]


@pytest.mark.parametrize(("signal", "lit"), [(Signal.SAVED, GREEN), (Signal.REFUSED, RED)])
def test_a_double_flash_stands_out_from_either_steady_lamp(
    signal: Signal, lit: frozenset[Lamp]
) -> None:
    assert [colours for colours, _ in lamps(signal).steps] == [OFF, lit, OFF, lit, OFF]


@pytest.mark.parametrize(
    ("signal", "sound"),
    [
        (Signal.STARTING, []),
        (Signal.READY, []),
        (Signal.RECORDING, []),
        (Signal.SAVING, []),
        (Signal.STARTED, [HIGH]),
        (Signal.STARTED_AGAIN, [HIGH, SILENCE, LOW]),
        (Signal.SAVED, [HIGH, SILENCE, HIGH]),
        (Signal.REFUSED, [LOW]),
        (Signal.NOTED, [HIGH]),
        (Signal.STOPS_SOON, [HIGH]),
        (Signal.FAULT_IDLE, [LOW, SILENCE, LOW, SILENCE, LOW]),
        (Signal.FAULT_RECORDING, [LOW, SILENCE, LOW, SILENCE, LOW]),
        (Signal.FAILED, [LOW, SILENCE, LOW, SILENCE, LOW]),
    ],
)
def test_sounds(signal: Signal, sound: list[Tone | None]) -> None:
    assert tones(signal) == sound


@pytest.mark.parametrize(
    ("signal", "every"),
    [(Signal.STOPS_SOON, 5.0), (Signal.FAULT_RECORDING, 10.0), (Signal.FAULT_IDLE, None)],
)
def test_how_often_a_standing_sound_returns(signal: Signal, every: float | None) -> None:
    buzzer = APPEARANCES[signal].buzzer
    assert buzzer is not None
    assert buzzer.every == every
