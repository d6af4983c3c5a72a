from __future__ import annotations

import pytest

from recorderd.engine.histogram import SCAN_BOUNDS, Histogram


def test_each_bucket_holds_all_that_took_no_longer() -> None:
    found = Histogram.empty((0.1, 0.5, 1.0))
    for seconds in (0.05, 0.1, 0.4, 3.0):
        found = found.including(seconds)
    assert found.within == (2, 3, 3)
    assert found.count == 4
    assert found.seconds == pytest.approx(3.55)


def test_what_was_handed_out_stays_as_it_is() -> None:
    before = Histogram.empty(SCAN_BOUNDS)
    after = before.including(0.07)
    assert (before.count, sum(before.within)) == (0, 0)
    assert after.within == (0, 0, 0, 1, 1, 1, 1, 1, 1, 1)


def test_the_bounds_rise() -> None:
    assert list(SCAN_BOUNDS) == sorted(set(SCAN_BOUNDS))
