"""Makes a disk as it is after the plug was pulled and its cache was lost.

    replay_writes.py LOG DISK MARK

LOG is a device that dm-log-writes has written; DISK gets every write up to MARK that was also
flushed by then. A write that was not flushed is not in the log before the flush that follows it,
so it is lost: a disk with a cache may really do that. The format is that of the kernel's
drivers/md/dm-log-writes.c, version 1.
"""

from __future__ import annotations

import struct
import sys
from pathlib import Path

MAGIC = 0x6A736677736872
SUPER, ENTRY = struct.Struct("<QQQI"), struct.Struct("<QQQQ")
DISCARD, IS_MARK = 4, 8
UNIT = 512
"""Sectors are counted in this many bytes, however large those of the log are."""


def replay(log: Path, disk: Path, mark: str) -> int:
    """Returns how many writes were done. Raises ValueError if there is no such mark."""
    written = 0
    with log.open("rb") as entries, disk.open("r+b", buffering=0) as target:
        magic, _version, count, sector_size = SUPER.unpack(entries.read(SUPER.size))
        if magic != MAGIC:
            raise ValueError(f"{log} is no log of writes")
        place = sector_size
        for _ in range(count):
            entries.seek(place)
            head = entries.read(sector_size)
            sector, sectors, flags, length = ENTRY.unpack_from(head)
            place += sector_size
            if flags & IS_MARK:
                if head[ENTRY.size : ENTRY.size + length].rstrip(b"\0") == mark.encode():
                    return written
                continue
            if flags & DISCARD or not sectors:
                continue
            entries.seek(place)
            target.seek(sector * UNIT)
            target.write(entries.read(sectors * UNIT))
            place += -(-sectors * UNIT // sector_size) * sector_size
            written += 1
    raise ValueError(f"{log} has no mark {mark}")


if __name__ == "__main__":
    print(replay(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]))
