from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorderd.engine.sources.bench_script import (
    CYCLE_SECONDS,
    LEAD_SECONDS,
    StopBy,
    Thing,
    moments,
    pedal_press_times,
    scene_at,
)
from recorderd.settings import LabelSettings, RecordingSettings

LABELS = LabelSettings()
RECORDING = RecordingSettings()
ENTERS = 0.3
"""Seconds a label may already be readable before it lies still, or still while it leaves."""


def label_at(seconds: float) -> str | None:
    label = scene_at(seconds).label()
    return None if label is None else label.variant


@given(st.integers(0, 1000))
def test_each_cycle_shows_every_way_to_stop(cycle: int) -> None:
    assert [order.stop_by for order in moments(cycle)] == [
        StopBy.OWN_LABEL,
        StopBy.PEDAL,
        StopBy.NEXT_LABEL,
        StopBy.OWN_LABEL,
    ]
    assert len(pedal_press_times(cycle)) == 1


def test_a_cycle_takes_about_a_minute() -> None:
    assert 45 <= CYCLE_SECONDS <= 60


def test_order_ids_count_upward_and_the_first_comes_again() -> None:
    ids = [order.order_id for cycle in range(3) for order in moments(cycle)]
    assert ids[:4] == ["ORDER-1001", "ORDER-1002", "ORDER-1003", "ORDER-1004"]
    assert ids[4:8] == ["ORDER-1001", "ORDER-1005", "ORDER-1006", "ORDER-1007"]
    assert ids[8:] == ["ORDER-1001", "ORDER-1008", "ORDER-1009", "ORDER-1010"]


@given(st.integers(0, 50), st.integers(0, 3))
def test_recordings_are_old_enough_to_be_stopped(cycle: int, position: int) -> None:
    order = moments(cycle)[position]
    assert order.stops - order.shown > RECORDING.minimum_seconds + LABELS.dwell_seconds


def test_the_bench_is_empty_while_the_pre_roll_fills() -> None:
    assert RECORDING.pre_roll_seconds < LEAD_SECONDS
    assert scene_at(0).places == ()
    assert scene_at(LEAD_SECONDS - 0.01).places == ()


@pytest.mark.parametrize("cycle", [0, 3])
def test_a_label_counts_as_shown_again_only_where_the_script_says_so(cycle: int) -> None:
    """Follow each label as the scanner does: gaps longer than the re-arm time are chances to stop.

    Such a gap must be there before a stop by the own label, and nowhere else.
    """
    step = 1 / 30
    for order in moments(cycle):
        readable = [
            order.begins + n * step
            for n in range(int((order.gone - order.begins + 2) / step))
            if label_at(order.begins + n * step) == order.order_id
            and not any(
                start - ENTERS <= order.begins + n * step < end + ENTERS
                for start, end in order.covered
            )
        ]
        gaps = [
            (before, after)
            for before, after in pairwise(readable)
            if after - before > LABELS.rearm_seconds
        ]
        if order.stop_by is StopBy.OWN_LABEL:
            ((_, shown_again),) = gaps
            assert shown_again < order.stops
            assert order.stops < readable[-1] - ENTERS
        else:
            assert gaps == []
        assert readable[0] < order.shown
        assert order.gone - step <= readable[-1] + step <= order.gone + step


@pytest.mark.parametrize("cycle", [0, 1])
def test_a_stopped_label_does_not_come_back(cycle: int) -> None:
    for order, following in pairwise(moments(cycle)):
        assert following.shown - order.gone > ENTERS
        seconds = order.gone + 0.01
        while seconds < following.shown + 1:
            assert label_at(seconds) != order.order_id
            seconds += 0.05


def test_the_next_label_lies_there_when_the_switch_is_due() -> None:
    _, _, third, fourth = moments(0)
    assert third.stops == pytest.approx(fourth.shown)
    assert label_at(third.stops) == fourth.order_id


def test_covered_spells_are_shorter_than_the_re_arm_time_and_hands_are_there() -> None:
    for order in moments(0):
        for start, end in order.covered:
            assert end - start + 2 * ENTERS < LABELS.rearm_seconds
            places = scene_at((start + end) / 2).places
            label = next(place for place in places if place.thing is Thing.LABEL)
            hand = next(place for place in places if place.thing is Thing.LEFT_HAND)
            assert abs(hand.x - label.x) < 0.03
            assert places.index(hand) > places.index(label)


@given(st.floats(0, 10_000))
def test_scenes_depend_on_the_time_only(seconds: float) -> None:
    assert scene_at(seconds) == scene_at(seconds)
    labels = [place for place in scene_at(seconds).places if place.thing is Thing.LABEL]
    assert len(labels) <= 1


@given(st.integers(0, 2), st.floats(0, CYCLE_SECONDS))
def test_nothing_jumps(cycle: int, seconds: float) -> None:
    """Things that are there in two pictures in a row have moved a little at most."""
    now = {p.thing: p for p in scene_at(cycle * CYCLE_SECONDS + seconds).places}
    soon = {p.thing: p for p in scene_at(cycle * CYCLE_SECONDS + seconds + 0.001).places}
    for thing in now.keys() & soon.keys():
        if now[thing].variant == soon[thing].variant:
            assert abs(now[thing].x - soon[thing].x) < 0.01
            assert abs(now[thing].y - soon[thing].y) < 0.01
