"""`recorderd bench search`: how fast an order is found among many, beside plain SQL.

The catalogue is made up, on the disk, by the same schema as a station's. Each search is asked
as the staff pages ask it: whether the text names one order in full, and the page of the newest
recordings. Plain SQL with LIKE is asked the same of the same file, and must find the same. What
a recording costs the station to enter is measured, too, beside an empty catalogue.
"""

from __future__ import annotations

import json
import sqlite3
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Final, ParamSpec, TypeVar

from recorderd.bench import entering, processes
from recorderd.bench.large_file import PARENT
from recorderd.bench.made_up import make_catalogue
from recorderd.bench.questions import Kind, found_plainly, kinds
from recorderd.bench.report import Comparison, machine, number, table
from recorderd.errors import InvariantViolationError
from recorderd.store.search import orders_exactly, search

GOAL_MS: Final = 20.0
_ROWS_OF_A_PAGE: Final = 25
_COMPARED: Final = 3
"""So many searches of a kind are asked in plain SQL, which takes long."""
_MILLISECONDS: Final = 1000
_HEADING: Final = (
    *("looked for", "found", "page: ms", "worst", "named: ms", "worst"),
    *("plain SQL: ms", "quicker"),
)

_P = ParamSpec("_P")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Figures:
    """What searches of one kind took, in milliseconds.

    `page_ms` is one page of each search; `named_ms` whether its text names one order; `ours_ms`
    and `plain_ms` the same few pages by us and in plain SQL; `found` how many rows the pages had.
    """

    name: str
    has_goal: bool
    found: tuple[int, ...]
    page_ms: tuple[float, ...]
    named_ms: tuple[float, ...]
    ours_ms: tuple[float, ...]
    plain_ms: tuple[float, ...]

    @property
    def times_quicker(self) -> float | None:
        """How many times as long plain SQL takes."""
        ratios = [plain / ours for plain, ours in zip(self.plain_ms, self.ours_ms, strict=True)]
        return median(ratios) if ratios else None

    @property
    def missed(self) -> bool:
        """Whether the median is above the goal."""
        medians = [median(times) for times in (self.page_ms, self.named_ms) if times]
        return self.has_goal and max(medians) > GOAL_MS

    def document(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "searches": len(self.page_ms),
            "found_median": median(self.found),
            "page_ms": _summary(self.page_ms),
            "named_ms": _summary(self.named_ms),
            "plain_sql_ms": _summary(self.plain_ms),
            "times_quicker": self.times_quicker,
            "goal_ms": GOAL_MS if self.has_goal else None,
            "missed": self.missed,
        }

    def cells(self) -> tuple[str, ...]:
        quicker = self.times_quicker
        return (
            self.name,
            f"{median(self.found):g}",
            *_cells(self.page_ms),
            *_cells(self.named_ms),
            number(median(self.plain_ms)) if self.plain_ms else "-",
            "-" if quicker is None else f"{number(quicker)} x",
            "no goal" if not self.has_goal else "missed" if self.missed else "reached",
        )


@dataclass(frozen=True, slots=True)
class Result:
    rows: int
    file_bytes: int
    made_in_seconds: float
    figures: list[Figures]
    entering: list[Comparison]

    @property
    def exit_code(self) -> int:
        """1 if a goal was missed."""
        return int(any(each.missed for each in self.figures))

    def document(self) -> dict[str, Any]:
        return {
            "benchmark": "search",
            "machine": machine(),
            "rows": self.rows,
            "file_bytes": self.file_bytes,
            "made_in_seconds": self.made_in_seconds,
            "searches": [each.document() for each in self.figures],
            "entering": [each.document() for each in self.entering],
        }


def run(rows: int, as_json: bool) -> int:
    """Measure and print. Returns the exit code: 1 if a goal was missed, else 0.

    Takes two or three minutes with a million rows, and 2 GB of disk. Raises CatalogueError;
    InvariantViolationError if plain SQL finds something else.
    """
    processes.end_with_what_was_started()
    with TemporaryDirectory(prefix="recorderd-bench-", dir=PARENT) as folder:
        result = _measure(Path(folder), rows, lambda text: print(text, file=sys.stderr, flush=True))
    print(json.dumps(result.document(), indent=2) if as_json else shown(result))
    return result.exit_code


def shown(result: Result) -> str:
    """The figures for people."""
    heading = [*_HEADING, f"goal: {GOAL_MS:g} ms"]
    lines = [heading, *(each.cells() for each in result.figures)]
    entered = ("", "among so many", "in an empty one", "ratio", "in the rounds", "goal")
    return "\n\n".join(
        (
            f"A catalogue of {result.rows} recordings, {result.file_bytes / 1e6:.0f} MB; medians.\n"
            f"page: the {_ROWS_OF_A_PAGE} newest; named: whether the text names one order in full.",
            table(lines),
            "To enter a recording, synced:",
            table([entered, *(each.cells() for each in result.entering)]),
        )
    )


def _measure(folder: Path, count: int, say: Callable[[str], None]) -> Result:
    file = folder / "catalogue.db"
    begun = time.monotonic()
    rows = make_catalogue(file, count, say)
    made_in_seconds = time.monotonic() - begun
    say("Searching")
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
        url = f"sqlite:///{file}"
        figures = [_figures(url, connection, kind) for kind in kinds(rows, count)]
    say("Entering recordings")
    compared = entering.compared(file, folder / "empty.db")
    return Result(count, file.stat().st_size, made_in_seconds, figures, compared)


def _figures(url: str, connection: sqlite3.Connection, kind: Kind) -> Figures:
    pages, names, ours, plain = [], [], [], []
    found: list[int] = []
    for index, asked in enumerate(kind.searches):
        if asked.text and kind.after is None:
            names.append(_timed(orders_exactly, url, asked.text)[1])
        page, page_ms = _timed(search, url, asked, kind.after, _ROWS_OF_A_PAGE)
        pages.append(page_ms)
        found.append(len(page.rows))
        if kind.is_compared and index < _COMPARED:
            ids, plain_ms = _timed(found_plainly, connection, asked, kind.after, _ROWS_OF_A_PAGE)
            if ids != [row.id for row in page.rows]:
                raise InvariantViolationError(f"Plain SQL finds something else: {asked}")
            ours.append(page_ms)
            plain.append(plain_ms)
    return Figures(
        kind.name,
        kind.has_goal,
        tuple(found),
        *(tuple(times) for times in (pages, names, ours, plain)),
    )


def _timed(do: Callable[_P, _T], *arguments: _P.args, **named: _P.kwargs) -> tuple[_T, float]:
    begun = time.perf_counter()
    result = do(*arguments, **named)
    return result, (time.perf_counter() - begun) * _MILLISECONDS


def _summary(times: Sequence[float]) -> dict[str, float] | None:
    return {"median": median(times), "worst": max(times)} if times else None


def _cells(times: Sequence[float]) -> tuple[str, str]:
    return (number(median(times)), number(max(times))) if times else ("-", "-")
