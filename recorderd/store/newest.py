"""The newest recordings that meet conditions.

A PostgreSQL server plans itself how to find them. SQLite is led, in rounds: of the fragment and
the facts that are asked for, what is rarest in the time just before leads, and its rows are
looked at. Each round looks further back than the one before it, until enough is found. However
a row is come upon, it is given only if it meets all conditions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from operator import itemgetter
from typing import Final

from peewee import Database, SqliteDatabase

from recorderd.store import fragments
from recorderd.store.leads import (
    ByFact,
    ByFragment,
    Condition,
    Lead,
    Place,
    execute,
    values_of,
)
from recorderd.store.schema import Recording, Tables, microseconds, stored_text

_EARLIEST: Final = microseconds(datetime.min.replace(tzinfo=UTC))
_LATEST: Final = microseconds(datetime.max.replace(tzinfo=UTC)) + 1
_FIRST_ROUND: Final = 16
"""For each row that is wanted so many are looked at in the first round."""
_GROWTH: Final = 8
_ALL: Final = Condition("1")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What recordings shall have; what is None or empty does not matter.

    `fragment` is folded. They start in `low` <= start < `below`, in microseconds since 1970
    UTC, and come after the place `after`.
    """

    fragment: str = ""
    order: str | None = None
    not_order: str | None = None
    station: str | None = None
    flagged: bool = False
    states: tuple[str, ...] = ()
    low: int = _EARLIEST
    below: int = _LATEST
    after: Place | None = None


def newest(tables: Tables, wanted: Wanted, limit: int) -> list[Recording]:
    """Find at most `limit` recordings, newest first. Raises what the database raises."""
    row = tables.recordings
    database = row._meta.database
    if wanted.after is not None:
        wanted = replace(wanted, below=min(wanted.below, wanted.after.started_at_us + 1))
    find = _lead_to if _is_sqlite(database) else _ask_for
    ids = [place.id for place in find(database, wanted, limit)] if limit > 0 else []
    return list(row.select().where(row.id.in_(ids)).order_by(row.started_at.desc(), row.id.desc()))


def escaped_for_like(text: str) -> str:
    """A text as a pattern of LIKE on PostgreSQL, in which all characters mean themselves."""
    return re.sub(r"([\\%_])", r"\\\1", text)


def _is_sqlite(database: Database) -> bool:
    return isinstance(database, SqliteDatabase)


def _facts(wanted: Wanted) -> list[Condition]:
    """The conditions on what the indexes hold."""
    facts = []
    if wanted.station is not None:
        facts.append(Condition("station = ?", (stored_text(wanted.station),)))
    if wanted.flagged:
        # Word for word the condition of the index.
        facts.append(Condition("flagged"))
    if len(wanted.states) == 1:
        facts.append(Condition("state = ?", wanted.states))
    elif wanted.states:
        marks = ", ".join("?" for _ in wanted.states)
        facts.append(Condition(f"state IN ({marks})", wanted.states))
    return facts


def _holds(database: Database, fragment: str) -> Condition:
    if _is_sqlite(database):
        return Condition("instr(recordings.search_text, ?) > 0", (fragment,))
    return Condition("search_text LIKE ?", (f"%{escaped_for_like(fragment)}%",))


def _order(order: str) -> Condition:
    return Condition("order_id = ?", (stored_text(order),))


def _others(database: Database, wanted: Wanted) -> list[Condition]:
    others = []
    if wanted.order is not None:
        others.append(_order(wanted.order))
    if wanted.fragment:
        others.append(_holds(database, wanted.fragment))
    if wanted.not_order is not None:
        others.append(Condition("order_id <> ?", (stored_text(wanted.not_order),)))
    if wanted.after is not None:
        moment, recording_id = wanted.after
        others.append(
            Condition(
                "(started_at < ? OR started_at = ? AND recordings.id < ?)",
                (moment, moment, recording_id),
            )
        )
    return others


def _ask_for(database: Database, wanted: Wanted, limit: int) -> list[Place]:
    span = Condition("started_at >= ? AND started_at < ?", (wanted.low, wanted.below))
    conditions = [*_facts(wanted), *_others(database, wanted), span]
    where, values = " AND ".join(condition.sql for condition in conditions), values_of(conditions)
    sql = (
        f"SELECT started_at, id FROM recordings WHERE {where}"  # noqa: S608 - values are bound
        " ORDER BY started_at DESC, id DESC LIMIT ?"
    )
    return [Place(*found) for found in execute(database, sql, (*values, limit))]


def _lead_to(database: Database, wanted: Wanted, limit: int) -> list[Place]:
    facts = _facts(wanted)
    conditions = [*facts, *_others(database, wanted)]
    leads: list[Lead] = [ByFact(database, fact) for fact in facts if len(fact.values) < 2]
    untried = wanted.fragment
    if wanted.order is not None:
        leads, untried = [ByFact(database, _order(wanted.order))], ""
    found: list[Place] = []
    below, count = wanted.below, limit * _FIRST_ROUND
    while len(found) < limit and wanted.low < below:
        if untried and (fragments.is_indexed(untried) or below < wanted.below):
            expression = fragments.expression(database, untried)
            if expression is not None:
                leads.append(ByFragment(database, expression, facts))
            untried = ""
        low, in_round = wanted.low, leads or [ByFact(database, _ALL)]
        lead = in_round[0]
        if untried or len(in_round) > 1:
            reaches = [(each.reach(low, below, count), each) for each in in_round]
            (low, _), lead = min(reaches, key=itemgetter(0))
        found += lead.find(low, below, conditions, limit - len(found))
        below, count = low, count * _GROWTH
    return found
