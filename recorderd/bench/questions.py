"""What is looked for in a made-up catalogue, and plain SQL that answers the same."""

from __future__ import annotations

import random
import re
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from recorderd.bench.made_up import BEGIN, LENGTH, RETURNS, STATIONS
from recorderd.core.model import RecordingState
from recorderd.store.schema import microseconds, search_text
from recorderd.store.search import Cursor, Search

_SEED: Final = 1
_TEXTS: Final = 30
_FEWER: Final = 5
_NOBODY: Final = ("nobody", "SO-SO-SO", "99999999", "RMA-1999", "https://parcelz")
_NOBODY_SHORT: Final = ("!", "ü", "%", "!!", "--", "_")


@dataclass(frozen=True, slots=True)
class Kind:
    """Searches of one kind. `is_compared`: plain SQL is asked, too; `has_goal`: must be quick."""

    name: str
    searches: Sequence[Search]
    after: Cursor | None = None
    is_compared: bool = False
    has_goal: bool = True


def kinds(rows: Sequence[dict[str, Any]], count: int) -> list[Kind]:
    """All kinds of searches; `rows` are some of the catalogue's `count` recordings."""
    chance = random.Random(_SEED)
    addresses = [row["label_text"] for row in rows if row["label_text"] != row["order_id"]]

    def digits(length: int) -> Callable[[], str]:
        return lambda: "".join(chance.choices("0123456789", k=length))

    def piece(texts: Sequence[str], shortest: int, longest: int) -> Callable[[], str]:
        def cut() -> str:
            text, length = chance.choice(texts), chance.randint(shortest, longest)
            begin = chance.randrange(max(1, len(text) - length))
            return chance.choice((str.upper, str))(text[begin : begin + length])

        return cut

    def month() -> dict[str, Any]:
        begin = BEGIN + LENGTH * chance.random()
        return {"begin": begin, "end": begin + timedelta(days=30)}

    def many(text: Callable[[], str], **facts: Any) -> list[Search]:
        return [Search(text(), **facts) for _ in range(_TEXTS)]

    def each(*texts: str, **facts: Any) -> list[Search]:
        return [Search(text, **facts) for text in texts]

    four, order_ids = digits(4), [row["order_id"] for row in rows]
    oldest = [f"SO-{number:07}"[: -len(str(number))] for number in (count // 1000, count // 100)]
    middle = Cursor(microseconds(BEGIN + LENGTH / 2), "f")
    return [
        Kind("the newest", [Search()] * _FEWER),
        Kind("the newest, a page of long ago", [Search()] * _FEWER, middle),
        Kind("a whole order id", many(lambda: chance.choice(order_ids)), is_compared=True),
        Kind("a whole label", many(lambda: chance.choice(addresses))),
        Kind("3 digits", many(digits(3))),
        Kind("4 digits", many(four), is_compared=True),
        Kind("5 digits", many(digits(5))),
        Kind("6 digits", many(digits(6)), is_compared=True),
        Kind("4 to 8 characters of an order id", many(piece(order_ids, 4, 8))),
        Kind("6 to 30 characters of a web address", many(piece(addresses, 6, 30))),
        Kind("what most have", each("SO-", "SO-0", "o-")),
        Kind("what most have, a page of long ago", each("SO-", "SO-0", "o-"), middle),
        Kind("what only the oldest have", each(*oldest), is_compared=True),
        Kind("what nobody has", each(*_NOBODY), is_compared=True),
        Kind("1 character", each(*"0159SRz/")),
        Kind("2 characters", many(piece(order_ids, 2, 2))),
        Kind("1 or 2 characters nobody has", each(*_NOBODY_SHORT), is_compared=True),
        Kind("30 days", [Search(**month()) for _ in range(_TEXTS)]),
        Kind("4 digits in 30 days", [Search(four(), **month()) for _ in range(_TEXTS)]),
        Kind("marked", [Search(flagged=True)] * _FEWER),
        Kind("4 digits, marked", many(four, flagged=True), is_compared=True),
        Kind("2 digits, marked", many(digits(2), flagged=True)),
        Kind("each state", [Search(states=(state.value,)) for state in RecordingState]),
        Kind("4 digits, damaged", many(four, states=("damaged",)), is_compared=True),
        Kind("4 digits, deleted", many(four, states=("deleted",))),
        Kind("each station", [Search(station=station) for station in STATIONS]),
        Kind("4 digits, one station", many(four, station=STATIONS[0])),
        Kind("damaged, marked, one station", [_RAREST] * _FEWER),
        # Both are common and never meet, which only looking at all of one of them can show.
        Kind(
            "what another station packs",
            each("SO-", "SO-0", station=RETURNS) + each("RMA-", station=STATIONS[0]),
            is_compared=True,
            has_goal=False,
        ),
    ]


_RAREST: Final = Search(flagged=True, states=("damaged",), station=STATIONS[0])


def found_plainly(
    connection: sqlite3.Connection, asked: Search, after: Cursor | None, limit: int
) -> list[str]:
    """The ids of what a search finds, by the SQL that one would write first."""
    pattern = re.sub(r"([\\%_])", r"\\\1", search_text(asked.text))
    conditions: list[tuple[str, tuple[Any, ...]]] = [
        ("search_text LIKE ? ESCAPE '\\'", (f"%{pattern}%",))
    ]
    if asked.begin is not None:
        conditions.append(("started_at >= ?", (microseconds(asked.begin),)))
    if asked.end is not None:
        conditions.append(("started_at < ?", (microseconds(asked.end),)))
    if asked.station is not None:
        conditions.append(("station = ?", (asked.station,)))
    if asked.flagged:
        conditions.append(("flagged", ()))
    conditions += [("state = ?", (state,)) for state in asked.states]
    if after is not None:
        conditions.append(("(started_at, id) < (?, ?)", (after.started_at_us, after.id)))
    where = " AND ".join(sql for sql, _ in conditions)
    rows = connection.execute(
        f"SELECT * FROM recordings WHERE {where}"  # noqa: S608 - all values are bound
        " ORDER BY started_at DESC, id DESC LIMIT ?",
        [*(value for _, values in conditions for value in values), limit],
    )
    return [row[0] for row in rows]
