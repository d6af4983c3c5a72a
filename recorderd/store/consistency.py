"""Whether catalogue and footage agree: each row has its file, each file its row."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from recorderd.core.model import RecordingState
from recorderd.settings import Settings
from recorderd.store.footage import MARKER_NAME, still_path, thumbnail_path
from recorderd.store.reader import reading

_KEPT: Final = (
    RecordingState.CAPTURED,
    RecordingState.SAVED,
    RecordingState.RECOVERED,
    RecordingState.DAMAGED,
)
"""States of a row whose video lies in its final place."""


class Kind(StrEnum):
    """What can be found, as the command prints it and programs read it."""

    MISSING = "video missing"
    OTHER_SIZE = "other size"
    UNREADABLE = "not readable"
    NOT_FINISHED = "not finished"
    NOT_DELETED = "not deleted"
    WITHOUT_ROW = "without a row"
    LEFT_OVER = "left over"


REMEDIES: Final = {
    Kind.MISSING: "Look for it on other disks and in backups; its name holds the recording's id",
    Kind.OTHER_SIZE: "Somebody has changed or cut off the file: put it back from a backup",
    Kind.UNREADABLE: "Give the footage folder to the user the service runs as, e.g. with chown -R",
    Kind.NOT_FINISHED: "Start the station: it saves what is there of the video",
    Kind.NOT_DELETED: "Start the station's helpers (recorderd finish)",
    Kind.WITHOUT_ROW: "It is no video of this station's catalogue: move it to another place",
    Kind.LEFT_OVER: "Start the station: it saves what can be saved; what stays can be moved away",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be; `path` is absolute."""

    kind: Kind
    path: Path
    recording_id: str | None = None
    order_id: str | None = None
    detail: str = ""

    @property
    def remedy(self) -> str:
        return REMEDIES[self.kind]


@dataclass(frozen=True, slots=True)
class _Row:
    id: str
    order_id: str
    state: str
    path: str
    bytes: int | None


class Comparison:
    """Looks at every row of one disk and at every file; changes nothing.

    Iterate over it for what is found; afterwards `rows` and `files` say how many were looked
    at. May be used while all services run: what a station is recording (`being_recorded`) is
    passed over. Iterating raises CatalogueError, OSError.
    """

    def __init__(self, settings: Settings, footage_id: str | None, being_recorded: bool) -> None:
        self._settings = settings
        self._footage_id = footage_id
        self._being_recorded = being_recorded
        self.rows = 0
        self.files = 0

    def __iter__(self) -> Iterator[Finding]:
        # Files first: what is published in between has a row by then.
        sizes = dict(_files_below(self._settings.footage_folder))
        incoming = dict(_files_below(self._settings.incoming_folder))
        rows = _rows(self._settings.database_url, self._footage_id)
        self.rows, self.files = len(rows), len(sizes) + len(incoming)
        expected: set[str] = {MARKER_NAME}
        for row in rows:
            video = self._settings.footage_folder / row.path
            for path in (video, still_path(video), thumbnail_path(video)):
                expected.add(str(path.relative_to(self._settings.footage_folder)))
            yield from self._look_at(row, video, sizes.get(row.path))
        yield from self._without_row(sizes, expected)
        if not self._being_recorded:
            unfinished = {row.id for row in rows if row.state == RecordingState.RECORDING}
            yield from self._left_over(incoming, unfinished)

    def _look_at(self, row: _Row, video: Path, size: int | None) -> Iterator[Finding]:
        def found(kind: Kind, detail: str = "") -> Finding:
            return Finding(kind, video, row.id, row.order_id, detail)

        if row.state == RecordingState.RECORDING:
            if not self._being_recorded:
                yield found(Kind.NOT_FINISHED)
        elif row.state == RecordingState.DELETING:
            yield found(Kind.NOT_DELETED)
        elif row.state in _KEPT:
            if size is None or size != row.bytes:
                # A look of its own: the finisher may have put another file there just now.
                size = _size(video)
            if size is None:
                yield found(Kind.MISSING)
            elif row.bytes is not None and size != row.bytes:
                yield found(Kind.OTHER_SIZE, f"{size} bytes, {row.bytes} in the catalogue")
            elif not os.access(video, os.R_OK):
                yield found(Kind.UNREADABLE)

    def _without_row(self, sizes: Iterable[str], expected: set[str]) -> Iterator[Finding]:
        for name in sorted(set(sizes) - expected):
            # The finisher's files in the making lie beside the finished ones for a moment.
            if (self._settings.footage_folder / name).exists():
                yield Finding(Kind.WITHOUT_ROW, self._settings.footage_folder / name)

    def _left_over(self, incoming: Iterable[str], unfinished: set[str]) -> Iterator[Finding]:
        for name in sorted(incoming):
            path = self._settings.incoming_folder / name
            if path.stem not in unfinished:
                yield Finding(Kind.LEFT_OVER, path)


def _rows(url: str, footage_id: str | None) -> list[_Row]:
    with reading(url) as tables:
        row = tables.recordings
        columns = (row.id, row.order_id, row.state, row.path, row.bytes)
        on_this_disk = (
            row.footage_id.is_null() if footage_id is None else (row.footage_id == footage_id)
        )
        query = row.select(*columns).where(on_this_disk).order_by(row.started_at, row.id)
        return [_Row(*values) for values in query.tuples().iterator()]


def footage_id_of(settings: Settings) -> str | None:
    """The disk that this station's footage lies on. Raises CatalogueError."""
    with reading(settings.database_url) as tables:
        key = f"footage_id of {settings.station.name}"
        row = tables.meta.get_or_none(tables.meta.key == key)
        return None if row is None else str(row.value)


def _files_below(folder: Path) -> Iterator[tuple[str, int]]:
    """Each file's path below the folder, and its size; links are not followed."""
    waiting = [folder]
    while waiting:
        with suppress(FileNotFoundError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(Path(entry.path))
                else:
                    with suppress(FileNotFoundError):
                        size = entry.stat(follow_symlinks=False).st_size
                        yield os.path.relpath(entry.path, folder), size


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None
