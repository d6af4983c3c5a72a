"""A file that only takes up room, so that there is some when the disk is full to the last byte.

To delete a video, the catalogue has to be written first; a database on a full disk cannot even
be opened. Then the ballast goes, retention makes room, and the ballast is made anew.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

BYTES: Final = 4_000_000
"""Enough for SQLite's shared memory and some hundred commits."""
_FULL_BELOW: Final = 1_000_000
_PLENTY: Final = 5 * BYTES


def look_after(folder: Path) -> None:
    """Make the ballast where there is plenty of room, or let it go where there is none.

    Errors do not matter: it is tried again at the next look.
    """
    file = folder / "ballast"
    with suppress(OSError):
        disk = os.statvfs(folder)
        free_bytes = disk.f_bavail * disk.f_frsize
        if free_bytes < _FULL_BELOW:
            file.unlink(missing_ok=True)
        elif free_bytes >= _PLENTY and not file.exists():
            _make(file)


def _make(file: Path) -> None:
    half_made = file.with_suffix(".new")
    descriptor = os.open(half_made, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(descriptor, 0, BYTES)
    finally:
        os.close(descriptor)
    half_made.replace(file)
