"""Searches answer what looking at every row would answer, on each database, however they do it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from random import Random
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recorderd.core.model import RecordingId, RecordingState
from recorderd.store import fragments, leads, newest
from recorderd.store.catalogue import Catalogue
from recorderd.store.database import CatalogueUnavailableError
from recorderd.store.identity import new_recording_id
from recorderd.store.reader import RecordingRow, find
from recorderd.store.schema import search_text
from recorderd.store.search import (
    Page,
    Search,
    Totals,
    orders_exactly,
    recording_and_siblings,
    search,
    stations,
    totals,
    typical_bytes,
)

from .rows import START, captured, new


@dataclass(frozen=True)
class Row:
    """What a search can ask about."""

    id: RecordingId
    order_id: str
    label_text: str
    started_at: datetime
    station: str
    state: str
    flagged: bool


@pytest.fixture
def catalogue(url: str) -> Iterator[Catalogue]:
    opened = Catalogue.open(url, "bench-1")
    yield opened
    opened.close()


# --- against a look at every row -----------------------------------------------------------

ALPHABETS = ("ab1-", "aAbB12-", 'a_%\\" ß\n\ufdd0')
STATES = ("saved", "damaged", "lost")
STATIONS = ("bench-1", "bench-2")


def some_text(chance: Random) -> str:
    text = "".join(chance.choices(chance.choice(ALPHABETS), k=chance.randrange(7)))
    return chance.choice([text, text, f"SO-{text}", f"https://parcels.example/{text}?lang=de"])


def some_moment(chance: Random) -> datetime:
    """Often the very same as another one, or near it; seldom long ago."""
    within = chance.choice([3, 2**27, 2**28, 2**30, -(2**52)])
    return START + timedelta(microseconds=round(within * chance.random()))


def some_row(chance: Random) -> Row:
    order_id = some_text(chance)
    return Row(
        id=new_recording_id(),
        order_id=order_id,
        label_text=chance.choice([order_id, some_text(chance)]),
        started_at=some_moment(chance),
        station=chance.choice(STATIONS),
        state=chance.choices(STATES, (6, 2, 1))[0],
        flagged=chance.random() < 0.3,
    )


def some_search(chance: Random, rows: Sequence[Row]) -> Search:
    """A search that often finds something: it asks for little beside the text."""
    row = chance.choice(rows)
    whole = chance.choice(names(row))
    begin = chance.randrange(len(whole) + 1)
    fragment = whole[begin : begin + chance.choice([1, 2, 3, 4, 8, 40])]
    filters: dict[str, Any] = {
        "order": row.order_id,
        "begin": chance.choice([row.started_at, some_moment(chance)]),
        "end": chance.choice([row.started_at, some_moment(chance)]),
        "station": chance.choice([*STATIONS, "nobody"]),
        "flagged": True,
        "states": tuple(chance.sample(STATES, chance.choice([1, 1, 2]))),
    }
    chosen = chance.sample(sorted(filters), chance.choice([0, 0, 1, 1, 2, 3]))
    text = chance.choice([fragment, fragment, fragment.swapcase(), whole, "", some_text(chance)])
    return Search(text=text, **{name: filters[name] for name in chosen})


def write(catalogue: Catalogue, chance: Random) -> list[Row]:
    """Make up a catalogue whose rows were corrected and deleted, too; its rows, newest first."""
    rows = [some_row(chance) for _ in range(chance.choice([3, 30, 60]))]
    corrected = [replace(some_row(chance), id=row.id) for row in chance.sample(rows, 3)]
    deleted = chance.sample(rows, 2)
    with catalogue.transaction() as tables:
        recordings = tables.recordings
        recordings.delete().execute()
        recordings.insert_many(
            [{**columns(row), "take": take, **UNASKED} for take, row in enumerate(rows)]
        ).execute()
        for row in corrected:
            recordings.update(columns(row)).where(recordings.id == row.id).execute()
        recordings.delete().where(recordings.id.in_(ids(deleted))).execute()
    known = {row.id: row for row in (*rows, *corrected)}
    for row in deleted:
        del known[row.id]
    return sorted(known.values(), key=lambda row: (row.started_at, row.id), reverse=True)


def columns(row: Row) -> dict[str, Any]:
    return {**asdict(row), "search_text": search_text(*names(row))}


def names(row: Row) -> list[str]:
    return list(dict.fromkeys((row.order_id, row.label_text)))


UNASKED = {
    "symbology": "qr",
    "part": 1,
    "boot_id": "boot-1",
    "monotonic_ns": 0,
    "clock": "synchronised",
    "path": "x.mp4",
}


def holds(row: Row, text: str) -> bool:
    return search_text(text) in search_text(*names(row))


def meets(row: Row, asked: Search) -> bool:
    return (
        holds(row, asked.text)
        and asked.order in (None, row.order_id)
        and (asked.begin is None or asked.begin <= row.started_at)
        and (asked.end is None or row.started_at < asked.end)
        and asked.station in (None, row.station)
        and (row.flagged or not asked.flagged)
        and (not asked.states or row.state in asked.states)
    )


def all_pages(url: str, asked: Search, limit: int) -> Iterator[RecordingRow]:
    page = search(url, asked, None, limit)
    yield from page.rows
    while page.following is not None:
        assert len(page.rows) == limit
        page = search(url, asked, page.following, limit)
        assert page.rows
        yield from page.rows


def ids(rows: Iterable[Row | RecordingRow]) -> list[str]:
    return [row.id for row in rows]


@pytest.fixture(params=["as it is", "hurried"])
def ways(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ways to rows that are else only taken among very many."""
    if request.param == "hurried":
        monkeypatch.setattr(newest, "_FIRST_ROUND", 1)
        monkeypatch.setattr(newest, "_GROWTH", 2)
        monkeypatch.setattr(newest, "_RARE", 1)
        monkeypatch.setattr(leads, "_FEW", 3)
        monkeypatch.setattr(fragments, "_WHOLE", 4)
        monkeypatch.setattr(fragments, "_PIECE", 4)
        monkeypatch.setattr(fragments, "_RARE", 3)
        monkeypatch.setattr(fragments, "_MOST_TRIGRAMS", 3)


