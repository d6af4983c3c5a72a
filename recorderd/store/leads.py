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
    f"SELECT started_at, id FROM recordings WHERE {{fact}} AND {_IN_SPAN} AND {{checks}}"
    " ORDER BY started_at DESC, id DESC LIMIT ?"
)
_BY_PLAN: Final = (
    "WITH meeting AS MATERIALIZED ("
    f"SELECT started_at, id FROM recordings WHERE {_IN_SPAN} AND {{checks}})"
    " SELECT started_at, id FROM meeting ORDER BY started_at DESC, id DESC LIMIT ?"
)
_SPANS: Final = (
    f"SELECT {SPAN_BEGIN} AS moment FROM recording_fragments WHERE {MATCHING}"
    " ORDER BY rowid DESC LIMIT ?"
)
# SQLite keeps the order of a cross join. What has a plus before it is checked without an index.
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


class Lead(Protocol):
    """One way. All moments are microseconds since 1970 UTC."""

    def reach(self, low: int, below: int, count: int) -> tuple[int, int]:
        """The moment down to which it leads to `count` rows, and how many they are.

        If it leads to fewer that started in `low` <= start < `below`, the moment is `low`. Rows
        that are quicker to look at than others count less.
        """

    def find(
        self, low: int, below: int, conditions: Sequence[Condition], limit: int
    ) -> list[Place]:
        """The newest rows of the span that meet all conditions, newest first."""


@dataclass(frozen=True, slots=True)
class ByFact:
    """Through an index of rows that have something in common, in the order of their start."""

    database: Database
    fact: Condition

    def reach(self, low: int, below: int, count: int) -> tuple[int, int]:
        values = (*self.fact.values, low, below, count)
        return _reach(self.database, _STARTS.format(fact=self.fact.sql), values, low)

    def find(
        self, low: int, below: int, conditions: Sequence[Condition], limit: int
    ) -> list[Place]:
        checks = _checks(self.database, conditions)
        sql = _BY_FACT.format(fact=self.fact.sql, checks=checks)
        values = (*self.fact.values, low, below, *values_of(conditions), limit)
        return [Place(*found) for found in execute(self.database, sql, values)]


@dataclass(frozen=True, slots=True)
class ByFragment:
    """Through SQLite's index of fragments; `expression` is what it is asked.

    Rows near which no recording has all the `facts` are passed over: that is seen in an index
    of facts, while each row has to be read from a place of its own.
    """

    database: Database
    expression: str
    facts: Sequence[Condition]

    def reach(self, low: int, below: int, count: int) -> tuple[int, int]:
        values = (*matching(self.expression, low, below), count * _ENTRIES_PER_ROW)
        moment, entries = _reach(self.database, _SPANS, values, low)
        return moment, entries // _ENTRIES_PER_ROW

    def find(
        self, low: int, below: int, conditions: Sequence[Condition], limit: int
    ) -> list[Place]:
        facts = " AND ".join(fact.sql for fact in self.facts)
        near = _NEAR.format(facts=facts) if facts else "TRUE"
        sql = _BY_FRAGMENT.format(near=near, checks=_checks(self.database, conditions))
        matched = matching(self.expression, low, below)
        rows = execute(
            self.database,
            sql,
            (*matched, *values_of(self.facts), low, below, *values_of(conditions)),
        )
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
    """Through whatever indexes a server thinks best for all rows that meet a condition.

    Asked for the newest ones it might walk back through all others until it has met them, which
    takes long if they are old.
    """

    database: Database
    condition: Condition

    def reach(self, low: int, below: int, count: int) -> tuple[int, int]:  # noqa: ARG002
        return low, 0

    def find(
        self, low: int, below: int, conditions: Sequence[Condition], limit: int
    ) -> list[Place]:
        met = [self.condition, *conditions]
        sql = _BY_PLAN.format(checks=_checks(self.database, met))
        found = execute(self.database, sql, (low, below, *values_of(met), limit))
        return [Place(*each) for each in found]


def _reach(database: Database, moments: str, values: Sequence[Any], low: int) -> tuple[int, int]:
    """The last of the moments, or `low` if they are not as many as the last value asks for."""
    sql = f"SELECT min(moment), count(*) FROM ({moments}) AS moments"
    moment, count = execute(database, sql, values).fetchone()
    return (max(low, moment) if count == values[-1] else low), count


def _span(place: Place) -> int:
    return place.started_at_us // SPAN_US


def _checks(database: Database, conditions: Sequence[Condition]) -> str:
    no_index = "+" if is_sqlite(database) else ""
    return " AND ".join(f"{no_index}({each.sql})" for each in conditions) or "TRUE"


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
