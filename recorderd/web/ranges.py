"""Which part of a file is asked for: Range, If-Range and their kin (RFC 9110)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Final

MOST_PARTS: Final = 16
"""A list of more ranges is ignored, as section 14.2 allows: nobody seeks like that."""
_RANGE: Final = re.compile(r"(\d{0,18})-(\d{0,18})")


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes `start` to `end`, both included."""

    start: int
    end: int

    @property
    def count(self) -> int:
        return self.end - self.start + 1


@dataclass(frozen=True, slots=True)
class Validators:
    """What tells one version of a file from another."""

    etag: str
    modified: datetime

    @classmethod
    def of(cls, inode: int, modified_ns: int, size: int) -> Validators:
        seconds = modified_ns // 1_000_000_000
        return cls(f'"{inode:x}-{modified_ns:x}-{size:x}"', datetime.fromtimestamp(seconds, UTC))

    @property
    def last_modified(self) -> str:
        return format_datetime(self.modified, usegmt=True)


def parts(header: str | None, size: int) -> list[Part] | None:
    """Read a Range header for a file of `size` bytes.

    None: answer with the whole file (no, malformed or unwise ranges). Empty: 416.
    """
    if header is None:
        return None
    unit, equals, text = header.partition("=")
    if unit.strip().lower() != "bytes" or not equals:
        return None
    found: list[Part] = []
    specified = [each.strip() for each in text.split(",") if each.strip()]
    if not specified or len(specified) > MOST_PARTS:
        return None
    for each in specified:
        match = _RANGE.fullmatch(each)
        if match is None or each == "-":
            return None
        first, last = match.groups()
        if first and last and int(last) < int(first):
            return None
        start = int(first) if first else max(0, size - int(last))
        end = min(int(last), size - 1) if first and last else size - 1
        if start <= end:
            found.append(Part(start, end))
    if sum(part.count for part in found) > size:
        return None
    return found


def range_counts(if_range: str | None, validators: Validators) -> bool:
    """Whether the file is still the one the client has a piece of (section 13.1.5)."""
    if if_range is None:
        return True
    if_range = if_range.strip()
    if if_range.startswith(('"', "W/")):
        return if_range == validators.etag
    return _date(if_range) == validators.modified


def precondition(
    validators: Validators,
    *,
    if_match: str | None,
    if_none_match: str | None,
    if_modified_since: str | None,
    if_unmodified_since: str | None,
) -> int | None:
    """The status that answers instead of the file, 304 or 412; None to go on (13.2.2)."""
    if if_match is not None:
        if not _lists(if_match, validators.etag, weak=False):
            return 412
    elif if_unmodified_since is not None:
        date = _date(if_unmodified_since)
        if date is not None and validators.modified > date:
            return 412
    if if_none_match is not None:
        return 304 if _lists(if_none_match, validators.etag, weak=True) else None
    date = _date(if_modified_since) if if_modified_since is not None else None
    return 304 if date is not None and validators.modified <= date else None


def _lists(header: str, etag: str, *, weak: bool) -> bool:
    if header.strip() == "*":
        return True
    return any(
        (tag.removeprefix("W/") if weak else tag) == etag
        for tag in re.findall(r'(?:W/)?"[^"]*"', header)
    )


def _date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except (TypeError, ValueError, OverflowError):
        return None
    return date.replace(tzinfo=UTC) if date.tzinfo is None else date
