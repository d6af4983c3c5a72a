"""Ratios of what was measured side by side, and how they are shown."""

from __future__ import annotations

import pytest

from recorderd.bench.report import Comparison, number, percentile, table


def test_the_ratio_is_the_median_of_the_rounds() -> None:
    comparison = Comparison("speed", "MB/s", (90.0, 50.0, 300.0), (100.0, 100.0, 100.0))
    assert comparison.ratios == [0.9, 0.5, 3.0]
    assert comparison.ratio == 0.9


@pytest.mark.parametrize(("ours", "missed"), [(90.0, False), (89.0, True)])
def test_a_goal_is_missed_below_it(ours: float, missed: bool) -> None:
    comparison = Comparison("speed", "MB/s", (ours,), (100.0,), goal=0.9)
    assert comparison.missed is missed
    assert ("missed" in comparison.cells()[-1]) is missed


def test_without_a_goal_nothing_is_missed() -> None:
    assert not Comparison("speed", "MB/s", (1.0,), (100.0,)).missed


def test_without_the_other_side_ours_is_still_shown() -> None:
    comparison = Comparison("speed", "MB/s", (80.0, 90.0, 85.0), (), goal=0.9)
    assert comparison.ratio is None
    assert not comparison.missed
    assert comparison.cells() == ("speed", "85.0 MB/s", "-", "-", "-", "0.9 or more")
    assert comparison.document()["theirs_median"] is None


def test_a_document_holds_the_medians_and_every_round() -> None:
    found = Comparison("speed", "MB/s", (80.0, 90.0), (100.0, 100.0), goal=0.9).document()
    assert found["ours"] == (80.0, 90.0)
    assert (found["ours_median"], found["theirs_median"]) == (85.0, 100.0)
    assert found["ratio"] == pytest.approx(0.85)
    assert found["missed"] is True


@pytest.mark.parametrize(
    ("value", "shown"),
    [(1234.5, "1234"), (123.4, "123"), (12.34, "12.3"), (1.234, "1.23"), (0.0123, "0.012")],
)
def test_numbers_keep_the_digits_that_count(value: float, shown: str) -> None:
    assert number(value) == shown
    assert number(-value) == f"-{shown}"


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    assert table([("a", "bb"), ("ccc", "d")]) == "a    bb\nccc  d"


def test_percentiles() -> None:
    values = list(map(float, range(100)))
    assert percentile(values, 95) == 95
    assert percentile([7.0], 99) == 7
    assert percentile([], 50) == 0
