"""Files that are kept out of the way: nothing in them plays, or a mended file took their place.

They lie in one folder beside the footage, under names that hold their recording's id. fsck lists
them; retention takes them away before any video that plays. Nothing here knows the catalogue.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from recorderd.core.model import RecordingId
from recorderd.store.footage import RecordingFiles, give_second_name, sync_folder, translated

RECORDING_ID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""How a recording's id stands in the names of its files."""


@dataclass(frozen=True, slots=True)
class SetAsideFile:
    """One file that was set aside; `recording_id` is None if its name tells of no recording."""

    path: Path
    bytes: int
    recording_id: RecordingId | None


def set_aside(path: Path, folder: Path, *, stays: bool = False) -> Path:
    """Move a file into the folder, never over another one; returns where it lies now.

    With `stays` it keeps its old name, too, until another file takes that: at no instant is
    there none. Only where a file cannot have two names is it moved all the same.
    The new name is on the disk before this returns. May be repeated. Raises StorageError.
    """
    with translated(folder):
        folder.mkdir(mode=0o750, exist_ok=True)
        sync_folder(folder.parent)
        target = next(
            target
            for number in range(1, 10_000)
            if not os.path.lexists(target := folder / f"{path.stem}.{number}{path.suffix}")
            or (stays and target.samefile(path))
        )
        if stays:
            give_second_name(path, target)
        else:
            path.rename(target)
        sync_folder(folder)
        sync_folder(path.parent)
    return target


def set_aside_all(recording_id: RecordingId, files: RecordingFiles, folder: Path) -> list[str]:
    """Set aside what there is of a recording; tells in words of all that ever was.

    Empty files stay. May be repeated after any interruption. Raises StorageError.
    """
    for path in _all_of(files):
        with translated(path):
            if path.exists() and path.stat().st_size:
                set_aside(path, folder)
    return [
        f"{each.path.name} ({each.bytes} bytes)"
        for each in all_in(folder)
        if each.recording_id == recording_id
    ]


def remove_empty(files: RecordingFiles) -> None:
    """Take away those of a recording's files that hold nothing. Raises StorageError."""
    for path in _all_of(files):
        with translated(path):
            if path.exists() and not path.stat().st_size:
                path.unlink()
                sync_folder(path.parent)


def _all_of(files: RecordingFiles) -> tuple[Path, ...]:
    return files.incoming_video, files.video, files.incoming_still, files.still


def all_in(folder: Path) -> list[SetAsideFile]:
    """What is set aside, by name. Raises StorageError."""
    with translated(folder), suppress(FileNotFoundError):
        return sorted(_look_into(folder), key=lambda each: each.path)
    return []


def _look_into(folder: Path) -> Iterator[SetAsideFile]:
    with os.scandir(folder) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):
                if entry.is_file(follow_symlinks=False):
                    found = RECORDING_ID.search(entry.name)
                    recording_id = None if found is None else RecordingId(found[0])
                    yield SetAsideFile(Path(entry.path), entry.stat().st_size, recording_id)
