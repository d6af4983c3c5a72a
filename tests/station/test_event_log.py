"""What must be written at once is; the rest waits for company, and nothing is lost on the way."""

from __future__ import annotations

import pytest

from recorderd.core.model import RecordingId
from recorderd.station.event_log import LONGEST_WAIT, MOST_WAITING, EventLog
from recorderd.store.records import LogEntry
from tests.store.rows import START


class Written:
    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.log = EventLog(self.write)

    def write(self, entries: tuple[LogEntry, ...]) -> None:
        self.batches.append([entry.event for entry in entries])

    def add(self, event: str, now: int = 0, about: RecordingId | None = None) -> None:
        self.log.add(LogEntry(event, "", about, START), now)


@pytest.fixture
def written() -> Written:
    return Written()


def test_lamps_wait_for_company(written: Written) -> None:
    written.add("signal", 0)
    written.add("pedal", 10)
    written.log.time_passed(LONGEST_WAIT - 1)
    assert written.batches == []
    written.log.time_passed(LONGEST_WAIT)
    written.log.time_passed(2 * LONGEST_WAIT)
    assert written.batches == [["signal", "pedal"]]
    written.add("signal", 3 * LONGEST_WAIT)
    written.log.time_passed(3 * LONGEST_WAIT + 1)
    assert len(written.batches) == 1, "the new one has its own time"


@pytest.mark.parametrize("event", ["fault", "fault cleared", "clock synchronised"])
def test_what_does_not_wait_takes_the_others_with_it(written: Written, event: str) -> None:
    written.add("signal")
    written.add(event)
    assert written.batches == [["signal", event]]


def test_recordings_do_not_wait(written: Written) -> None:
    written.add("label read")
    written.add("recording started", about=RecordingId("r-1"))
    assert written.batches == [["label read", "recording started"]]


def test_flood_does_not_grow_without_limit(written: Written) -> None:
    for _ in range(MOST_WAITING):
        written.add("label read")
    assert written.batches == [["label read"] * MOST_WAITING]


def test_end_leaves_nothing_behind(written: Written) -> None:
    written.add("signal")
    written.log.flush()
    written.log.flush()
    assert written.batches == [["signal"]]
