from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from recorderd.core.model import Nanoseconds
from recorderd.core.pedal import Pedal, PedalEvent, advance, contact_changed, next_deadline
from recorderd.core.rules import PedalRules

MS = 1_000_000
RULES = PedalRules()
PRESSED, HELD = PedalEvent.PRESSED, PedalEvent.HELD
STUCK, RELEASED = PedalEvent.STUCK, PedalEvent.RELEASED


def play(
    *edges: tuple[float, bool], until_ms: float, prompt: bool = True
) -> list[tuple[float, PedalEvent]]:
    """What a pedal reports whose contact changes at these milliseconds.

    `prompt`: every deadline is met on time; else time only passes with the edges.
    """
    pedal = Pedal()
    seen: list[tuple[float, PedalEvent]] = []

    def advance_to(now: Nanoseconds) -> None:
        nonlocal pedal
        pedal, events = advance(pedal, now, RULES)
        seen.extend((now / MS, event) for event in events)

    for at_ms, down in (*edges, (until_ms, None)):
        now = round(at_ms * MS)
        while prompt and (deadline := next_deadline(pedal, RULES)) is not None and deadline < now:
            advance_to(deadline)
        advance_to(now)
        if down is not None:
            pedal = contact_changed(pedal, down, now)
    return seen


def test_a_press_counts_once_the_contact_has_settled() -> None:
    assert play((100, True), (300, False), until_ms=1000) == [(130, PRESSED), (330, RELEASED)]


def test_a_bouncing_contact_is_one_press() -> None:
    bounces = [(100.0 + 2 * i, i % 2 == 0) for i in range(7)]
    releases = [(400.0 + 3 * i, i % 2 == 1) for i in range(5)]
    assert play(*bounces, *releases, until_ms=1000) == [(142, PRESSED), (442, RELEASED)]


def test_interference_shorter_than_the_debounce_time_does_nothing() -> None:
    spikes = [edge for i in range(50) for edge in ((100.0 * i, True), (100.0 * i + 20, False))]
    assert play(*spikes, until_ms=6000) == []


def test_interference_while_the_pedal_is_down_neither_releases_nor_restarts_the_hold() -> None:
    seen = play((0, True), (1000, False), (1020, True), (2500, False), until_ms=3000)
    assert seen == [(30, PRESSED), (2000, HELD), (2530, RELEASED)]


def test_a_hold_counts_from_the_press_and_is_reported_once() -> None:
    seen = play((100, True), (9000, False), until_ms=9500)
    assert seen == [(130, PRESSED), (2100, HELD), (9030, RELEASED)]


def test_released_just_before_the_hold_time_is_no_hold() -> None:
    expected = [(30, PRESSED), (2020, RELEASED)]
    assert play((0, True), (1990, False), until_ms=3000) == expected
    assert play((0, True), (1990, False), (2005, False), until_ms=3000) == expected


def test_a_pedal_that_stays_down_is_stuck_once() -> None:
    seen = play((0, True), until_ms=600_000)
    assert seen == [(30, PRESSED), (2000, HELD), (15_000, STUCK)]


def test_after_release_a_stuck_pedal_works_again() -> None:
    seen = play((0, True), (20_000, False), (21_000, True), (21_100, False), until_ms=22_000)
    assert seen[3:] == [(20_030, RELEASED), (21_030, PRESSED), (21_130, RELEASED)]


def test_a_level_that_is_reported_again_does_not_put_the_press_off() -> None:
    assert play((0, True), (20, True), until_ms=100) == [(30, PRESSED)]


def test_a_late_call_reports_everything_that_was_missed_in_order() -> None:
    seen = play((0, True), until_ms=20_000, prompt=False)
    assert [event for _, event in seen] == [PRESSED, HELD, STUCK]


edges = st.lists(st.tuples(st.integers(1, 20_000), st.booleans()), max_size=30)


@given(edges, st.booleans())
def test_any_contact_gives_presses_and_releases_in_turn(
    changes: list[tuple[int, bool]], prompt: bool
) -> None:
    at = 0
    timed: list[tuple[float, bool]] = []
    for gap, down in changes:
        at += gap
        timed.append((float(at), down))
    events = [event for _, event in play(*timed, until_ms=at + 60_000, prompt=prompt)]
    ends = [event for event in events if event in (PRESSED, RELEASED)]
    assert ends == [(PRESSED, RELEASED)[i % 2] for i in range(len(ends))]
    for once in (HELD, STUCK):
        for i, event in enumerate(events):
            if event is once:
                since = events[:i][::-1]
                assert once not in since[: since.index(PRESSED)]


@given(edges)
def test_a_met_deadline_never_comes_back(changes: list[tuple[int, bool]]) -> None:
    pedal, now = Pedal(), 0
    for gap, down in changes:
        now += gap * MS
        pedal, _ = advance(pedal, now, RULES)
        deadline = next_deadline(pedal, RULES)
        assert deadline is None or deadline > now
        pedal = contact_changed(pedal, down, now)
