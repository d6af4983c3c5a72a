"""The newest recordings that meet conditions.

They are looked for in rounds, each of which looks further back than the one before it, until
enough are found. In each round what is rarest leads, of the fragment and the facts that are
asked for, and its rows are looked at. However a row is come upon, it is given only if it meets
all conditions.

Where the index of fragments does not say which of them are the newest (a short fragment in
SQLite, any in PostgreSQL), the first rounds show whether the fragment is rare, and only then
the index is asked.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from operator import itemgetter
from typing import Final

from peewee import Database

from recorderd.store import fragments
from recorderd.store.leads import (
    ByFact,
    ByFragment,
    ByPlan,
    Condition,
    Lead,
    Part,
    Place,
    is_sqlite,
)
from recorderd.store.schema import Recording, Tables, microseconds, stored_text

_EARLIEST: Final = microseconds(datetime.min.replace(tzinfo=UTC))
_LATEST: Final = microseconds(datetime.max.replace(tzinfo=UTC)) + 1
_FIRST_ROUND: Final = 16
"""For each row that is wanted so many are looked at in the first round."""
_GROWTH: Final = 8
_RARE: Final = 400
"""What not even one of so many rows holds is quicker found by an index of fragments."""
_ALL: Final = Condition("TRUE")


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
    ids = [place.id for place in _places(database, wanted, limit)] if limit > 0 else []
    return list(row.select().where(row.id.in_(ids)).order_by(row.started_at.desc(), row.id.desc()))


def escaped_for_like(text: str) -> str:
    """A text as a pattern of LIKE on PostgreSQL, in which all characters mean themselves."""
    return re.sub(r"([\\%_])", r"\\\1", text)


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
    find = "instr" if is_sqlite(database) else "strpos"
    return Condition(f"{find}(recordings.search_text, ?) > 0", (fragment,))


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


def _places(database: Database, wanted: Wanted, limit: int) -> list[Place]:
    facts = _facts(wanted)
    conditions = [*facts, *_others(database, wanted)]
    leads: list[Lead] = [ByFact(database, fact) for fact in facts if len(fact.values) < 2]
    untried = wanted.fragment
    if wanted.order is not None:
        leads, untried = [ByFact(database, _order(wanted.order))], ""
    is_rare = is_sqlite(database) and fragments.is_indexed(untried)
    found: list[Place] = []
    below, count = wanted.below, limit * _FIRST_ROUND
    while len(found) < limit and wanted.low < below:
        if untried and is_rare:
            leads = _with_fragment(database, untried, facts, leads)
            untried = ""
        in_round = leads or [ByFact(database, _ALL)]
        part, lead = Part(wanted.low, count, below), in_round[0]
        if untried or len(in_round) > 1 or not is_sqlite(database):
            part, lead = _rarest(in_round, part)
        found_now = lead.find(part, conditions, limit - len(found))
        is_rare = len(found_now) * _RARE < count
        found += found_now
        below, count = part.low, count * _GROWTH
    return found


def _rarest(leads: Sequence[Lead], wanted: Part) -> tuple[Part, Lead]:
    """What leads furthest back within so many rows, and the part of time that it leads through."""
    count = wanted.rows
    reaches: list[tuple[Part, Lead]] = []
    for lead in leads:
        part = lead.reach(wanted.low, wanted.below, count)
        reaches.append((part, lead))
        # What leads to all with fewer need not be compared with more.
        count = part.rows
        if count == 0:
            break
    return min(reaches, key=itemgetter(0))


def _with_fragment(
    database: Database, fragment: str, facts: Sequence[Condition], leads: list[Lead]
) -> list[Lead]:
    if not is_sqlite(database):
        return [ByPlan(database, _like(fragment) or facts)]
    expression = fragments.expression(database, fragment)
    return leads if expression is None else [*leads, ByFragment(database, expression, facts)]


def _like(fragment: str) -> list[Condition]:
    """The condition for which PostgreSQL asks its index of trigrams; none if it has none of them.

    Then it would read all of the index. pg_trgm takes trigrams of words and the blanks around
    them (https://www.postgresql.org/docs/current/pgtrgm.html).
    """
    if re.search(r"[a-z0-9]{3}|[a-z0-9]{2}[ -/:]|[ -/:][a-z0-9]{2}", fragment) is None:
        return []
    return [Condition("search_text LIKE ?", (f"%{escaped_for_like(fragment)}%",))]
