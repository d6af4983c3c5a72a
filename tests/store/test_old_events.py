"""Old entries of the event log go; what still matters stays, however wrong the clock was."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from recorderd.store import old_events
from recorderd.store.catalogue import LogEntry
from recorderd.store.holds import HoldAction, HoldRequest, change
from tests.store.rows import START
from tests.store.shelf import Shelf


def note(shelf: Shelf, *days_ago: float) -> None:
    shelf.catalogue.note_all(
        [LogEntry("signal", str(days), None, START - timedelta(days=days)) for days in days_ago]
    )


def left(shelf: Shelf) -> list[str]:
    return [detail for event, detail in shelf.events() if event == "signal"]


def test_older_ones_go(shelf: Shelf) -> None:
    note(shelf, 500, 401, 399, 1)
    assert not old_events.prune(shelf.catalogue, START, 400)
    assert left(shelf) == ["399", "1"]


def test_entry_made_before_the_clock_was_set_is_as_old_as_its_neighbours(shelf: Shelf) -> None:
    note(shelf, 500, 20_000, 450, 10, 20_000, 5)
    old_events.prune(shelf.catalogue, START, 400)
    assert left(shelf) == ["10", "20000", "5"]


def test_entry_of_the_future_keeps_nothing(shelf: Shelf) -> None:
    note(shelf, -3000, 450, 10)
    old_events.prune(shelf.catalogue, START, 400)
    assert left(shelf) == ["10"]


def test_all_old_means_that_the_clock_is_wrong(shelf: Shelf) -> None:
    """Or that nothing happened for a year: then there is no hurry."""
    note(shelf, 500, 450)
    old_events.prune(shelf.catalogue, START, 400)
    assert left(shelf) == ["500", "450"]


def test_entries_of_held_recordings_stay(shelf: Shelf) -> None:
    held, other = shelf.put("SO-1"), shelf.put("SO-2")
    long_ago = datetime(2020, 1, 1, tzinfo=UTC)
    shelf.catalogue.note_all(
        [LogEntry("recording saved", "", each, long_ago) for each in (held, other)]
    )
    change(shelf.catalogue, HoldRequest.now(HoldAction.HOLD, "SO-1", "Anna", "a complaint"))
    note(shelf, 1)
    old_events.prune(shelf.catalogue, START, 400)
    assert ("recording saved", "") in shelf.events(held)
    assert shelf.events(other) == []


def test_few_at_once(shelf: Shelf) -> None:
    note(shelf, *([500] * (old_events.AT_ONCE + 1)), 1)
    assert old_events.prune(shelf.catalogue, START, 400)
    assert left(shelf) == ["500", "1"]
    assert not old_events.prune(shelf.catalogue, START, 400)
    assert left(shelf) == ["1"]
