"""Ways to come upon recordings, newest first, without reading many others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol

from peewee import Database, SqliteDatabase

from recorderd.store.fragments import MATCHING, SPAN_BEGIN, SPAN_US, matching

# ruff: noqa: S608 - SQL is put together from pieces that are all written here
_IN_SPAN: Final = "started_at >= ? AND started_at < ?"
_STARTS: Final = (
    f"SELECT started_at AS moment FROM recordings WHERE {{fact}} AND {_IN_SPAN}"
    " ORDER BY started_at DESC LIMIT ?"
)
_BY_FACT: Final = (
    f"SELECT started_at, id FROM recordings WHERE {{facts}} AND {_IN_SPAN} AND {{checks}}"
    " ORDER BY started_at DESC, id DESC LIMIT ?"
)
_BY_IDS: Final = (
    "SELECT started_at, id FROM recordings"
    f" WHERE id = ANY (ARRAY(SELECT id FROM recordings WHERE {{facts}} AND {_IN_SPAN}))"
    " AND {checks} ORDER BY started_at DESC, id DESC LIMIT ?"
)
_BY_PLAN: Final = (
    "WITH meeting AS MATERIALIZED ("
    f"SELECT started_at, id FROM recordings WHERE {{facts}} AND {_IN_SPAN} AND {{checks}})"
    " SELECT started_at, id FROM meeting ORDER BY started_at DESC, id DESC LIMIT ?"
)
_SPANS: Final = (
    f"SELECT {SPAN_BEGIN} AS moment FROM recording_fragments WHERE {MATCHING}"
    " ORDER BY rowid DESC LIMIT ?"
)
# SQLite keeps the order of a cross join, and asks no index for what has a plus before it.
_BY_FRAGMENT: Final = (
    "SELECT started_at, recordings.id FROM recording_fragments"
    " CROSS JOIN recordings ON recordings.id = recording_fragments.id"
    f" WHERE {MATCHING} AND {{near}} AND +started_at >= ? AND +started_at < ? AND {{checks}}"
    " ORDER BY recording_fragments.rowid DESC"
)
_NEAR: Final = (
    f"EXISTS (SELECT 1 FROM recordings WHERE {{facts}}"
    f" AND started_at >= {SPAN_BEGIN} AND started_at < {SPAN_BEGIN} + {SPAN_US})"
)
_FEW: Final = 1000
_ENTRIES_PER_ROW: Final = 2
"""Entries of indexes that can be passed in the time it takes to read a row."""


class Place(NamedTuple):
    """Where a recording stands in the order of their start; microseconds since 1970 UTC."""

    started_at_us: int
    id: str


@dataclass(frozen=True, slots=True)
class Condition:
    """What rows of the table `recordings` must meet, as SQL with `?` for each value."""

    sql: str
    values: tuple[Any, ...] = ()


class Part(NamedTuple):
    """A stretch of time, from `low` on and before `below`, and how many rows a lead has there.

    Moments are microseconds since 1970 UTC. Rows that are quick to look at count less.
    """

    low: int
    rows: int
    below: int


class Lead(Protocol):
    """One way."""

    def reach(self, low: int, below: int, count: int) -> Part:
        """The last part of a stretch in which it leads to `count` rows; all of it if to fewer."""

    def find(self, part: Part, conditions: Sequence[Condition], limit: int) -> list[Place]:
        """The newest rows of a part that meet all conditions, newest first."""


@dataclass(frozen=True, slots=True)
class ByFact:
    """Through an index of rows that have something in common, in the order of their start."""

    database: Database
    fact: Condition

    def reach(self, low: int, below: int, count: int) -> Part:
        values = (*self.fact.values, low, below, count)
        return _reach(self.database, _STARTS.format(fact=self.fact.sql), values, low, below)

    def find(self, part: Part, conditions: Sequence[Condition], limit: int) -> list[Place]:
        checks = _checks(self.database, conditions)
        sql = self._form(part).format(facts=self.fact.sql, checks=checks)
        values = (*self.fact.values, part.low, part.below, *values_of(conditions), limit)
        return [Place(*found) for found in execute(self.database, sql, values)]

    def _form(self, part: Part) -> str:
        if is_sqlite(self.database):
            return _BY_FACT
        # Facts have to do with starts, what was deleted is old, but a server knows that not: it
        # would walk back through all starts.
        return _BY_IDS if part.rows <= _FEW else _BY_PLAN


@dataclass(frozen=True, slots=True)
class ByFragment:
    """Through SQLite's index of fragments; `expression` is what it is asked.

    Rows near which no recording has all the `facts` are passed over: that is seen in an index
    of facts, while each row has to be read from a place of its own.
    """

    database: Database
    expression: str
    facts: Sequence[Condition]

    def reach(self, low: int, below: int, count: int) -> Part:
        values = (*matching(self.expression, low, below), count * _ENTRIES_PER_ROW)
        part = _reach(self.database, _SPANS, values, low, below)
        return part._replace(rows=part.rows // _ENTRIES_PER_ROW)

    def find(self, part: Part, conditions: Sequence[Condition], limit: int) -> list[Place]:
        facts = " AND ".join(fact.sql for fact in self.facts)
        near = _NEAR.format(facts=facts) if facts else "TRUE"
        sql = _BY_FRAGMENT.format(near=near, checks=_checks(self.database, conditions))
        values = (
            *matching(self.expression, part.low, part.below),
            *values_of(self.facts),
            part.low,
            part.below,
            *values_of(conditions),
        )
        rows = execute(self.database, sql, values)
        found: list[Place] = []
        for row in rows:
            place = Place(*row)
            # Within a span of the index they come in any order.
            if len(found) >= limit and _span(place) < _span(found[-1]):
                break
            found.append(place)
        rows.close()
        return sorted(found, reverse=True)[:limit]


@dataclass(frozen=True, slots=True)
class ByPlan:
    """Through whatever indexes a server thinks best for all rows that meet some conditions.

    Asked for the newest ones it might walk back through all others until it has met them, which
    takes long if they are old.
    """

    database: Database
    facts: Sequence[Condition]

    def reach(self, low: int, below: int, count: int) -> Part:  # noqa: ARG002
        return Part(low, 0, below)

    def find(self, part: Part, conditions: Sequence[Condition], limit: int) -> list[Place]:
        facts = " AND ".join(fact.sql for fact in self.facts) or "TRUE"
        sql = _BY_PLAN.format(facts=facts, checks=_checks(self.database, conditions))
        values = (*values_of(self.facts), part.low, part.below, *values_of(conditions), limit)
        return [Place(*found) for found in execute(self.database, sql, values)]


def _reach(database: Database, moments: str, values: Sequence[Any], low: int, below: int) -> Part:
    """As far as the last of the moments; all if they are not as many as the last value says."""
    sql = f"SELECT min(moment), count(*) FROM ({moments}) AS moments"
    moment, count = execute(database, sql, values).fetchone()
    return Part(max(low, moment) if count == values[-1] else low, count, below)


def _span(place: Place) -> int:
    return place.started_at_us // SPAN_US


def _checks(database: Database, conditions: Sequence[Condition]) -> str:
    """All conditions, so that no index is used for them."""
    form = "+({})" if is_sqlite(database) else "({}) IS TRUE"
    return " AND ".join(form.format(condition.sql) for condition in conditions) or "TRUE"


def is_sqlite(database: Database) -> bool:
    """Whether it is a file, not a server."""
    return isinstance(database, SqliteDatabase)


def values_of(conditions: Sequence[Condition]) -> list[Any]:
    """The values of all conditions, in their order."""
    return [value for condition in conditions for value in condition.values]


def execute(database: Database, sql: str, values: Sequence[Any]) -> Any:
    """Run SQL with `?` for each value on either database; returns its cursor."""
    return database.execute_sql(  # type: ignore[no-untyped-call]
        sql.replace("?", database.param), values
    )
