"""Delays between tries."""

from __future__ import annotations

from recorderd.core.model import nanoseconds
from recorderd.panel.backoff import LONGEST_DELAY, Backoff


def test_the_delay_doubles_up_to_the_longest() -> None:
    backoff = Backoff()
    delays = [backoff.failed(0) for _ in range(8)]
    assert delays == [nanoseconds(each) for each in (1, 2, 4, 8, 16, 30, 30, 30)]


def test_only_a_device_that_worked_for_long_is_forgiven() -> None:
    backoff = Backoff()
    backoff.failed(0)
    backoff.worked(0)
    assert backoff.failed(LONGEST_DELAY - 1) == LONGEST_DELAY - 1 + nanoseconds(2)
    backoff.worked(0)
    assert backoff.failed(LONGEST_DELAY) == LONGEST_DELAY + nanoseconds(1)