@settings(
    max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(st.integers(0, 2**64 - 1).map(Random))
def test_the_answer_is_that_of_a_look_at_every_row(
    catalogue: Catalogue, url: str, ways: None, chance: Random
) -> None:
    rows = write(catalogue, chance)
    for asked in [some_search(chance, rows) for _ in range(12)]:
        expected = ids(row for row in rows if meets(row, asked))
        assert ids(all_pages(url, asked, chance.choice([1, 2, 5, 20]))) == expected

        text = asked.text
        this_order = [row for row in rows if row.order_id == text]
        others = [row for row in rows if row.order_id != text and holds(row, text)]
        limit = chance.choice([1, 5, 1000])
        assert ids(find(url, text, limit)) == ids((*this_order, *others))[:limit]
        named = this_order or [
            row for row in rows if search_text(text) in map(search_text, names(row))
        ]
        one_order = text and len({row.order_id for row in named}) == 1
        assert ids(orders_exactly(url, text)) == (ids(named) if one_order else [])


# --- what the pages ask beside ----------------------------------------------------------------


def test_a_recording_is_given_with_all_takes_and_parts_of_its_order(
    catalogue: Catalogue, url: str
) -> None:
    first = new("SO-1")
    catalogue.register(first)
    catalogue.register(new("SO-12"))
    second = new("SO-1", part=2, continues=first.id)
    again = new("SO-1", after=-60)
    catalogue.register(again)
    catalogue.register(second)
    found = recording_and_siblings(url, again.id)
    assert found is not None
    row, siblings = found
    assert (row.id, row.take) == (again.id, 2)
    assert ids(siblings) == [first.id, second.id, again.id]
    assert recording_and_siblings(url, "nobody") is None


def test_recordings_are_counted_by_state_and_missing_pictures_added_up(
    catalogue: Catalogue, url: str
) -> None:
    none = dict.fromkeys((state.value for state in RecordingState), 0)
    assert totals(url) == Totals(none, 0)
    for number in range(4):
        entry = new(f"SO-{number}")
        catalogue.register(entry)
        if number:
            catalogue.captured(entry.id, replace(captured(entry), dropped=number - 1))
    assert totals(url) == Totals(none | {"recording": 1, "captured": 3}, 3)


def test_the_newest_recordings_say_how_large_one_is(catalogue: Catalogue, url: str) -> None:
    assert typical_bytes(url) is None
    for number in range(102):
        entry = new(f"SO-{number}", after=-60.0 * number)
        catalogue.register(entry)
        if number:
            size = 1000 if number < 100 else 9000
            catalogue.captured(entry.id, replace(captured(entry), bytes=size))
    assert typical_bytes(url) == 1000


def test_stations_that_keep_footage_are_named(catalogue: Catalogue, url: str) -> None:
    assert stations(url) == []
    catalogue.set_footage_id("disk-1")
    other = Catalogue.open(url, "bäck bench")
    other.set_footage_id("disk-2")
    other.close()
    assert stations(url) == ["bench-1", "bäck bench"]


def test_an_order_is_named_by_its_label_in_any_case_unless_others_have_it_too(
    catalogue: Catalogue, url: str
) -> None:
    one = new("SO-1", label_text="https://parcels.example/t/ABC?lang=de")
    catalogue.register(one)
    catalogue.register(new("SO-2", label_text="https://parcels.example/t/ABC?lang=de&more"))
    assert ids(orders_exactly(url, "HTTPS://parcels.example/t/abc?lang=de")) == [one.id]
    assert ids(orders_exactly(url, "so-1")) == [one.id]
    assert orders_exactly(url, "SO-") == []
    assert orders_exactly(url, "https://parcels.example/t/ABC") == []
    catalogue.register(new("SO-3", label_text="https://parcels.example/t/ABC?lang=de"))
    assert orders_exactly(url, "https://parcels.example/t/ABC?lang=de") == []


# --- a server that is not always there ---------------------------------------------------------


def test_a_connection_that_was_cut_is_made_again(postgresql_url: str) -> None:
    Catalogue.open(postgresql_url, "bench-1").close()
    assert stations(postgresql_url) == []
    with psycopg.connect(postgresql_url, autocommit=True) as connection:
        kept = connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ).fetchall()
    assert kept == [(True,)]
    assert stations(postgresql_url) == []


def test_a_search_that_takes_too_long_is_given_up_and_the_next_one_is_answered(
    postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalogue = Catalogue.open(postgresql_url, "bench-1")
    monkeypatch.setattr("recorderd.store.search.LONGEST_SECONDS", 0.05)
    with catalogue.transaction() as tables:
        tables.meta._meta.database.execute_sql("LOCK TABLE recordings IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(CatalogueUnavailableError, match="took too long"):
            search(postgresql_url, Search(), None, 25)
    assert search(postgresql_url, Search(), None, 25) == Page((), None)
    catalogue.close()
