"""Files that FFmpeg has left open."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection
from pathlib import Path


def close_left_open(file: os.stat_result | None, but: Collection[int] = ()) -> None:
    """Close every descriptor of this process for the file, except those. Never raises.

    PyAV (18.1) opens a file with its first packet; if the header cannot be written then, nothing
    ever closes it (measured: a full or failing disk). A disk of which one file is open cannot be
    taken out, and one that was mounted anew is still the old one. Only for files that nobody else
    in this process has open.
    """
    if file is None:
        return
    with contextlib.suppress(OSError):
        for entry in list(Path("/proc/self/fd").iterdir()):
            descriptor = int(entry.name)
            with contextlib.suppress(OSError):
                found = os.fstat(descriptor)
                is_it = (found.st_dev, found.st_ino) == (file.st_dev, file.st_ino)
                if is_it and descriptor not in but:
                    os.close(descriptor)


def look(path: Path) -> os.stat_result | None:
    """Which file is there, None if there is none or it cannot be told."""
    with contextlib.suppress(OSError):
        return path.stat()
    return None
