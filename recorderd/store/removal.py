"""Deleting recordings so that any power cut in between is recovered from.

Row `deleting`, committed; then video, still and thumbnail; then the folder is synced; then the
row is a tombstone. Each step may be done twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any, Final

from peewee import SQL, SqliteDatabase

from recorderd.core.model import Mode, Nanoseconds, RecordingId, RecordingState
from recorderd.core.retention import Awaited, DoomedSpare, Kept, Reason, Spare
from recorderd.errors import StorageError
from recorderd.settings import Settings
from recorderd.store import footage, holds
from recorderd.store.catalogue import UNSYNCHRONISED, Catalogue
from recorderd.store.schema import Recording, Tables, microseconds
from recorderd.store.set_aside import RECORDING_ID, all_in

_DELETABLE: Final = (RecordingState.SAVED, RecordingState.RECOVERED, RecordingState.DAMAGED)
"""A finished recording's states; of a lost one there is nothing to delete."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Now, on both clocks; `clock_is_set` says whether the wall clock can be trusted."""

    at: datetime
    clock_is_set: bool
    boot_id: str
    monotonic_ns: Nanoseconds


@dataclass(frozen=True, slots=True)
class Going:
    """A recording that is being deleted; `path` is relative to the footage folder."""

    id: RecordingId
    order_id: str
    path: str
    held: bool


