from __future__ import annotations

from fractions import Fraction
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorderd.engine.sources.stream_clock import (
    AnchoredClock,
    ArrivalClock,
    KernelClock,
    StreamClock,
    nanoseconds_to_ticks,
    ticks_to_nanoseconds,
)

SECOND = 1_000_000_000
PERIOD = SECOND // 30
VIDEO = Fraction(1, 90_000)
MICROSECONDS = Fraction(1, 1_000_000)
NOW = 1_000 * SECOND

TIME_BASES = st.sampled_from([VIDEO, Fraction(1001, 30_000), Fraction(1, 15_360), MICROSECONDS])


@given(st.integers(-(2**40), 2**40), TIME_BASES)
def test_grids_survive_nanoseconds_and_back(ticks: int, time_base: Fraction) -> None:
    assert nanoseconds_to_ticks(ticks_to_nanoseconds(ticks, time_base), time_base) == ticks


@given(st.integers(0, 2**40), st.integers(0, 10**6), TIME_BASES)
def test_anchored_times_are_on_the_grid_of_the_stream(
    first: int, later: int, time_base: Fraction
) -> None:
    clock = AnchoredClock(time_base, PERIOD, live=False)
    begin, _ = clock.times(first, first, NOW)
    assert begin == NOW
    captured, decode = clock.times(first + 1 + later, first + 1 + later, NOW)
    assert nanoseconds_to_ticks(captured - begin, time_base) == 1 + later
    assert decode == captured


def test_live_stream_that_jumps_is_anchored_anew() -> None:
    clock = AnchoredClock(VIDEO, PERIOD, live=True)
    clock.times(0, 0, NOW)
    jumped, _ = clock.times(90_000 * 3600, 90_000 * 3600, NOW + PERIOD)
    assert jumped == NOW + PERIOD
    after, _ = clock.times(90_000 * 3600 + 3000, 90_000 * 3600 + 3000, NOW + 2 * PERIOD)
    assert after == jumped + ticks_to_nanoseconds(3000, VIDEO)


def test_live_stream_within_two_seconds_keeps_its_own_times() -> None:
    clock = AnchoredClock(VIDEO, PERIOD, live=True)
    clock.times(0, 0, NOW)
    captured, _ = clock.times(3000, 3000, NOW + 2 * SECOND)
    assert captured == NOW + ticks_to_nanoseconds(3000, VIDEO)


def test_pictures_that_waited_while_the_stream_was_opened_do_not_push_the_rest_ahead() -> None:
    clock = AnchoredClock(VIDEO, PERIOD, live=True)
    opened = NOW + 20 * PERIOD
    waited = [clock.times(3000 * n, 3000 * n, opened)[0] for n in range(20)]
    assert waited == sorted(set(waited))
    later = [
        clock.times(3000 * n, 3000 * n, opened + (n - 19) * (PERIOD + 1))[0] for n in range(20, 90)
    ]
    assert later[0] == pytest.approx(opened + PERIOD, abs=2_000_000)
    assert nanoseconds_to_ticks(later[-1] - later[10], VIDEO) == 3000 * 59


@given(st.lists(st.tuples(st.integers(0, 2**33), st.integers(0, SECOND)), max_size=20))
def test_no_live_picture_was_taken_after_it_came(packets: list[tuple[int, int]]) -> None:
    clock = AnchoredClock(VIDEO, PERIOD, live=True)
    now = NOW
    for pts, later in packets:
        now += 1_000_000 + later
        captured, _ = clock.times(pts, pts, now)
        assert captured <= now


def test_a_file_is_never_anchored_anew() -> None:
    clock = AnchoredClock(VIDEO, PERIOD, live=False)
    clock.times(0, 0, NOW)
    assert clock.times(90_000 * 60, 90_000 * 60, NOW)[0] == NOW + 60 * SECOND


def test_missing_timestamp_is_the_arrival_and_a_new_anchor() -> None:
    clock = AnchoredClock(VIDEO, PERIOD, live=True)
    clock.times(0, 0, NOW)
    assert clock.times(None, None, NOW + PERIOD) == (NOW + PERIOD, NOW + PERIOD)
    assert clock.times(500, 500, NOW + 2 * PERIOD)[0] == NOW + 2 * PERIOD


def test_b_frames_are_decoded_before_they_are_shown() -> None:
    clock = AnchoredClock(VIDEO, PERIOD, live=True)
    shown = [0, 9000, 3000, 6000]
    decoded = [-6000, -3000, 0, 3000]
    times = [
        clock.times(pts, dts, NOW + n * 4 * PERIOD)
        for n, (pts, dts) in enumerate(zip(shown, decoded, strict=True))
    ]
    assert [captured - NOW for captured, _ in times] == [
        ticks_to_nanoseconds(pts, VIDEO) for pts in shown
    ]
    assert [decode - NOW for _, decode in times] == [
        ticks_to_nanoseconds(dts, VIDEO) for dts in decoded
    ]


