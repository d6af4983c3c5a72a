"""What the benchmark of lamps makes of its measurements."""

from __future__ import annotations

from itertools import pairwise

import pytest

from recorderd.bench.lamp import (
    Answers,
    Begin,
    Circumstances,
    answers,
    presentations,
    shown,
)
from recorderd.core.model import Mode
from recorderd.core.signals import Signal

AT_30 = Circumstances("pictures kept as they come", Mode.DEFER, 30, 150.0)
PLAN = presentations(30)


def _answers(begins: list[Begin], lamps: list[float]) -> Answers:
    signals = [(Signal.READY, 0.0), *((Signal.STARTED, at) for at in lamps)]
    return answers(AT_30, PLAN, begins, signals, 0.0)


def test_every_label_is_shown_once_in_a_round_and_none_beside_another() -> None:
    assert len({presentation.order for presentation in PLAN}) == len(PLAN)
    for before, after in pairwise(PLAN):
        assert before.first < before.end < after.first
    assert len({presentation.first % 5 for presentation in PLAN}) > 2


def test_the_time_begins_with_the_first_picture_that_shows_the_label() -> None:
    """The recording began three pictures later, when it had been read."""
    first = PLAN[0]
    begin = Begin(first.order, first.first + 3, 10_000_000_000)
    found = _answers([begin], [5.0, 10.05])
    assert found.milliseconds == [pytest.approx(150.0)]
    assert found.p95 == pytest.approx(150.0)
    assert not found.too_late


def test_a_label_that_no_recording_is_of_was_missed() -> None:
    begins = [
        Begin(PLAN[number % len(PLAN)].order, PLAN[number % len(PLAN)].first, 10**9 * number)
        for number in (0, 1, 3, len(PLAN) + 1)
    ]
    found = _answers(begins, [0.1, 1.1, 3.1, len(PLAN) + 1.1])
    assert found.missed == 1 + (len(PLAN) - 3)


def test_labels_without_a_lamp_are_too_late() -> None:
    assert Answers(AT_30, [], 0, 0.0).too_late
    assert Answers(AT_30, [100.0] * 90, 10, 0.0).too_late
    assert not Answers(AT_30, [100.0] * 96 + [200.0] * 4, 0, 0.0).too_late


def test_too_late_lamps_are_told() -> None:
    begins = [Begin(each.order, each.first, 10**9 * at) for at, each in enumerate(PLAN)]
    found = _answers(begins, [at + 0.2 for at in range(len(PLAN))])
    assert found.too_late
    told = shown([found])
    assert "p95 150 ms or less: missed" in told
    assert "200 ms" in told
