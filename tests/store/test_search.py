"""Searches answer what looking at every row would answer, on each database, however they do it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recorderd.core.model import RecordingId
from recorderd.store import fragments, newest
from recorderd.store.catalogue import Catalogue
from recorderd.store.identity import new_recording_id
from recorderd.store.reader import RecordingRow, find
from recorderd.store.schema import search_text
from recorderd.store.search import (
    Search,
    orders_exactly,
    search,
)

from .rows import START


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

TEXTS = st.text('aAbB12-_%\\" ß\n\ufdd0', max_size=6)
LABELS = TEXTS | TEXTS.map("https://parcels.example/{}?lang=de".format)
STARTS = st.one_of(
    st.integers(0, 3), st.integers(0, 2**28), st.integers(0, 2**40), st.integers(-(2**52), 0)
).map(lambda microseconds: START + timedelta(microseconds=microseconds))
ROWS = st.builds(
    Row,
    id=st.builds(new_recording_id),
    order_id=TEXTS,
    label_text=LABELS,
    started_at=STARTS,
    station=st.sampled_from(["bench-1", "bench-2"]),
    state=st.sampled_from(["saved", "damaged", "lost"]),
    flagged=st.booleans(),
)


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Row], list[Row], list[Row]]:
    """Rows that are written, what some of them are corrected to, and those that are deleted."""
    rows = draw(st.lists(ROWS, min_size=1, max_size=25))
    some = st.lists(st.sampled_from(rows), max_size=4, unique_by=lambda row: row.id)
    corrected = [replace(draw(ROWS), id=row.id) for row in draw(some)]
    return rows, corrected, draw(some)


@st.composite
def searches(draw: st.DrawFn, rows: Sequence[Row]) -> Search:
    """A search that often finds something."""
    whole = draw(st.sampled_from([text for row in rows for text in (row.order_id, row.label_text)]))
    begin = draw(st.integers(0, max(0, len(whole) - 1)))
    fragment = whole[begin : begin + draw(st.integers(1, 12))]
    moments = st.none() | st.sampled_from([row.started_at for row in rows]) | STARTS
    return Search(
        text=draw(st.sampled_from(["", whole, fragment, fragment.swapcase()]) | LABELS),
        order=draw(st.none() | st.sampled_from([row.order_id for row in rows])),
        begin=draw(moments),
        end=draw(moments),
        station=draw(st.none() | st.sampled_from(["bench-1", "bench-2", "nobody"])),
        flagged=draw(st.booleans()),
        states=tuple(draw(st.lists(st.sampled_from(["saved", "damaged", "lost"]), max_size=2))),
    )


def write(catalogue: Catalogue, history: tuple[list[Row], list[Row], list[Row]]) -> list[Row]:
    """Make it the catalogue's only content; returns the rows, newest first."""
    rows, corrected, deleted = history
    with catalogue.transaction() as tables:
        recordings = tables.recordings
        recordings.delete().execute()
        for take, row in enumerate(rows):
            recordings.insert(**columns(row), take=take, **UNASKED).execute()
        for row in corrected:
            recordings.update(columns(row)).where(recordings.id == row.id).execute()
        for row in deleted:
            recordings.delete().where(recordings.id == row.id).execute()
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
        monkeypatch.setattr(fragments, "_WHOLE", 4)
        monkeypatch.setattr(fragments, "_PIECE", 4)
        monkeypatch.setattr(fragments, "_RARE", 3)
        monkeypatch.setattr(fragments, "_MOST_TRIGRAMS", 3)


@settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(st.data())
def test_the_answer_is_that_of_a_look_at_every_row(
    catalogue: Catalogue, url: str, ways: None, data: st.DataObject
) -> None:
    history = data.draw(histories())
    rows = write(catalogue, history)
    for asked in data.draw(st.lists(searches(history[0]), min_size=1, max_size=4)):
        expected = ids(row for row in rows if meets(row, asked))
        assert ids(all_pages(url, asked, data.draw(st.integers(1, 4)))) == expected
        assert ids(search(url, asked, None, 1000).rows) == expected

        text = asked.text
        this_order = [row for row in rows if row.order_id == text]
        others = [row for row in rows if row.order_id != text and holds(row, text)]
        assert ids(find(url, text, 1000)) == ids((*this_order, *others))
        assert ids(find(url, text, 3)) == ids((*this_order, *others))[:3]
        named = this_order or [
            row for row in rows if search_text(text) in map(search_text, names(row))
        ]
        one_order = text and len({row.order_id for row in named}) == 1
        assert ids(orders_exactly(url, text)) == (ids(named) if one_order else [])
