"""The SHA-256 of a finished file."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

_CHUNK_BYTES = 4_000_000


def unwatched(_fraction: float) -> None:
    """Nobody wants to know how far a job is."""


def fingerprint(
    path: Path, pause: Callable[[], bool], moves: Callable[[float], None] = unwatched
) -> str | None:
    """Hash a file (FIPS 180-4), hexadecimal; None if `pause` asked to drop the work.

    `pause` is called between chunks and may wait; `moves` is told what fraction is done.
    What was read is not kept in memory by the kernel: hours of footage would push out what the
    station needs. Raises OSError.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        offset, size = 0, os.fstat(file.fileno()).st_size
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
            os.posix_fadvise(file.fileno(), offset, len(chunk), os.POSIX_FADV_DONTNEED)
            offset += len(chunk)
            moves(offset / max(size, 1))
            if pause():
                return None
    return digest.hexdigest()
