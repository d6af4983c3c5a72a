"""Looking through the catalogue page by page, as the staff pages and the API do."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from peewee import SQL, fn

from recorderd.core.model import RecordingId, RecordingState
from recorderd.store.fragments import few_with_line
from recorderd.store.leads import Place, is_sqlite
from recorderd.store.migrations import FIRST_LINE, LAST_LINE
from recorderd.store.newest import Wanted, escaped_for_like, newest
from recorderd.store.reader import RecordingRow, failure_of, reading, row_of
from recorderd.store.records import Failure
from recorderd.store.schema import FOOTAGE_KEY, Recording, Tables, microseconds, search_text

LONGEST_SECONDS: Final = 3.0
"""No search may read for longer: others wait for their turn."""
_FEW: Final = 1000
"""No order has more takes that anyone will look at."""
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
    asked = Wanted(
        fragment=search_text(wanted.text),
        order=wanted.order,
        station=wanted.station,
        flagged=wanted.flagged,
        states=wanted.states,
        after=None if after is None else Place(after.started_at_us, after.id),
    )
    if wanted.begin is not None:
        asked = replace(asked, low=microseconds(wanted.begin))
    if wanted.end is not None:
        asked = replace(asked, below=microseconds(wanted.end))
    with reading(url, LONGEST_SECONDS) as tables:
        found = [row_of(each) for each in newest(tables, asked, limit + 1)]
    following = None
    if len(found) > limit:
        last = found[limit - 1]
        following = Cursor(microseconds(last.started_at), last.id)
    return Page(tuple(found[:limit]), following)


def orders_exactly(url: str, text: str) -> list[RecordingRow]:
    """Find the recordings of the order that `text` names in full, newest first.

    `text` is an order id, or else the whole text of a label. None are returned where it
    fits several orders, or is empty.
    """
    if not text:
        return []
    with reading(url, LONGEST_SECONDS) as tables:
        row = tables.recordings
        newest_first = (row.started_at.desc(), row.id.desc())
        by_order = row.select().where(row.order_id == text).order_by(*newest_first).limit(_FEW)
        found = [row_of(each) for each in by_order]
        if found:
            return found
        folded = search_text(text)
        candidates = [row_of(each) for each in _with_line(tables, folded)]
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
    with reading(url, LONGEST_SECONDS) as tables:
        keys = [each.key for each in tables.meta.select()]
    return sorted(key.removeprefix(FOOTAGE_KEY) for key in keys if key.startswith(FOOTAGE_KEY))


def totals(url: str) -> Totals:
    """Count all recordings. Takes a while when there are many: not for every request."""
    with reading(url, LONGEST_SECONDS) as tables:
        row = tables.recordings
        counted: Any = row.select(row.state, fn.COUNT(SQL("*"))).group_by(row.state).tuples()
        by_state = {str(state): int(count) for state, count in counted}
        # Word for word the condition of the index.
        dropped = row.select(fn.SUM(row.dropped)).where(SQL("dropped > 0")).scalar() or 0
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


def _with_line(tables: Tables, folded: str) -> list[Recording]:
    """Rows of which a text may be the order id or the label's text; none if too many may be."""
    row = tables.recordings
    database = row._meta.database
    if is_sqlite(database):
        ids = few_with_line(database, folded)
        if ids is None:
            return []
        line = SQL("instr(char(10) || search_text || char(10), ?) > 0", (f"\n{folded}\n",))
        conditions = [row.id.in_(ids), line]
    elif "\n" in folded:
        conditions = [SQL("search_text LIKE %s", (f"%{escaped_for_like(folded)}%",))]
    else:
        conditions = [SQL(f"({FIRST_LINE} = %s OR {LAST_LINE} = %s)", (folded, folded))]
    found = row.select().where(*conditions).order_by(row.started_at.desc(), row.id.desc())
    rows = list(found.limit(_FEW + 1))
    return rows if len(rows) <= _FEW else []
