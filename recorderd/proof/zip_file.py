"""A zip of files as they are (stored, not compressed), whose every byte is known beforehand.

Written by hand because Python's zipfile needs to write a file to know it: the staff pages send
such a zip without making one, and tell its length first. Source: APPNOTE.TXT 6.3.10 of PKWARE.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, TypeAlias

_LIMIT_32: Final = 0xFFFFFFFF
_LIMIT_16: Final = 0xFFFF
_VERSION: Final = 20
_VERSION_64: Final = 45
_UNIX: Final = 3
_MODE: Final = 0o100644


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of the zip. `name` is ASCII; `contents` its bytes, or where they lie."""

    name: str
    contents: bytes | Path
    size: int
    crc32: int

    @classmethod
    def of(cls, name: str, contents: bytes) -> Entry:
        return cls(name, contents, len(contents), zlib.crc32(contents))


@dataclass(frozen=True, slots=True)
class FilePart:
    """A whole file that stands in the zip as it is."""

    path: Path
    size: int


Piece: TypeAlias = bytes | FilePart


def pieces_of(entries: Iterable[Entry], moment: datetime) -> list[Piece]:
    """The zip as bytes and files, in order. All entries carry `moment`, in its own zone."""
    pieces: list[Piece] = []
    directory: list[bytes] = []
    offset = 0
    date, clock = _dos_time(moment)
    for entry in entries:
        name = entry.name.encode("ascii")
        large = entry.size >= _LIMIT_32
        extra = _extra([entry.size, entry.size] if large else [])
        size = _LIMIT_32 if large else entry.size
        common = struct.pack(
            "<HHHHHLLLH",
            _VERSION_64 if large else _VERSION,
            0,
            0,
            clock,
            date,
            entry.crc32,
            size,
            size,
            len(name),
        )
        head = b"PK\3\4" + common + struct.pack("<H", len(extra)) + name + extra
        directory.append(_directory_entry(entry, name, common, offset))
        pieces.append(head)
        pieces.append(
            entry.contents
            if isinstance(entry.contents, bytes)
            else FilePart(entry.contents, entry.size)
        )
        offset += len(head) + entry.size
    pieces.append(b"".join(directory) + _end(len(directory), sum(map(len, directory)), offset))
    return list(_joined(pieces))


def size_of(pieces: Sequence[Piece]) -> int:
    """How long the zip is."""
    return sum(len(piece) if isinstance(piece, bytes) else piece.size for piece in pieces)


def _directory_entry(entry: Entry, name: bytes, common: bytes, offset: int) -> bytes:
    large = [entry.size, entry.size] if entry.size >= _LIMIT_32 else []
    far = [offset] if offset >= _LIMIT_32 else []
    extra = _extra(large + far)
    made_by = struct.pack("<BB", _VERSION_64 if extra else _VERSION, _UNIX)
    needed = struct.pack("<H", _VERSION_64) if extra else common[:2]
    rest = struct.pack("<HHHHLL", len(extra), 0, 0, 0, _MODE << 16, _LIMIT_32 if far else offset)
    return b"PK\1\2" + made_by + needed + common[2:] + rest + name + extra


def _extra(values: list[int]) -> bytes:
    """The field with what does not fit into 32 bits (4.5.3)."""
    if not values:
        return b""
    return struct.pack(f"<HH{len(values)}Q", 1, 8 * len(values), *values)


def _end(count: int, size: int, offset: int) -> bytes:
    end = struct.pack(
        "<4sHHHHLLH",
        b"PK\5\6",
        0,
        0,
        min(count, _LIMIT_16),
        min(count, _LIMIT_16),
        min(size, _LIMIT_32),
        min(offset, _LIMIT_32),
        0,
    )
    if count < _LIMIT_16 and size < _LIMIT_32 and offset < _LIMIT_32:
        return end
    end_64 = struct.pack(
        "<4sQHHLLQQQQ",
        b"PK\6\6",
        44,
        _UNIX << 8 | _VERSION_64,
        _VERSION_64,
        0,
        0,
        count,
        count,
        size,
        offset,
    )
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, offset + size, 1)
    return end_64 + locator + end


def _dos_time(moment: datetime) -> tuple[int, int]:
    year = min(max(moment.year, 1980), 2107)
    return (
        (year - 1980) << 9 | moment.month << 5 | moment.day,
        moment.hour << 11 | moment.minute << 5 | moment.second // 2,
    )


def _joined(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """The same with neighbouring bytes in one piece."""
    waiting = b""
    for piece in pieces:
        if isinstance(piece, bytes):
            waiting += piece
            continue
        yield waiting
        waiting = b""
        yield piece
    yield waiting
