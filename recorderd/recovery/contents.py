"""Whether the finished files still hold what was hashed when they were new."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from recorderd.finisher.fingerprint import CHUNK_BYTES, fingerprint
from recorderd.settings import Settings
from recorderd.store.consistency import Finding, Kind, hash_of, hashed

Progress = Callable[[int, int], object]
"""Told how many bytes of how many were read."""


def changed_contents(
    settings: Settings, footage_id: str | None, progress: Progress
) -> Iterator[Finding]:
    """Read every hashed file of a disk, once, without filling the memory with it.

    A file that is not there is named elsewhere. Raises CatalogueError.
    """
    rows = hashed(settings.database_url, footage_id)
    total = sum(_size(settings.footage_folder / path) for _, _, path, _ in rows)
    before = within = 0

    def go_on() -> bool:
        nonlocal within
        within += CHUNK_BYTES
        progress(min(before + within, total - 1), total)
        return False

    for recording_id, order_id, stored, sha256 in rows:
        path = settings.footage_folder / stored
        try:
            found = fingerprint(path, go_on)
        except FileNotFoundError:
            continue
        except OSError as error:
            detail = f"it cannot be read: {error.strerror}"
            yield Finding(Kind.OTHER_CONTENT, path, recording_id, order_id, detail)
            continue
        before, within = before + _size(path), 0
        if found is None or found.sha256 == sha256:
            continue
        # The finisher may have put another file there just now.
        if hash_of(settings.database_url, recording_id) == sha256:
            detail = f"SHA-256 {found.sha256}, {sha256} in the catalogue"
            yield Finding(Kind.OTHER_CONTENT, path, recording_id, order_id, detail)
    progress(total, total)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
