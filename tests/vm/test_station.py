"""What lamps and buzzer did, and what a person would call it."""

from __future__ import annotations

from tests.vm.station import Level, alarm_in, buzzes

GREEN, RED, DARK = (True, False), (False, True), (False, False)
LOW, HIGH, GAP = 0.40, 0.12, 0.12


def _played(lamps: list[tuple[bool, bool]], tones: list[float]) -> list[Level]:
    """The lamps one after the other, a third of a second each, while the tones sound."""
    moments = [(number * 0.3, lit) for number, lit in enumerate(lamps)]
    at, buzzer = 0.05, []
    for tone in tones:
        buzzer += [(at, True), (at + tone, False)]
        at += tone + GAP
    changes = sorted({at for at, _ in moments} | {at for at, _ in buzzer})
    return [
        Level(
            at,
            *[lit for moment, lit in moments if moment <= at][-1],
            buzzer=[False, *(on for moment, on in buzzer if moment <= at)][-1],
        )
        for at in changes
    ]


def test_three_low_tones_and_lamps_that_alternate_are_an_alarm() -> None:
    assert alarm_in(_played([GREEN, RED, GREEN, RED, GREEN], [LOW, LOW, LOW])) == 0.05


def test_saved_is_no_alarm() -> None:
    """Red, then the green lamp flashes twice, and two high tones."""
    seen = _played([RED, DARK, GREEN, DARK, GREEN, DARK, GREEN], [HIGH, HIGH])
    assert len(buzzes(seen)) == 2
    assert alarm_in(seen) is None
    assert alarm_in(_played([RED, GREEN, RED, GREEN], [HIGH, HIGH, HIGH])) is None


def test_an_alarm_needs_both_lamps_and_all_of_its_tones() -> None:
    assert alarm_in(_played([RED, DARK, RED, DARK], [LOW, LOW, LOW])) is None
    assert alarm_in(_played([GREEN, DARK, GREEN], [LOW, LOW, LOW])) is None
    assert alarm_in(_played([GREEN, RED, GREEN, RED], [LOW, LOW])) is None