def test_missing_decoding_times_of_matroska_are_made_up_in_order() -> None:
    clock = AnchoredClock(Fraction(1, 1000), PERIOD, live=False)
    given_times = [(0, None), (100, None), (33, 0), (67, 33), (133, 67)]
    times = [clock.times(pts, dts, NOW) for pts, dts in given_times]
    decodes = [decode for _, decode in times]
    assert decodes == sorted(set(decodes))
    assert all(decode <= captured for captured, decode in times)


def test_kernel_timestamps_are_believed() -> None:
    clock = KernelClock(MICROSECONDS, PERIOD)
    microseconds = NOW // 1000 - 20_000
    assert clock.times(microseconds, microseconds, NOW) == (NOW - 20_000_000,) * 2


def test_timestamps_of_another_clock_are_anchored() -> None:
    clock = KernelClock(MICROSECONDS, PERIOD)
    wall = 1_700_000_000_000_000
    assert clock.times(wall, wall, NOW)[0] == NOW
    assert clock.times(wall + 33_333, wall + 33_333, NOW + PERIOD)[0] == NOW + 33_333_000


def test_arrival_times_rise_even_when_pictures_come_at_once() -> None:
    clock = ArrivalClock()
    times = [clock.times(None, None, NOW)[0] for _ in range(5)]
    assert times[0] == NOW
    assert times == sorted(set(times))


TIMESTAMPS = st.one_of(st.none(), st.integers(-(2**33), 2**33))


@pytest.mark.parametrize("kind", ["live", "file", "kernel", "arrival"])
@given(st.lists(st.tuples(TIMESTAMPS, TIMESTAMPS, st.integers(0, 10 * SECOND)), max_size=20))
def test_whatever_comes_decoding_order_rises(
    kind: str, packets: list[tuple[int | None, int | None, int]]
) -> None:
    clocks: dict[str, StreamClock] = {
        "live": AnchoredClock(VIDEO, PERIOD, live=True),
        "file": AnchoredClock(VIDEO, PERIOD, live=False),
        "kernel": KernelClock(MICROSECONDS, PERIOD),
        "arrival": ArrivalClock(),
    }
    now, last = NOW, None
    for pts, dts, later in packets:
        now += later
        captured, decode = clocks[kind].times(pts, dts, now)
        assert decode <= captured
        assert last is None or decode > last
        last = decode


# --- long runs


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ppm", "rate"),
    [(-100, Fraction(30_000, 1001)), (100, Fraction(30)), (0, Fraction(30)), (-50, None)],
    ids=str,
)
def test_after_eight_hours_times_are_as_true_as_at_the_beginning(
    ppm: int, rate: Fraction | None
) -> None:
    """A camera with a quartz of its own, over a network that now and then takes longer; without
    a rate its pictures come as they like."""
    random = Random(ppm)
    clock = AnchoredClock(VIDEO, PERIOD, live=True)
    worst = 0
    steps: list[int] = []
    taken, before = NOW, None
    while taken < NOW + 8 * 3600 * SECOND:
        between = 1 / rate if rate else Fraction(random.randint(20, 90), 1000)
        taken += round(between * SECOND)
        own = (taken - NOW) * (1_000_000 + ppm) // 1_000_000
        late = random.randint(0, 15_000_000) + (random.random() < 0.01) * 200_000_000
        ticks = nanoseconds_to_ticks(own, VIDEO)
        captured, _ = clock.times(ticks, ticks, taken + late)
        worst = max(worst, abs(captured - taken))
        if before is not None:
            steps.append(abs((captured - before[0]) - (taken - before[1])))
        before = captured, taken
    assert worst <= PERIOD
    # Of one picture to the next nobody sees it, but for the few when the stream begins.
    assert sorted(steps)[-30] < 2_000_000


def test_a_network_that_stands_still_for_a_moment_moves_nothing() -> None:
    clock = AnchoredClock(VIDEO, PERIOD, live=True)
    for number in range(3000):
        arrival = NOW + number * PERIOD
        # A second and a half without any, then all at once; and again.
        held = NOW + (number // 45 * 45 + 44) * PERIOD
        moment = held if 600 < number < 2000 else arrival
        captured, _ = clock.times(3000 * number, 3000 * number, moment)
        assert captured == pytest.approx(arrival, abs=1_000_000)
