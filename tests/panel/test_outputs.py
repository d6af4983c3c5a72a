"""What every driver of lamps and buzzer must do, whatever it drives."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recorderd.core.events import PedalChanged
from recorderd.core.signals import Lamp, Signal, Tone

from .rigs import RIGS, Rig

DARK: frozenset[Lamp] = frozenset()
ALL_LAMPS = [DARK, *(frozenset({lamp}) for lamp in Lamp), frozenset(Lamp)]
ALL_TONES: list[Tone | None] = [None, *Tone]


@pytest.fixture(params=RIGS)
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    with RIGS[request.param](tmp_path) as rig:
        yield rig


def test_dark_and_silent_after_opening(rig: Rig) -> None:
    assert rig.observe() == (DARK, rig.as_heard(None))


@pytest.mark.parametrize("lit", ALL_LAMPS, ids=lambda lit: "+".join(sorted(lit)) or "dark")
def test_exactly_the_lamps_asked_for_are_lit(rig: Rig, lit: frozenset[Lamp]) -> None:
    rig.outputs.light(lit)
    assert rig.observe()[0] == lit


@pytest.mark.parametrize("tone", ALL_TONES)
def test_the_tone_asked_for_sounds_until_silence(rig: Rig, tone: Tone | None) -> None:
    rig.outputs.sound(tone)
    assert rig.observe()[1] == rig.as_heard(tone)
    rig.outputs.sound(None)
    assert rig.observe()[1] == rig.as_heard(None)


@settings(
    deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    asked=st.lists(st.one_of(st.sampled_from(ALL_LAMPS), st.sampled_from(ALL_TONES)), max_size=9)
)
def test_the_last_word_counts(rig: Rig, asked: list[frozenset[Lamp] | Tone | None]) -> None:
    rig.outputs.light(DARK)
    rig.outputs.sound(None)
    lit: frozenset[Lamp] = DARK
    tone: Tone | None = None
    for each in asked:
        if isinstance(each, frozenset):
            lit = each
            rig.outputs.light(lit)
        else:
            tone = each
            rig.outputs.sound(tone)
        rig.outputs.announce(Signal.READY)
    assert rig.observe() == (lit, rig.as_heard(tone))


def test_closing_leaves_all_dark_and_silent(rig: Rig) -> None:
    rig.outputs.light(frozenset(Lamp))
    rig.outputs.sound(Tone.LOW)
    rig.outputs.close()
    assert rig.observe() == (DARK, rig.as_heard(None))


def test_closing_twice_does_no_harm(rig: Rig) -> None:
    rig.outputs.close()
    rig.outputs.close()


def test_the_pedal_is_reported_once_at_the_start(rig: Rig) -> None:
    rig.listener.wait_for_event(PedalChanged(False))
    rig.observe()
    assert rig.listener.events == [PedalChanged(False)]
