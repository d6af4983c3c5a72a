"""Writing the catalogue: one row per recording, from its first moment to its last state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath
from typing import Any, Final

from peewee import SQL, Database, IntegrityError, fn

from recorderd.config import without_password
from recorderd.core.model import (
    Nanoseconds,
    Order,
    RecordingId,
    RecordingState,
    Symbology,
)
from recorderd.errors import CatalogueError, InvariantViolationError
from recorderd.store.database import (
    CatalogueUnavailableError,
    open_for_writing,
    transaction,
    translated,
)
from recorderd.store.records import CORRECTED as CORRECTED
from recorderd.store.records import SYNCHRONISED as SYNCHRONISED
from recorderd.store.records import UNSYNCHRONISED as UNSYNCHRONISED
from recorderd.store.records import CapturedFile as CapturedFile
from recorderd.store.records import ClockReading as ClockReading
from recorderd.store.records import KnownTimes as KnownTimes
from recorderd.store.records import LogEntry as LogEntry
from recorderd.store.records import NewRecording as NewRecording
from recorderd.store.records import Unfinished as Unfinished
from recorderd.store.schema import (
    FOOTAGE_KEY,
    Recording,
    Tables,
    microseconds,
    migrate,
    search_text,
    stored_text,
    tables_of,
)

REPAIRED: Final = "recording repaired"
SEALED_REPAIRED: Final = "sealed recording repaired"
"""What the event log says of a repair before and after the recording was sealed."""
_NANOSECONDS_PER_MICROSECOND: Final = 1000


class Catalogue:
    """The catalogue of one station's recordings; every method is one transaction.

    To be used by one thread only. Methods raise CatalogueError when the database fails
    (CatalogueUnavailableError if trying again may help), and InvariantViolationError when
    asked for what cannot be true; then nothing was changed. Each may be repeated after a
    failure that left open whether it was carried out; only notes are then written twice.
    """

    def __init__(self, url: str, station: str, database: Database) -> None:
        self._url = url
        self._station = station
        self._database = database
        self.tables: Tables = tables_of(database)

    @classmethod
    def open(cls, url: str, station: str, busy_seconds: float = 0.5) -> Catalogue:
        """Open the database, make it if it is new, and bring its schema up to date.

        Several stations may share a database server; `station` tells them apart. A lock of
        SQLite is waited for `busy_seconds` in each transaction.
        """
        database = open_for_writing(url, busy_seconds)
        try:
            with translated(url):
                migrate(database)
        except BaseException:
            database.close()
            raise
        return cls(url, station, database)

    def close(self) -> None:
        """Close the database; safe to call twice, and its errors no longer matter."""
        with suppress(CatalogueError, InvariantViolationError), translated(self._url):
            self._database.close()

    @contextmanager
    def reading(self) -> Iterator[Tables]:
        """The tables, for single queries that change nothing and lock nobody out."""
        with translated(self._url):
            yield self.tables

    @contextmanager
    def transaction(self) -> Iterator[Tables]:
        """Do everything in the block or nothing of it; for the other rooms of the store.

        Errors of the database come out as CatalogueError.
        """
        with translated(self._url), transaction(self._database):
            yield self.tables

    @property
    def station(self) -> str:
        """The station whose rows this writes."""
        return self._station

    @property
    def footage_id(self) -> str | None:
        """The id of the disk this station's footage lies on; None if it was never set."""
        with self.transaction() as tables:
            return self._footage_id(tables)

    def set_footage_id(self, footage_id: str) -> None:
        """Remember the footage disk, once and for all."""
        with self.transaction() as tables:
            known = self._footage_id(tables)
            if known is None:
                tables.meta.insert(key=self._footage_key, value=footage_id).execute()
            elif known != footage_id:
                raise InvariantViolationError(
                    f"The catalogue belongs to the footage disk {known}, not {footage_id}"
                )

    def knows(self, recording_id: RecordingId) -> bool:
        """Whether there is a row for this recording, in whatever state."""
        with self.reading() as tables:
            row = tables.recordings.get_or_none(tables.recordings.id == recording_id)
            return row is not None

    def row(self, recording_id: RecordingId) -> Recording | None:
        """The row of a recording as it is now."""
        with self.reading() as tables:
            found: Recording | None = tables.recordings.get_or_none(
                tables.recordings.id == recording_id
            )
            return found

    def register(self, new: NewRecording) -> int:
        """Enter a recording that begins; return its take of the order, counted from 1.

        Part 1 begins a new take; a later part belongs to the take of the one it continues.
        """
        _relative(new.path)
        order = new.order
        with self.transaction() as tables:
            recordings = tables.recordings
            known = recordings.get_or_none(recordings.id == new.id)
            if known is not None:
                if (known.order_id, known.part, known.path) != (order.order_id, new.part, new.path):
                    raise InvariantViolationError(f"Two recordings have the id {new.id}")
                return int(known.take)
            take = self._take_of(tables, new)
            held = self._is_held(tables, order.order_id)
            try:
                recordings.insert(
                    id=new.id,
                    order_id=order.order_id,
                    label_text=order.label_text,
                    search_text=search_text(*dict.fromkeys((order.order_id, order.label_text))),
                    symbology=order.symbology.value,
                    take=take,
                    part=new.part,
                    continues=new.continues,
                    station=new.station,
                    footage_id=self._footage_id(tables),
                    state=RecordingState.RECORDING.value,
                    started_at=new.started_at,
                    boot_id=new.boot_id,
                    monotonic_ns=new.monotonic_ns,
                    clock=new.clock,
                    path=new.path,
                    held=held,
                    **self._marks_of_take(tables, order.order_id, take),
                ).execute()
            except IntegrityError as error:
                raise CatalogueUnavailableError(
                    f"Another station began take {take} of the same order in "
                    f"{without_password(self._url)} at the same moment",
                    "Nothing need be done: it is tried again",
                ) from error
            if held:
                why = "like the order's other recordings"
                self._log(tables, LogEntry("hold", why, new.id, new.started_at))
            return take

    def captured(self, recording_id: RecordingId, file: CapturedFile) -> None:
        """The video is closed, synced and in its final place: RECORDING becomes CAPTURED."""
        _relative(file.path)
        columns: dict[str, Any] = {
            "path": file.path,
            "bytes": file.bytes,
            "frames": file.frames,
            "dropped": file.dropped,
            "duration_ms": file.duration_ms,
            "codec": file.codec,
            "encoder": file.encoder,
            "mode": file.mode.value,
            "width": file.width,
            "height": file.height,
            "stop_reason": file.stop_reason.value,
            "recovered": file.recovered,
            "missing_ms": file.missing_ms,
        }
        with self.transaction() as tables:
            row = self._row(tables, recording_id)
            # The file's times may be by another clock than the row's by now: only what lies
            # between them counts.
            later = _first_picture_after(row, file)
            columns["started_at"] = row.started_at + later
            columns["ended_at"] = row.started_at + later + (file.ended_at - file.started_at)
            columns["monotonic_ns"] = row.monotonic_ns + _nanoseconds(later)
            if row.state == RecordingState.CAPTURED:
                if any(getattr(row, name) != value for name, value in columns.items()):
                    raise InvariantViolationError(f"Recording {recording_id} was captured twice")
                return
            self._change(tables, row, {RecordingState.RECORDING}, RecordingState.CAPTURED, columns)

    def saved(self, recording_id: RecordingId) -> None:
        """The video was checked: CAPTURED becomes SAVED, or RECOVERED if it was recovered."""
        with self.transaction() as tables:
            row = self._row(tables, recording_id)
            state = RecordingState.RECOVERED if row.recovered else RecordingState.SAVED
            self._change(tables, row, {RecordingState.CAPTURED}, state, {})

    def damaged(self, recording_id: RecordingId, problem: str) -> None:
        """The video is kept but is not what it should be; `problem` says why."""
        self._fail(recording_id, RecordingState.DAMAGED, problem)

    def lost(self, recording_id: RecordingId, problem: str) -> None:
        """Nothing of the recording was left to keep; `problem` says why."""
        self._fail(recording_id, RecordingState.LOST, problem)

    def repaired(
        self,
        recording_id: RecordingId,
        state: RecordingState,
        columns: Mapping[str, Any],
        detail: str,
    ) -> None:
        """Bring a row, in whatever state it is, into the one that its file was found to be in.

        The event log says what was done, in `detail`, and whether the row was sealed by then:
        the seal stays as it was, and `recorderd verify` names the repair beside what differs.
        """
        with self.transaction() as tables:
            row = self._row(tables, recording_id)
            self._update(tables, row, {**columns, "state": state.value})
            tables.events.insert(
                at=datetime.now(UTC),
                station=self._station,
                event=REPAIRED if row.seal is None else SEALED_REPAIRED,
                detail=detail,
                recording_id=recording_id,
            ).execute()

    def flag(self, recording_id: RecordingId) -> None:
        """Mark a recording, with all parts of its take, to be looked at."""
        with self.transaction() as tables:
            self._mark_take(tables, self._row(tables, recording_id), {"flagged": True})

    def void(self, recording_id: RecordingId) -> None:
        """Mark a recording, with all parts of its take, as void; it is kept."""
        with self.transaction() as tables:
            self._mark_take(tables, self._row(tables, recording_id), {"void": True})

    def amend(self, recording_id: RecordingId, columns: Mapping[str, Any]) -> None:
        """Set columns of a row that say more about its file; never its state."""
        if "state" in columns:
            raise InvariantViolationError("A recording's state was to be set past its rules")
        with self.transaction() as tables:
            self._update(tables, self._row(tables, recording_id), columns)

    def note(
        self,
        event: str,
        detail: str,
        recording_id: RecordingId | None,
        at: datetime,
        reading: ClockReading | None = None,
    ) -> None:
        """Write an entry into the event log. `at` is aware; `reading` is the same moment."""
        with self.transaction() as tables:
            self._log(tables, LogEntry(event, detail, recording_id, at, reading))

    def note_all(self, entries: Sequence[LogEntry]) -> None:
        """Write several entries into the event log at once, in this order."""
        with self.transaction() as tables:
            for entry in entries:
                self._log(tables, entry)

    def unfinished(self) -> list[Unfinished]:
        """List the recordings on this station's disk that still need an end, oldest first."""
        with self.transaction() as tables:
            recordings = tables.recordings
            open_states = (RecordingState.RECORDING.value, RecordingState.CAPTURED.value)
            footage_id = self._footage_id(tables)
            query = (
                recordings.select()
                .where(recordings.state.in_(open_states))
                .where(
                    recordings.footage_id.is_null()
                    if footage_id is None
                    else recordings.footage_id == footage_id
                )
                # Not by id: those made before the clock was set sort first.
                .order_by(recordings.started_at, recordings.monotonic_ns)
            )
            return [_unfinished(row) for row in query]

    def correct_clock(
        self, boot_id: str, wall_minus_monotonic_ns: int, clock: str = CORRECTED
    ) -> int:
        """Date anew what was written in this boot without a right clock: recordings and events.

        `wall_minus_monotonic_ns` is the offset of the synchronised clock; or of one that is only
        less wrong, then `clock` is UNSYNCHRONISED. Returns the number of recordings.
        """
        with self.transaction() as tables:
            events, row = tables.events, tables.recordings
            at = (events.monotonic_ns + wall_minus_monotonic_ns) / _NANOSECONDS_PER_MICROSECOND
            events.update({"at": at, "clock": clock}).where(
                events.boot_id == boot_id, SQL("clock = 'unsynchronised'")
            ).execute()
            start = (row.monotonic_ns + wall_minus_monotonic_ns) / _NANOSECONDS_PER_MICROSECOND
            dated_anew = row.update(
                {
                    "started_at": start,
                    "ended_at": row.ended_at + start - row.started_at,
                    "clock": clock,
                    "sealed": None,
                }
            ).where(row.boot_id == boot_id, row.clock == UNSYNCHRONISED)
            return int(dated_anew.execute())

    def known_times(self, boot_id: str) -> KnownTimes:
        """What rows tell of time, for a station that starts without a clock."""
        with self.reading() as tables:
            row = tables.recordings
            right = row.clock.in_((SYNCHRONISED, CORRECTED))
            earlier_boots = (row.station == self._station) & (row.boot_id != boot_id)
            newest = row.select().where(earlier_boots).order_by(row.started_at.desc())
            earlier, trusted = newest.first(), newest.where(right).first()
            of_boot = (
                row.select()
                .where(row.boot_id == boot_id)
                .order_by(right.desc(), row.monotonic_ns.desc())
                .first()
            )
        times = KnownTimes(
            trusted_us=None if trusted is None else _latest_us(trusted),
            newest_us=None if earlier is None else _latest_us(earlier),
        )
        if of_boot is None:
            return times
        started_ns = microseconds(of_boot.started_at) * _NANOSECONDS_PER_MICROSECOND
        return replace(
            times,
            boot_offset_ns=started_ns - of_boot.monotonic_ns,
            boot_moment_ns=of_boot.monotonic_ns,
            boot_is_trusted=of_boot.clock != UNSYNCHRONISED,
        )

    @property
    def _footage_key(self) -> str:
        return FOOTAGE_KEY + self._station

    def _footage_id(self, tables: Tables) -> str | None:
        row = tables.meta.get_or_none(tables.meta.key == self._footage_key)
        return None if row is None else str(row.value)

    def _take_of(self, tables: Tables, new: NewRecording) -> int:
        recordings = tables.recordings
        order_id = new.order.order_id
        if new.continues is None:
            if new.part != 1:
                raise InvariantViolationError(f"Part {new.part} of {new.id} continues nothing")
            highest = (
                recordings.select(fn.MAX(recordings.take))
                .where(recordings.order_id == order_id)
                .scalar()
            )
            return (highest or 0) + 1
        before = self._row(tables, new.continues)
        taken = recordings.get_or_none(
            (recordings.order_id == order_id)
            & (recordings.take == before.take)
            & (recordings.part == new.part)
        )
        if before.order_id != order_id or new.part <= before.part or taken is not None:
            raise InvariantViolationError(
                f"Recording {new.id}, part {new.part}, cannot continue {new.continues}"
            )
        return int(before.take)

    def _is_held(self, tables: Tables, order_id: str) -> bool:
        """Whether somebody holds this order: what is recorded of it later is held, too."""
        row = tables.recordings
        return bool(row.select().where(row.order_id == order_id, row.held).exists())

    def _marks_of_take(self, tables: Tables, order_id: str, take: int) -> dict[str, bool]:
        """How the packer has marked the earlier parts."""
        row = tables.recordings
        parts = list(row.select().where(row.order_id == order_id, row.take == take))
        return {name: any(getattr(part, name) for part in parts) for name in ("flagged", "void")}

    def _mark_take(self, tables: Tables, row: Recording, columns: Mapping[str, Any]) -> None:
        recordings = tables.recordings
        recordings.update(dict(columns)).where(
            recordings.order_id == row.order_id, recordings.take == row.take
        ).execute()

    def _log(self, tables: Tables, entry: LogEntry) -> None:
        reading = entry.reading
        tables.events.insert(
            at=entry.at,
            station=self._station,
            event=entry.event,
            detail=entry.detail,
            recording_id=entry.recording_id,
            boot_id=None if reading is None else reading.boot_id,
            monotonic_ns=None if reading is None else reading.monotonic_ns,
            clock=None if reading is None else reading.clock,
        ).execute()

    def _row(self, tables: Tables, recording_id: RecordingId) -> Recording:
        row = tables.recordings.get_or_none(tables.recordings.id == recording_id)
        if row is None:
            raise InvariantViolationError(f"There is no recording {recording_id} in the catalogue")
        return row

    def _fail(self, recording_id: RecordingId, state: RecordingState, problem: str) -> None:
        with self.transaction() as tables:
            self._change(
                tables,
                self._row(tables, recording_id),
                {RecordingState.RECORDING, RecordingState.CAPTURED},
                state,
                {"problem": problem},
            )

    def _change(
        self,
        tables: Tables,
        row: Recording,
        allowed: set[RecordingState],
        state: RecordingState,
        columns: dict[str, Any],
    ) -> None:
        """Bring a row into a state, unless it is there already."""
        if row.state == state:
            return
        if row.state not in allowed:
            raise InvariantViolationError(
                f"Recording {row.id} is {row.state} and cannot become {state.value}"
            )
        self._update(tables, row, {"state": state.value, **columns})

    def _update(self, tables: Tables, row: Recording, columns: Mapping[str, Any]) -> None:
        tables.recordings.update(dict(columns)).where(tables.recordings.id == row.id).execute()


