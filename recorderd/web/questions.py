"""Reading what a request asks for: dates, cursors, filters."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final

from recorderd.core.model import RecordingState
from recorderd.store.search import Cursor, Search
from recorderd.web.problems import ProblemError

LONGEST_TEXT: Final = 512
MOST_ROWS: Final = 200
CURSOR_PATTERN: Final = r"(-?[0-9]{1,17})\.([0-9a-f-]{36})"
_CURSOR: Final = re.compile(CURSOR_PATTERN)
YES: Final = {"1": True, "true": True, "on": True, "": False, "0": False, "false": False}


@dataclass(frozen=True, slots=True)
class Question:
    """A search, from which row on, and how many rows."""

    search: Search
    after: Cursor | None
    limit: int | None

    @property
    def names_an_order(self) -> bool:
        """Whether a text and nothing else is asked for: it may be an order's whole number."""
        text = self.search.text
        return bool(text) and self.after is None and self.search == Search(text=text)


def read_question(query: Mapping[str, str]) -> Question:
    """Read the query of a search; what is empty is not asked for. Raises ProblemError."""
    text = _text(query, "q")
    state = _text(query, "state")
    if state and state not in {known.value for known in RecordingState}:
        raise _bad("state", "one of " + ", ".join(known.value for known in RecordingState))
    flagged = YES.get(_text(query, "flagged").lower())
    if flagged is None:
        raise _bad("flagged", "1 or 0")
    search = Search(
        text=text,
        order=_text(query, "order") or None,
        begin=_moment(query, "from", day_ends=False),
        end=_moment(query, "to", day_ends=True),
        station=_text(query, "station") or None,
        flagged=flagged,
        states=(state,) if state else (),
    )
    return Question(search, _cursor(query), _limit(query))


def written(cursor: Cursor) -> str:
    """A cursor as it stands in an address."""
    return f"{cursor.started_at_us}.{cursor.id}"


def _text(query: Mapping[str, str], name: str) -> str:
    text = query.get(name, "").strip()
    if len(text) > LONGEST_TEXT:
        raise _bad(name, f"at most {LONGEST_TEXT} characters")
    return text


def _moment(query: Mapping[str, str], name: str, *, day_ends: bool) -> datetime | None:
    """A moment, or a whole day in the station's own time zone."""
    text = _text(query, name)
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text.replace(" ", "+"))
        if len(text) <= len("2026-07-04"):
            if day_ends:
                moment += timedelta(days=1)
            return _beginning_of(moment.date())
        return moment.astimezone()
    except (ValueError, OverflowError, OSError):
        raise _bad(name, "a day such as 2026-07-04, or a moment in ISO 8601") from None


def _beginning_of(day: date) -> datetime:
    """The first moment of a day; where the clocks change at midnight there are two, or none."""
    midnight = datetime.combine(day, time())
    both = (midnight.replace(fold=fold).astimezone() for fold in (0, 1))
    return min(moment for moment in both if moment.date() == day)


def _cursor(query: Mapping[str, str]) -> Cursor | None:
    text = _text(query, "cursor")
    if not text:
        return None
    match = _CURSOR.fullmatch(text)
    if match is None:
        raise _bad("cursor", "what the page before gave")
    return Cursor(int(match[1]), match[2])


def _limit(query: Mapping[str, str]) -> int | None:
    text = _text(query, "limit")
    if not text:
        return None
    if not re.fullmatch(r"\d{1,6}", text, re.ASCII) or not 1 <= int(text) <= MOST_ROWS:
        raise _bad("limit", f"a number from 1 to {MOST_ROWS}")
    return int(text)


def _bad(name: str, expected: str) -> ProblemError:
    return ProblemError(400, "That cannot be searched for", f"'{name}' must be {expected}.")
