"""Whether catalogue and footage agree: each row has its file, each file its row."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

from recorderd.core.model import RecordingState
from recorderd.settings import Settings
from recorderd.store.footage import MARKER_NAME, id_of_half_encoded
from recorderd.store.reader import reading
from recorderd.store.schema import FOOTAGE_KEY
from recorderd.store.set_aside import RECORDING_ID

KEPT: Final = (
    RecordingState.CAPTURED,
    RecordingState.SAVED,
    RecordingState.RECOVERED,
    RecordingState.DAMAGED,
)
"""States of a row whose video lies in its final place."""

_UNFINISHED: Final = (RecordingState.RECORDING, RecordingState.CAPTURED)

Progress = Callable[[int, int], object]
"""Told now and then how many recordings of how many were looked at."""


class Kind(StrEnum):
    """What can be found, as the command prints it and programs read it."""

    MISSING = "video missing"
    OTHER_SIZE = "other size"
    OTHER_CONTENT = "other content"
    UNREADABLE = "not readable"
    NOT_FINISHED = "not finished"
    NOT_DELETED = "not deleted"
    FOUND_AGAIN = "found again"
    WITHOUT_ROW = "without a row"
    LEFT_OVER = "left over"


_REPAIR: Final = "stop the station and run 'recorderd fsck --repair'"
REMEDIES: Final = {
    Kind.MISSING: "Look for it on other disks and in backups, its name holds the recording's id; "
    f"then {_REPAIR}",
    Kind.OTHER_SIZE: "Somebody has changed or cut off the file: put it back from a backup, or "
    f"{_REPAIR}, which saves what still plays",
    Kind.OTHER_CONTENT: "The file was changed after it was hashed, or the disk is failing: put it "
    "back from a backup and check the disk",
    Kind.UNREADABLE: f"Give it to the user the service runs as, or {_REPAIR}",
    Kind.NOT_FINISHED: f"Start the station: it saves what is there of the video; or {_REPAIR}",
    Kind.NOT_DELETED: f"Start the station's helpers (recorderd finish), or {_REPAIR}",
    Kind.FOUND_AGAIN: f"It was given up as lost and is there: {_REPAIR}",
    Kind.WITHOUT_ROW: f"If it is a recording, {_REPAIR}; else move it to another place",
    Kind.LEFT_OVER: f"Start the station: it saves what can be saved. If it stays, {_REPAIR}",
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


@dataclass(frozen=True, slots=True)
class _Seen:
    size: int
    readable: bool


@dataclass(slots=True)
class _Folder:
    """All files below a folder, by their path in it."""

    root: Path
    files: dict[str, _Seen] = field(default_factory=dict)
    closed: list[str] = field(default_factory=list)
    """Folders that the service cannot look into, with a slash at the end."""

    def hides(self, path: str) -> bool:
        return any(path.startswith(folder) for folder in self.closed)


class Comparison:
    """Looks at every row of one disk and at every file; changes nothing.

    Iterate over it for what is found; afterwards `rows` and `files` say how many were looked
    at. May be used while all services run: what a station is recording (`being_recorded`) is
    passed over. Iterating raises CatalogueError, OSError.
    """

    def __init__(
        self,
        settings: Settings,
        footage_id: str | None,
        being_recorded: bool,
        progress: Progress = lambda _done, _all: None,
    ) -> None:
        self._settings = settings
        self._footage_id = footage_id
        self._being_recorded = being_recorded
        self._progress = progress
        self._footage = _Folder(settings.footage_folder)
        self._incoming = _Folder(settings.incoming_folder)
        self._by_id: dict[str, list[Path]] | None = None
        self.rows = 0
        self.files = 0

    def __iter__(self) -> Iterator[Finding]:
        # Files first: what is published in between has a row by then.
        self._footage = _look_into(self._settings.footage_folder)
        self._incoming = _look_into(self._settings.incoming_folder)
        self._by_id = None
        for folder in (self._footage, self._incoming):
            for name in folder.closed:
                yield Finding(Kind.UNREADABLE, folder.root / name, detail="the folder")
        files, incoming = self._footage.files, self._incoming.files
        unreadable = {name for name, seen in files.items() if not seen.readable}
        rows = _rows(self._settings.database_url, self._footage_id)
        self.rows, self.files = len(rows), len(files) + len(incoming)
        unclaimed = set(files) - {MARKER_NAME}
        for number, row in enumerate(rows):
            if number % 1000 == 0:
                self._progress(number, len(rows))
            # As `still_path` and `thumbnail_path` do it; a hundred thousand paths take seconds.
            stem = row.path.removesuffix(".mp4")
            unclaimed.difference_update((row.path, f"{stem}.jpg", f"{stem}.thumb.jpg"))
            for finding in self._look_at(row, files.get(row.path)):
                if finding.kind is Kind.UNREADABLE:
                    unreadable.discard(row.path)
                yield finding
        yield from self._unreadable(self._footage.root, unreadable)
        self._progress(len(rows), len(rows))
        yield from self._without_row(unclaimed)
        if not self._being_recorded:
            unfinished = {row.id for row in rows if row.state == RecordingState.RECORDING}
            yield from self._left_over(incoming, unfinished)
            closed = {name for name, seen in incoming.items() if not seen.readable}
            yield from self._unreadable(self._incoming.root, closed)

    @property
    def closed_folders(self) -> bool:
        """Whether there are folders that could not be looked into; after iterating."""
        return bool(self._footage.closed or self._incoming.closed)

    def videos_of(self, recording_id: str) -> list[Path]:
        """All videos, wherever they lie, whose name holds this id; after iterating.

        Not those that are being encoded: one may hold no more than a part of the recording.
        """
        if self._by_id is None:
            self._by_id = {}
            for folder in (self._footage, self._incoming):
                for name in folder.files:
                    is_video = name.endswith(".mp4") and id_of_half_encoded(name) is None
                    found = RECORDING_ID.search(name) if is_video else None
                    if found is not None:
                        self._by_id.setdefault(found[0], []).append(folder.root / name)
        return self._by_id.get(recording_id, [])

    def _look_at(self, row: _Row, seen: _Seen | None) -> Iterator[Finding]:
        def found(kind: Kind, detail: str = "") -> Finding:
            video = self._settings.footage_folder / row.path
            return Finding(kind, video, row.id, row.order_id, detail)

        if row.state in _UNFINISHED and not self._being_recorded:
            yield found(Kind.NOT_FINISHED)
        elif row.state == RecordingState.DELETING:
            yield found(Kind.NOT_DELETED)
        elif row.state == RecordingState.LOST and seen is not None:
            yield found(Kind.FOUND_AGAIN)
        elif row.state in KEPT and not self._footage.hides(row.path):
            if seen is None or (row.bytes is not None and seen.size != row.bytes):
                # A look of its own: the finisher may have put another file there just now.
                seen = _look(self._settings.footage_folder / row.path, self._footage.root)
            if seen is None:
                yield found(Kind.MISSING)
            elif row.bytes is not None and seen.size != row.bytes:
                yield found(Kind.OTHER_SIZE, f"{seen.size} bytes, {row.bytes} in the catalogue")
            elif not seen.readable:
                yield found(Kind.UNREADABLE)

    def _without_row(self, unclaimed: Iterable[str]) -> Iterator[Finding]:
        for name in sorted(unclaimed):
            # The finisher's files in the making lie beside the finished ones for a moment.
            if (self._settings.footage_folder / name).exists():
                yield Finding(Kind.WITHOUT_ROW, self._settings.footage_folder / name)

    @staticmethod
    def _unreadable(root: Path, names: Iterable[str]) -> Iterator[Finding]:
        for name in sorted(names):
            # A link's own rights say nothing.
            if not (root / name).is_symlink() and (root / name).exists():
                yield Finding(Kind.UNREADABLE, root / name)

    def _left_over(self, incoming: Iterable[str], unfinished: set[str]) -> Iterator[Finding]:
        for name in sorted(incoming):
            path = self._settings.incoming_folder / name
            if path.stem not in unfinished:
                yield Finding(Kind.LEFT_OVER, path)


def hashed(url: str, footage_id: str | None) -> list[tuple[str, str, str, str]]:
    """The id, order, path and SHA-256 of every recording on a disk that has one."""
    with reading(url) as tables:
        row = tables.recordings
        query = row.select(row.id, row.order_id, row.path, row.sha256).where(
            row.footage_id == footage_id if footage_id is not None else row.footage_id.is_null(),
            row.sha256.is_null(False),
            row.state.in_([state.value for state in KEPT]),
        )
        found: list[tuple[str, str, str, str]] = list(
            query.order_by(row.started_at, row.id).tuples().iterator()
        )
        return found


def hash_of(url: str, recording_id: str) -> str | None:
    """The SHA-256 that the catalogue has for a recording now."""
    with reading(url) as tables:
        row = tables.recordings.get_or_none(tables.recordings.id == recording_id)
        return None if row is None else row.sha256


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
        key = FOOTAGE_KEY + settings.station.name
        row = tables.meta.get_or_none(tables.meta.key == key)
        return None if row is None else str(row.value)


def _look_into(root: Path) -> _Folder:
    """Links are not followed. Raises OSError if not even `root` can be looked into."""
    folder = _Folder(root)
    with suppress(FileNotFoundError):
        service = root.stat()
        waiting = [""]
        while waiting:
            below = waiting.pop()
            try:
                with os.scandir(root / below) as entries:
                    for entry in entries:
                        with suppress(FileNotFoundError):
                            found = entry.stat(follow_symlinks=False)
                            readable = _may_read(found, service)
                            name = below + entry.name
                            if not entry.is_dir(follow_symlinks=False):
                                folder.files[name] = _Seen(found.st_size, readable)
                            elif readable:
                                waiting.append(f"{name}/")
                            else:
                                folder.closed.append(f"{name}/")
            except FileNotFoundError:
                continue
    return folder


def _may_read(found: os.stat_result, service: os.stat_result) -> bool:
    """Whether the service may, which owns `service`: a root that looks for it may all."""
    wanted = 0o500 if stat.S_ISDIR(found.st_mode) else 0o400
    if found.st_uid != service.st_uid:
        wanted >>= 3 if found.st_gid == service.st_gid else 6
    return service.st_uid == 0 or found.st_mode & wanted == wanted


def _look(path: Path, root: Path) -> _Seen | None:
    try:
        found = path.stat()
        return _Seen(found.st_size, _may_read(found, root.stat()))
    except OSError:
        return None
