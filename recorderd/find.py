"""`recorderd find`: where an order's videos are."""

from __future__ import annotations

import dataclasses
import json as json_format
import unicodedata
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from recorderd.settings import Settings
from recorderd.store.catalogue import SYNCHRONISED
from recorderd.store.reader import DEFAULT_LIMIT, RecordingRow, find
from recorderd.terminal import escaped

_WIDEST_ORDER: Final = 40
_HEADINGS: Final = ("order", "take", "when", "length", "why it stopped", "state", "flags", "file")


def run_find(settings: Settings, text: str, json: bool) -> int:
    """Print the recordings whose order id or label text contains `text`, newest first.

    Returns 0 if there are any, else 1. Raises CatalogueError.
    """
    rows = find(settings.database_url, text, DEFAULT_LIMIT + 1)
    shown = rows[:DEFAULT_LIMIT]
    if json:
        print(json_format.dumps([_document(settings, row) for row in shown], indent=2))
    elif shown:
        print("\n".join(_table([_HEADINGS, *(_cells(settings, row) for row in shown)])))
        if len(rows) > DEFAULT_LIMIT:
            print(f"These are the first {DEFAULT_LIMIT}; give more of the order id to see others.")
    else:
        print(f"No recording has '{escaped(text)}' in its order id or label.")
    return 0 if shown else 1


def _document(settings: Settings, row: RecordingRow) -> dict[str, Any]:
    """A row for programs: times in ISO 8601 UTC, `file` absolute or null if it is not here."""
    document = {
        key: value.isoformat() if isinstance(value, datetime) else value
        for key, value in dataclasses.asdict(row).items()
    }
    file = _file(settings, row)
    return document | {"file": str(file) if file.exists() else None}


def _cells(settings: Settings, row: RecordingRow) -> tuple[str, ...]:
    file = _file(settings, row)
    return (
        _cut(escaped(row.order_id)),
        f"{row.take}" if row.part == 1 else f"{row.take}, part {row.part}",
        f"{row.started_at.astimezone():%Y-%m-%d %H:%M:%S}",
        "-" if row.duration_ms is None else _length(row.duration_ms),
        row.stop_reason or "-",
        row.state if row.problem is None else f"{row.state}: {_cut(escaped(row.problem))}",
        ", ".join(_flags(row)) or "-",
        str(file) if file.exists() else f"not on this disk: {row.path}",
    )


def _file(settings: Settings, row: RecordingRow) -> Path:
    return settings.footage_folder / row.path


def _flags(row: RecordingRow) -> list[str]:
    marks = [name for name in ("flagged", "held", "void") if getattr(row, name)]
    if row.dropped:
        marks.append(f"{row.dropped} pictures missing")
    if row.recovered and row.missing_ms != 0:
        lost = row.missing_ms
        much = "an unknown time" if lost is None else f"at most {lost / 1000:.1f} s"
        marks.append(f"{much} missing at the end")
    if row.clock != SYNCHRONISED:
        marks.append(f"clock {row.clock}")
    return marks


def _length(duration_ms: int) -> str:
    minutes, seconds = divmod(round(duration_ms / 1000), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def _cut(text: str) -> str:
    return text if len(text) <= _WIDEST_ORDER else text[: _WIDEST_ORDER - 1] + "…"


def _table(lines: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(_width(cell) for cell in column) for column in zip(*lines, strict=True)]
    return [
        "  ".join(
            cell + " " * (width - _width(cell)) for cell, width in zip(line, widths, strict=True)
        ).rstrip()
        for line in lines
    ]


def _width(text: str) -> int:
    """Columns a text takes in a terminal: two for wide East Asian characters, none for marks."""
    return sum(
        0
        if unicodedata.combining(character)
        else 1 + (unicodedata.east_asian_width(character) in "WF")
        for character in text
    )
