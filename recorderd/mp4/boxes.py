"""The outermost boxes of an MP4 file (ISO/IEC 14496-12): is it closed, and can it be reopened?"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO


@dataclass(frozen=True, slots=True)
class Box:
    """Where a box lies in its file, in bytes; `size` counts its `header` too."""

    kind: bytes
    place: int
    header: int
    size: int

    @property
    def end(self) -> int:
        return self.place + self.size


def boxes(file: BinaryIO, place: int = 0) -> Iterator[Box]:
    """The boxes one after another from `place` on, until one is not to be read.

    The last one may reach beyond the end of the file.
    """
    # A damaged size leads anywhere: the system refuses to go to a place that no file can have.
    while place < file.seek(0, os.SEEK_END):
        file.seek(place)
        beginning = file.read(16)
        size, kind, header = int.from_bytes(beginning[:4], "big"), beginning[4:8], 8
        if size == 1:
            size, header = int.from_bytes(beginning[8:], "big"), 16
        if len(beginning) < header or size < header:
            return
        yield Box(kind, place, header, size)
        place += size


def is_closed(path: Path) -> bool:
    """Whether this is an ordinary MP4: one index for all, nothing cut off, no fragments.

    Raises OSError.
    """
    with path.open("rb") as file:
        found = list(boxes(file))
        kinds = [box.kind for box in found]
        whole = bool(found) and found[-1].end == os.fstat(file.fileno()).st_size
        return whole and b"moov" in kinds and b"moof" not in kinds


@dataclass(frozen=True, slots=True)
class Patch:
    """Other bytes for those that stand in a file at this place."""

    place: int
    content: bytes


class Beginning(io.RawIOBase):
    """A file up to a certain place, as if it ended there and were patched. Used by one thread."""

    def __init__(self, file: BinaryIO, end: int, patch: Patch | None = None) -> None:
        super().__init__()
        self._file = file
        self._end = end
        self._patch = patch

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        place = self._file.tell()
        left = max(0, self._end - place)
        found = self._file.read(left if size < 0 else min(size, left))
        if self._patch is None:
            return found
        begin = max(place, self._patch.place)
        end = min(place + len(found), self._patch.place + len(self._patch.content))
        if begin >= end:
            return found
        middle = self._patch.content[begin - self._patch.place : end - self._patch.place]
        return found[: begin - place] + middle + found[end - place :]

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence == os.SEEK_END:
            return self._file.seek(self._end + offset)
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()


def fragment_places(path: Path, patch: Patch | None = None) -> list[int]:
    """Where the fragments behind the first one begin, in bytes. Raises OSError."""
    with path.open("rb") as file:
        patched: Any = Beginning(file, os.fstat(file.fileno()).st_size, patch)
        return [box.place for box in boxes(patched) if box.kind == b"moof"]


def reopen(path: Path) -> bool:
    """Undo a closing that was cut off, in the file itself. True if that is how the file was.

    Raises OSError.
    """
    patch = closing_undone(path)
    if patch is None:
        return False
    with path.open("r+b") as file:
        file.seek(patch.place)
        file.write(patch.content)
        file.flush()
        os.fdatasync(file.fileno())
    return True


def closing_undone(path: Path) -> Patch | None:
    """What to write to undo a closing that was cut off: the index of the whole file is lost,
    those of the fragments are still in it. None if that is not how the file is.

    FFmpeg closes a hybrid MP4 by putting all fragments into one `mdat` box, whose header it writes
    over a `free` box at the beginning, and then writes the index behind it. So that box begins
    with the `ftyp` and `moov` boxes of the fragmented file. Raises OSError.
    """
    with path.open("rb") as file:
        box = next((box for box in boxes(file) if box.kind == b"mdat"), None)
        if box is None:
            return None
        inner = boxes(file, box.place + box.header)
        inner_type, inner_index = next(inner, None), next(inner, None)
        if inner_type is None or inner_type.kind != b"ftyp":
            return None
        if inner_index is None or inner_index.kind != b"moov":
            return None
        covered = inner_index.place - box.place
        return Patch(box.place, covered.to_bytes(4, "big") + b"free")
