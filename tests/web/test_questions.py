"""Days on the pages are days of the station's own time zone, however long they are."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from recorderd.store.search import search
from recorderd.web.problems import ProblemError
from recorderd.web.questions import read_question

from .archive import START, Archive

HOUR = timedelta(hours=1)


@pytest.fixture
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


def day(text: str) -> tuple[datetime, datetime]:
    """From when to when, in UTC, a search for one day goes."""
    asked = read_question({"from": text, "to": text}).search
    assert asked.begin is not None
    assert asked.end is not None
    return asked.begin.astimezone(UTC), asked.end.astimezone(UTC)


@pytest.mark.parametrize(
    ("zone", "text", "begin", "hours"),
    [
        ("Europe/Berlin", "2026-03-28", "2026-03-27T23:00", 24),
        ("Europe/Berlin", "2026-03-29", "2026-03-28T23:00", 23),
        ("Europe/Berlin", "2026-03-30", "2026-03-29T22:00", 24),
        ("Europe/Berlin", "2026-10-24", "2026-10-23T22:00", 24),
        ("Europe/Berlin", "2026-10-25", "2026-10-24T22:00", 25),
        ("Europe/Berlin", "2026-10-26", "2026-10-25T23:00", 24),
        ("Europe/Berlin", "2028-02-29", "2028-02-28T23:00", 24),
        ("Europe/Berlin", "2028-02-28", "2028-02-27T23:00", 24),
        ("Europe/Berlin", "2026-12-31", "2026-12-30T23:00", 24),
        # Where the clocks change at midnight: once there is none, once there are two.
        ("America/Havana", "2026-03-08", "2026-03-08T05:00", 23),
        ("America/Havana", "2026-11-01", "2026-11-01T04:00", 25),
        ("America/Havana", "2026-10-31", "2026-10-31T04:00", 24),
        ("UTC", "2026-03-29", "2026-03-29T00:00", 24),
    ],
    indirect=["zone"],
)
def test_a_day_is_whole(zone: str, text: str, begin: str, hours: int) -> None:
    first, last = day(text)
    assert first == datetime.fromisoformat(begin).replace(tzinfo=UTC)
    assert last - first == hours * HOUR


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/Havana", "UTC"], indirect=True)
@pytest.mark.parametrize("year", [2026, 2028])
def test_days_of_a_year_leave_no_gap_and_do_not_overlap(zone: str, year: int) -> None:
    date = datetime(year, 1, 1, tzinfo=UTC)
    end = None
    while date.year == year:
        first, last = day(f"{date:%Y-%m-%d}")
        assert end in (None, first)
        end = last
        date += timedelta(days=1)


@pytest.mark.parametrize("zone", ["Europe/Berlin"], indirect=True)
def test_every_recording_of_the_long_night_is_found_on_its_day(zone: str, archive: Archive) -> None:
    """At a quarter past two it is a quarter past two again an hour later."""
    midnight = datetime(2026, 10, 24, 22, tzinfo=UTC)
    made = [
        archive.begin(f"SO-{hour}", after=(midnight - START).total_seconds() + hour * 3600 + 900).id
        for hour in range(-1, 26)
    ]
    asked = read_question({"from": "2026-10-25", "to": "2026-10-25"}).search
    found = search(archive.settings.database_url, asked, None, 100).rows
    assert [row.id for row in found] == made[1:-1][::-1]


@pytest.mark.parametrize("text", ["2026-02-29", "2026-13-01", "2026-10-25T26:00", "yesterday"])
def test_day_that_never_was(text: str) -> None:
    with pytest.raises(ProblemError):
        read_question({"from": text})