def _relative(path: str) -> None:
    parts = PurePosixPath(path).parts
    if not parts or parts[0] == "/" or ".." in parts or path != stored_text(path):
        raise InvariantViolationError(f"{path!r} is no path inside the footage folder")


def _latest_us(row: Recording) -> int:
    return microseconds(row.ended_at or row.started_at)


def _first_picture_after(row: Recording, file: CapturedFile) -> timedelta:
    """How long after the row's start the file begins; mostly before it, by the pre-roll."""
    if file.first_ns is not None:
        microseconds_later = (file.first_ns - row.monotonic_ns) // _NANOSECONDS_PER_MICROSECOND
        return timedelta(microseconds=microseconds_later)
    return timedelta() if row.clock == CORRECTED else file.started_at - row.started_at


def _nanoseconds(length: timedelta) -> Nanoseconds:
    return length // timedelta(microseconds=1) * _NANOSECONDS_PER_MICROSECOND


def _unfinished(row: Recording) -> Unfinished:
    return Unfinished(
        id=RecordingId(row.id),
        order=Order(row.order_id, row.label_text, Symbology(row.symbology)),
        take=row.take,
        part=row.part,
        continues=None if row.continues is None else RecordingId(row.continues),
        state=RecordingState(row.state),
        path=row.path,
        started_at=row.started_at,
        monotonic_ns=row.monotonic_ns,
        boot_id=row.boot_id,
        recovered=row.recovered,
        frames=row.frames,
        duration_ms=row.duration_ms,
    )
