"""SQLite's index of fragments: which recordings may hold a piece of text, newest first.

The table `recording_fragments` and the numbers of its rows are described in `schema.py`. What
it names is a little too much, never too little: whoever asks looks at the rows themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from peewee import Database

_TRIGRAM: Final = 3
_WHOLE: Final = 10
"""Fragments up to this long are looked for as they are. Of longer ones the rarest piece is looked
for: each trigram of a common beginning would cost a walk through all rows that have it."""
_PIECE: Final = 8
_MOST_PIECES: Final = 12
_RARE: Final = 1000
_FEW: Final = 1000
_MOST_TRIGRAMS: Final = 80
"""What begins more trigrams than this is so common that a walk from the newest row meets it."""
_LAST: Final = "\U0010ffff" * _TRIGRAM
_SPAN_BITS: Final = 26
_NUMBER_BITS: Final = 15

MATCHING: Final = (
    "recording_fragments MATCH ?"
    " AND recording_fragments.rowid >= ? AND recording_fragments.rowid < ?"
)
"""The condition on a row of the index; its values are given by `matching`."""
SPAN_BEGIN: Final = f"(recording_fragments.rowid >> {_NUMBER_BITS} << {_SPAN_BITS})"
"""When the recording of a row started, or up to `SPAN_US` earlier; microseconds since 1970."""
SPAN_US: Final = 1 << _SPAN_BITS
_NEXT: Final = "SELECT term FROM recording_trigrams WHERE term >= {} AND term < ? LIMIT 1"
# From one trigram to the next: the table has a row for each place where one occurs.
_TRIGRAMS: Final = (
    f"WITH RECURSIVE known (term) AS (SELECT ({_NEXT.format('?')}) UNION ALL"  # noqa: S608
    f" SELECT ({_NEXT.format('known.term || char(1)')}) FROM known WHERE term IS NOT NULL)"
    " SELECT term FROM known WHERE term IS NOT NULL LIMIT ?"
)
_IDS: Final = "SELECT id FROM recording_fragments WHERE recording_fragments MATCH ? LIMIT ?"
_NTH_NEWEST: Final = (
    "SELECT rowid FROM recording_fragments WHERE recording_fragments MATCH ?"
    " ORDER BY rowid DESC LIMIT 1 OFFSET ?"
)


def is_indexed(fragment: str) -> bool:
    """Whether the index can be asked for a fragment as it is."""
    return len(fragment) >= _TRIGRAM


def expression(database: Database, fragment: str) -> str | None:
    """What the index is asked, in the language of FTS5, for rows that hold a folded fragment.

    None if the fragment is too short and too common.
    """
    if is_indexed(fragment):
        return _rarest_piece(database, fragment)
    end = fragment + _LAST
    found = _rows(database, _TRIGRAMS, (fragment, end, end, _MOST_TRIGRAMS + 1))
    if len(found) > _MOST_TRIGRAMS:
        return None
    return " OR ".join(_phrase(trigram) for (trigram,) in found) or _phrase("")


def matching(asked: str, low: int, below: int) -> tuple[str, int, int]:
    """The values of `MATCHING` for rows that started in `low` <= start < `below`.

    Others that started up to a minute before or after are matched, too.
    """
    first, last = low >> _SPAN_BITS, below - 1 >> _SPAN_BITS
    return asked, first << _NUMBER_BITS, last + 1 << _NUMBER_BITS


def few_with_line(database: Database, text: str) -> list[str] | None:
    """The ids of rows that may have a folded text as their order id or as their label's text.

    None if there are more than a thousand.
    """
    line = _rarest_piece(database, f"\n{text}\n")
    found = _rows(database, _IDS, (line, _FEW + 1))
    return None if len(found) > _FEW else [recording_id for (recording_id,) in found]


def _rarest_piece(database: Database, text: str) -> str:
    """The phrase that fewest rows have, as far as the newest ones show."""
    if len(text) <= _WHOLE:
        return _phrase(text)
    # The end of a text varies most.
    step = max(_PIECE - _TRIGRAM + 1, len(text) // _MOST_PIECES)
    ends = range(len(text), _TRIGRAM - 1, -step)
    rarest, reach = "", None
    for piece in (_phrase(text[max(0, end - _PIECE) : end]) for end in ends):
        found = _rows(database, _NTH_NEWEST, (piece, _RARE))
        if not found:
            return piece
        if reach is None or found[0] < reach:
            rarest, reach = piece, found[0]
    return rarest


def _phrase(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _rows(database: Database, sql: str, values: Sequence[Any]) -> list[Any]:
    found: list[Any] = database.execute_sql(sql, values).fetchall()  # type: ignore[no-untyped-call]
    return found
