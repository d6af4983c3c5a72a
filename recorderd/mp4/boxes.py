"""The outermost boxes of an MP4 file (ISO/IEC 14496-12): is it closed, and can it be reopened?"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO


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
    while True:
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


class Beginning(io.RawIOBase):
    """A file up to a certain place, as if it ended there. Used by one thread."""

    def __init__(self, file: BinaryIO, end: int) -> None:
        super().__init__()
        self._file = file
        self._end = end

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        left = max(0, self._end - self._file.tell())
        return self._file.read(left if size < 0 else min(size, left))

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence == os.SEEK_END:
            return self._file.seek(self._end + offset)
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()


def fragment_places(path: Path) -> list[int]:
    """Where the fragments behind the first one begin, in bytes. Raises OSError."""
    with path.open("rb") as file:
        return [box.place for box in boxes(file) if box.kind == b"moof"]


def reopen(path: Path) -> bool:
    """Undo a closing that was cut off: the index of the whole file is lost, those of the
    fragments are still in it. True if that is how the file was.

    FFmpeg closes a hybrid MP4 by putting all fragments into one `mdat` box, whose header it writes
    over a `free` box at the beginning, and then writes the index behind it. So that box begins
    with the `ftyp` and `moov` boxes of the fragmented file. Raises OSError.
    """
    with path.open("r+b") as file:
        box = next((box for box in boxes(file) if box.kind == b"mdat"), None)
        if box is None:
            return False
        inner = boxes(file, box.place + box.header)
        inner_type, inner_index = next(inner, None), next(inner, None)
        if inner_type is None or inner_type.kind != b"ftyp":
            return False
        if inner_index is None or inner_index.kind != b"moov":
            return False
        covered = inner_index.place - box.place
        file.seek(box.place)
        file.write(covered.to_bytes(4, "big") + b"free")
        file.flush()
        os.fdatasync(file.fileno())
        return True
