"""The SHA-256 of a finished file, and the check sum that a zip with it needs."""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

CHUNK_BYTES = 4_000_000


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What a file's bytes come to: SHA-256 (FIPS 180-4), hexadecimal, and CRC-32."""

    sha256: str
    crc32: int


def unwatched(_fraction: float) -> None:
    """Nobody wants to know how far a job is."""


def fingerprint(
    path: Path, pause: Callable[[], bool], moves: Callable[[float], None] = unwatched
) -> Fingerprint | None:
    """Read a file; None if `pause` asked to drop the work.

    `pause` is called between chunks and may wait; `moves` is told what fraction is done.
    What was read is not kept in memory by the kernel: hours of footage would push out what the
    station needs. Raises OSError.
    """
    digest, crc32 = hashlib.sha256(), 0
    with path.open("rb") as file:
        offset, size = 0, os.fstat(file.fileno()).st_size
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
            crc32 = zlib.crc32(chunk, crc32)
            os.posix_fadvise(file.fileno(), offset, len(chunk), os.POSIX_FADV_DONTNEED)
            offset += len(chunk)
            moves(offset / max(size, 1))
            if pause():
                return None
    return Fingerprint(digest.hexdigest(), crc32)
