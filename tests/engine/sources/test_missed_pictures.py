from __future__ import annotations

from collections.abc import Collection
from random import Random

import pytest

from recorderd.engine.packets import SourcePacket
from recorderd.engine.sources.missed_pictures import MissedPictures

PERIOD = 33_333_333


def missed_in(times: list[int], damaged: Collection[int] = ()) -> int:
    """Of pictures at these times; some come damaged, later than they were taken."""
    missed = MissedPictures()
    return sum(
        missed.told_with(
            SourcePacket(b"", moment + PERIOD, moment + PERIOD, keyframe=False)
            if moment in damaged
            else SourcePacket(b"jpeg", moment, moment, keyframe=True)
        ).missed
        for moment in times
    )


def jittering(count: int, period: int = PERIOD) -> list[int]:
    random = Random(1)
    return [
        number * period + random.randint(-period // 10, period // 10) for number in range(count)
    ]


def test_a_camera_that_keeps_its_rate_misses_nothing() -> None:
    assert missed_in(jittering(1000)) == 0


@pytest.mark.parametrize("lost", [[50], [50, 51, 52], [50, 70, 71, 300]])
def test_what_is_missing_is_counted(lost: list[int]) -> None:
    times = [moment for number, moment in enumerate(jittering(1000)) if number not in lost]
    assert missed_in(times) == len(lost)


def test_a_camera_that_takes_its_time_in_poor_light_loses_nothing_for_long() -> None:
    bright = jittering(100)
    dark = [bright[-1] + moment for moment in jittering(200, 2 * PERIOD)[1:]]
    assert missed_in(bright + dark) <= 6
    steady = [bright[-1] + number * 2 * PERIOD for number in range(1, 200)]
    assert missed_in(bright + steady) == 0


def test_a_damaged_picture_is_not_counted_once_more() -> None:
    times = jittering(100)
    assert missed_in(times, damaged=times[50:52]) == 0
    assert missed_in(times[:60] + times[61:], damaged=times[58:60]) == 1


def test_the_first_pictures_of_a_camera_say_nothing() -> None:
    assert missed_in([0, PERIOD, 9 * PERIOD, 10 * PERIOD]) == 0


def test_times_that_stand_still_are_no_reason_to_stumble() -> None:
    assert missed_in([5, 5, 4, *(5 + n * PERIOD for n in range(1, 50))]) == 0


def test_it_is_told_where_the_missing_ones_ended() -> None:
    missed = MissedPictures()
    times = [n * PERIOD for n in range(20)] + [(n + 100) * PERIOD for n in range(20)]
    told = [missed.told_with(SourcePacket(b"jpeg", time, time, keyframe=True)) for time in times]
    (gap,) = (picture for picture in told if picture.missed)
    assert (gap.captured_ns, gap.missed_before_ns) == (times[21], times[20])
