"""Wall time from monotonic time, and whether it can be trusted."""

from __future__ import annotations

import ctypes
import time
from datetime import UTC, datetime

import pytest

from recorderd.station import clock


def test_moment_of_this_boot_in_utc() -> None:
    found = clock.wall_time(time.monotonic_ns())
    assert found.tzinfo is UTC
    assert abs((found - datetime.now(UTC)).total_seconds()) < 1


def test_by_the_clock_as_it_is_set_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 1_700_000_000_123_456_000)
    monkeypatch.setattr(time, "monotonic_ns", lambda: 5_000_000_000)
    assert clock.wall_minus_monotonic_ns() == 1_699_999_995_123_456_000
    expected = datetime(2023, 11, 14, 22, 13, 22, 123456, tzinfo=UTC)
    assert clock.wall_time(7_000_000_000) == expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [(0, "synchronised"), (4, "synchronised"), (5, "unsynchronised"), (-1, "unsynchronised")],
)
def test_what_the_kernel_says(answer: int, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Library:
        def adjtimex(self, _only_asking: object) -> int:
            return answer

    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: Library())
    assert clock.synchronisation() == expected


def test_this_kernel_answers() -> None:
    assert clock.synchronisation() in {clock.SYNCHRONISED, clock.UNSYNCHRONISED}
