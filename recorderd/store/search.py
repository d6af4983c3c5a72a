"""Looking through the catalogue page by page, as the staff pages and the API do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from peewee import SQL, SqliteDatabase, fn

from recorderd.core.model import RecordingId, RecordingState
from recorderd.store.reader import RecordingRow, failure_of, reading, row_of
from recorderd.store.records import Failure
from recorderd.store.schema import Recording, Tables, microseconds, search_text

LONGEST_SECONDS: Final = 3.0
"""No search may read for longer: others wait for their turn."""
_TRIGRAM: Final = 3
"""SQLite's index of fragments knows none shorter than this (FTS5, trigram tokenizer)."""
_FEW: Final = 1000
"""So many rows are fetched one by one and sorted in a few milliseconds. Where a condition
holds for more, walking from the newest row meets enough of them soon."""
_TYPICAL_RECORDINGS: Final = 100


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for; what is None or empty does not matter.

    `text` is a fragment of an order id or a label, in any case; `order` a whole order id,
    exactly. `begin` (included) and `end` (not included) are aware and limit the start.
    """

    text: str = ""
    order: str | None = None
    begin: datetime | None = None
    end: datetime | None = None
    station: str | None = None
    flagged: bool = False
    states: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Cursor:
    """The last row of a page: the next page begins after it."""

    started_at_us: int
    id: str


@dataclass(frozen=True, slots=True)
class Page:
    """Recordings, newest first; `following` is None on the last page."""

    rows: tuple[RecordingRow, ...]
    following: Cursor | None


@dataclass(frozen=True, slots=True)
class Totals:
    """How many recordings there are of each state, and how many pictures are missing."""

    by_state: dict[str, int]
    dropped_frames: int


def search(url: str, wanted: Search, after: Cursor | None, limit: int) -> Page:
    """Find one page of recordings. Any thread. Raises CatalogueError."""
    with reading(url, LONGEST_SECONDS) as tables:
        row = tables.recordings
        conditions = _conditions(tables, wanted)
        if after is not None:
            conditions.append(
                (row.started_at < after.started_at_us)
                | ((row.started_at == after.started_at_us) & (row.id < after.id))
            )
            # A range of its own, for the index.
            conditions.append(row.started_at <= after.started_at_us)
        query = row.select()
        if conditions:
            query = query.where(*conditions)
        newest_first = query.order_by(row.started_at.desc(), row.id.desc())
        found = [row_of(each) for each in newest_first.limit(limit + 1)]
    following = None
    if len(found) > limit:
        last = found[limit - 1]
        following = Cursor(microseconds(last.started_at), last.id)
    return Page(tuple(found[:limit]), following)


def orders_exactly(url: str, text: str) -> list[RecordingRow]:
    """Find the recordings of the order that `text` names in full, newest first.

    `text` is an order id, or else the whole text of a label. None are returned where it
    fits several orders.
    """
    with reading(url, LONGEST_SECONDS) as tables:
        row = tables.recordings
        newest_first = (row.started_at.desc(), row.id.desc())
        by_order = row.select().where(row.order_id == text).order_by(*newest_first).limit(_FEW)
        found = [row_of(each) for each in by_order]
        if found:
            return found
        folded = search_text(text)
        few = _few_with_fragment(tables, folded)
        if few is None:
            return []
        candidates = [row_of(each) for each in row.select().where(few).order_by(*newest_first)]
    named = [
        each
        for each in candidates
        if folded in (search_text(each.order_id), search_text(each.label_text))
    ]
    return named if len({each.order_id for each in named}) == 1 else []


def recording_and_siblings(
    url: str, recording_id: str
) -> tuple[RecordingRow, list[RecordingRow]] | None:
    """Look up a recording, and all takes and parts of its order in their order."""
    with reading(url, LONGEST_SECONDS) as tables:
        row = tables.recordings
        found = row.get_or_none(row.id == RecordingId(recording_id))
        if found is None:
            return None
        of_order = row.select().where(row.order_id == found.order_id)
        siblings = of_order.order_by(row.take, row.part).limit(_FEW)
        return row_of(found), [row_of(each) for each in siblings]


def job_failure(url: str, recording_id: str, job: str) -> Failure | None:
    """Tell whether a background job for this recording has failed, and not succeeded since."""
    with reading(url, LONGEST_SECONDS) as tables:
        table = tables.failures
        this = (table.recording_id == recording_id) & (table.job == job)
        found = table.get_or_none(this)
        return None if found is None else failure_of(found)


def stations(url: str) -> list[str]:
    """Name the stations that keep footage in this catalogue."""
    prefix = "footage_id of "
    with reading(url, LONGEST_SECONDS) as tables:
        keys = [each.key for each in tables.meta.select()]
    return sorted(key.removeprefix(prefix) for key in keys if key.startswith(prefix))


def totals(url: str) -> Totals:
    """Count all recordings. Takes a while when there are many: not for every request."""
    with reading(url, LONGEST_SECONDS) as tables:
        row = tables.recordings
        counted: Any = row.select(row.state, fn.COUNT(row.id)).group_by(row.state).tuples()
        by_state = {str(state): int(count) for state, count in counted}
        dropped = row.select(fn.SUM(row.dropped)).scalar() or 0
    return Totals(
        by_state={state.value: by_state.get(state.value, 0) for state in RecordingState},
        dropped_frames=int(dropped),
    )


def typical_bytes(url: str) -> int | None:
    """Tell how large a recording usually is, by the newest ones; None while there are none."""
    with reading(url, LONGEST_SECONDS) as tables:
        row = tables.recordings
        newest = row.select(row.bytes).order_by(row.started_at.desc()).limit(_TYPICAL_RECORDINGS)
        sizes: list[Any] = [each.bytes for each in newest if each.bytes]
    return sum(sizes) // len(sizes) if sizes else None


def _conditions(tables: Tables, wanted: Search) -> list[Any]:
    row = tables.recordings
    conditions: list[Any] = []
    if wanted.order is not None:
        conditions.append(row.order_id == wanted.order)
    if wanted.text:
        fragment = search_text(wanted.text)
        few = _few_with_fragment(tables, fragment)
        conditions.append(row.search_text.contains(fragment) if few is None else few)
    if wanted.begin is not None:
        conditions.append(row.started_at >= microseconds(wanted.begin))
    if wanted.end is not None:
        conditions.append(row.started_at < microseconds(wanted.end))
    if wanted.station is not None:
        conditions.append(row.station == wanted.station)
    if wanted.flagged:
        # Word for word the condition of the index.
        conditions.append(SQL("flagged"))
    if wanted.states:
        conditions.append(_states(row, wanted.states))
    return conditions


def _few_with_fragment(tables: Tables, fragment: str) -> Any | None:
    """The condition that a row holds the fragment, if the index says that few rows do."""
    database = tables.recordings._meta.database
    if not isinstance(database, SqliteDatabase) or len(fragment) < _TRIGRAM:
        return None
    phrase = '"' + fragment.replace('"', '""') + '"'
    matches = "SELECT id FROM recording_fragments WHERE search_text MATCH ?"
    counted = database.execute_sql(  # type: ignore[no-untyped-call]
        f"SELECT count(*) FROM ({matches} LIMIT ?)",  # noqa: S608 - all text is bound
        (phrase, _FEW + 1),
    )
    if counted.fetchone()[0] > _FEW:
        return None
    return tables.recordings.id.in_(SQL(f"({matches})", (phrase,)))


def _states(row: type[Recording], states: Sequence[str]) -> Any:
    """The condition on the state; its index serves only where few rows have it."""
    with_state = row.select(row.id).where(row.state.in_(states)).limit(_FEW + 1)
    if with_state.count() <= _FEW or not isinstance(row._meta.database, SqliteDatabase):
        return row.state.in_(states)
    marks = ", ".join("?" for _ in states)
    return SQL(f"+state IN ({marks})", tuple(states))