class Removal:
    """Deletes recordings of this station's disk; each method may be repeated.

    Methods raise CatalogueError like the catalogue, StorageError and OSError for the disk.
    """

    def __init__(self, settings: Settings, catalogue: Catalogue, footage_id: str) -> None:
        self._settings = settings
        self._catalogue = catalogue
        self._footage_id = footage_id

    def kept(self, now: Moment) -> list[Kept]:
        """All finished recordings on the disk, in the order in which they were entered."""
        with self._catalogue.reading() as tables:
            row = tables.recordings
            columns = (
                row.id,
                row.bytes,
                row.held,
                row.state,
                row.mode,
                row.transcoded_from,
                row.sha256,
                row.started_at,
                row.clock,
                row.boot_id,
                row.monotonic_ns,
            )
            query = self._on_disk(tables, *_DELETABLE, columns=columns)
            return [_kept(found, now) for found in query.namedtuples().iterator()]

    def spares(self, now: Moment) -> list[Spare]:
        """The files that were set aside and whose recordings are known here."""
        files = all_in(self._settings.set_aside_folder)
        ids = sorted({each.recording_id for each in files if each.recording_id is not None})
        with self._catalogue.reading() as tables:
            row = tables.recordings
            query = row.select().where(row.id.in_(ids), row.footage_id == self._footage_id)
            rows = {found.id: found for found in query} if ids else {}
        return [
            Spare(each.path.name, each.bytes, _age_seconds(found, now), held=bool(found.held))
            for each in files
            if (found := rows.get(each.recording_id or "")) is not None
        ]

    def delete_spare(self, spare: DoomedSpare) -> bool:
        """Delete a file that was set aside; False if somebody holds its recording by now.

        Raises StorageError, and then says nothing in the event log.
        """
        path = self._settings.set_aside_folder / spare.name
        match = RECORDING_ID.search(spare.name)
        with holds.locked(self._settings):
            holds.take_in_locked(self._settings, self._catalogue)
            with self._catalogue.reading() as tables:
                found = tables.recordings.get_or_none(
                    tables.recordings.id == (match[0] if match else None)
                )
            if found is None or found.held:
                return False
            with footage.translated(path):
                path.unlink(missing_ok=True)
            footage.sync_folder(path.parent)
            why = f"{spare.name}: {spare.reason.value}"
            with self._catalogue.transaction() as tables:
                self._enter(tables, found, "set-aside file deleted", why)
        return True

    def begin(self, recording_id: RecordingId, reason: Reason) -> Going | None:
        """Decide to delete a recording; None if it is held, or no longer is what it was.

        What was asked to be held until now is taken in first.
        """
        with holds.locked(self._settings):
            holds.take_in_locked(self._settings, self._catalogue)
            with self._catalogue.transaction() as tables:
                found = tables.recordings.get_or_none(tables.recordings.id == recording_id)
                if found is None or found.held or found.state not in _DELETABLE:
                    return None
                self._enter(tables, found, "deletion begun", reason.value)
                self._update(tables, recording_id, state=RecordingState.DELETING.value)
                return _going(found)

    def begun(self) -> list[Going]:
        """What is being deleted, and was not brought to its end."""
        with self._catalogue.reading() as tables:
            return [_going(found) for found in self._on_disk(tables, RecordingState.DELETING)]

    def finish(self, going: Going) -> None:
        """Take the files away, and then leave only what is known of the recording."""
        video = self._video(going)
        footage.delete(video)
        footage.delete_half_encoded(self._settings, going.id)
        with self._catalogue.transaction() as tables:
            found = tables.recordings.get_by_id(going.id)
            if found.state == RecordingState.DELETING:
                self._enter(tables, found, "deleted", going.path)
                self._update(
                    tables,
                    going.id,
                    state=RecordingState.DELETED.value,
                    held=False,
                    deleted_at=datetime.now(UTC),
                )
        footage.remove_empty_folders(self._settings.footage_folder, video)

    def can_be_kept(self, going: Going) -> bool:
        """Whether somebody holds it and its video is still there after an interruption."""
        return going.held and self._video(going).is_file()

    def keep(self, going: Going, why: str = "held before its video was deleted") -> None:
        """Take a deletion back that was decided, but not carried out."""
        with self._catalogue.transaction() as tables:
            found = tables.recordings.get_by_id(going.id)
            state = RecordingState.SAVED
            if found.problem is not None:
                state = RecordingState.DAMAGED
            elif found.recovered:
                state = RecordingState.RECOVERED
            self._enter(tables, found, "kept after all", why)
            self._update(tables, going.id, state=state.value)

    def _video(self, going: Going) -> Path:
        if ".." in PurePosixPath(going.path).parts or going.path.startswith("/"):
            raise StorageError(
                f"The catalogue names a video outside the footage folder: {going.path}",
                "Somebody has changed the catalogue: put back a backup of it",
            )
        return self._settings.footage_folder / going.path

    def _on_disk(
        self, tables: Tables, *states: RecordingState, columns: tuple[Any, ...] = ()
    ) -> Any:
        row = tables.recordings
        on_sqlite = isinstance(row._meta.database, SqliteDatabase)
        # SQLite numbers rows as they are entered; a database server is reached by stations
        # whose clocks the network sets.
        order = (SQL("rowid"),) if on_sqlite else (row.started_at, row.id)
        return (
            row.select(*columns)
            .where(row.state.in_([state.value for state in states]))
            .where(row.footage_id == self._footage_id)
            .order_by(*order)
        )

    def _enter(self, tables: Tables, found: Recording, event: str, detail: str) -> None:
        tables.events.insert(
            at=datetime.now(UTC),
            station=self._catalogue.station,
            event=event,
            detail=detail,
            recording_id=found.id,
        ).execute()

    def _update(self, tables: Tables, recording_id: RecordingId, **columns: object) -> None:
        tables.recordings.update(columns).where(tables.recordings.id == recording_id).execute()


def _kept(found: Any, now: Moment) -> Kept:
    finished = found.state != RecordingState.DAMAGED
    awaited: set[Awaited] = set()
    if finished and found.mode == Mode.DEFER and found.transcoded_from is None:
        awaited.add(Awaited.TRANSCODE)
    if finished and found.sha256 is None:
        awaited.add(Awaited.FINGERPRINT)
    return Kept(
        RecordingId(found.id),
        found.bytes or 0,
        _age_seconds(found, now),
        held=bool(found.held),
        awaited=frozenset(awaited),
    )


def _age_seconds(found: Any, now: Moment) -> float | None:
    if found.boot_id == now.boot_id:
        return float(now.monotonic_ns - found.monotonic_ns) / 1e9
    if now.clock_is_set and found.clock != UNSYNCHRONISED:
        return (microseconds(now.at) - microseconds(found.started_at)) / 1e6
    return None


def _going(found: Recording) -> Going:
    return Going(RecordingId(found.id), found.order_id, found.path, found.held)
