"""What finished recordings still need, and the rows' change when it was done."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from peewee import SQL, SqliteDatabase

from recorderd.core.model import RecordingId, RecordingState
from recorderd.store.catalogue import Catalogue
from recorderd.store.reader import failure_of
from recorderd.store.records import Failure
from recorderd.store.schema import Recording, Tables, microseconds

MOST_AT_ONCE = 200
"""Rows that are read in one go; what waits behind them is read when they are through."""
_SAVED: Final = (RecordingState.SAVED, RecordingState.RECOVERED)
KEPT: Final = (RecordingState.SAVED, RecordingState.RECOVERED, RecordingState.DAMAGED)
"""States in which the video lies in its final place and nobody works on it."""
_FEW: Final = 20
"""Mostly the first one that waits is taken."""

_FIRST_PAUSE: Final = timedelta(minutes=1)
_PAUSE_GROWS: Final = 4
LONGEST_PAUSE: Final = timedelta(days=1)
MOST_TRIES: Final = 10
"""With these pauses a job is tried for about four days, however often the machine restarts."""

# Word for word the conditions of the indexes.
_WITHOUT_HASH: Final = "(sha256 IS NULL OR crc32 IS NULL)"
_DEFERRED: Final = "mode = 'defer' AND transcoded_from IS NULL"


@dataclass(frozen=True, slots=True)
class Finished:
    """A recording that is saved; `path` is relative to the footage folder."""

    id: RecordingId
    order_id: str
    path: str
    started_at: datetime


@dataclass(frozen=True, slots=True)
class Transcoded:
    """The file that has replaced a deferred recording's; `original_sha256` is what it was."""

    bytes: int
    frames: int
    codec: str
    encoder: str
    width: int
    height: int
    original_sha256: str


class Chores:
    """The finisher's view of the catalogue. Each method is one short transaction.

    What waits is told newest first, for that is asked for soonest; a job that has failed does
    not wait again before its pause is over, so that it is in nobody's way. Raises CatalogueError
    like the catalogue itself.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    @property
    def catalogue(self) -> Catalogue:
        """The whole catalogue, for jobs that say more of a recording than is here."""
        return self._catalogue

    def latest(self, after: Finished | None = None, job: str = "thumbnail") -> list[Finished]:
        """Some finished recordings: the newest, or those that come after one."""
        return self._finished(after=after, job=job)

    def without_fingerprint(self) -> Iterator[Finished]:
        """Those whose file, as it is now, has no hash yet; damaged ones are kept, too."""
        return self._all("fingerprint", SQL(_WITHOUT_HASH), states=KEPT)

    def deferred(self) -> Iterator[Finished]:
        """Those that were only copied and wait to be encoded."""
        return self._all("transcode", SQL(_DEFERRED))

    def waiting(self) -> dict[str, int]:
        """How many wait for each job that rows tell of, those in a pause included."""
        with self._catalogue.reading() as tables:
            row = tables.recordings
            given_up = tables.failures.select(tables.failures.recording_id).where(
                tables.failures.retry_at.is_null()
            )
            return {
                job: row.select(row.id)
                .where(SQL(condition), _saved(row))
                .where(row.id.not_in(given_up.where(tables.failures.job == job)))
                .count()
                for job, condition in (("transcode", _DEFERRED), ("fingerprint", _WITHOUT_HASH))
            }

    def damaged(self) -> list[Finished]:
        """Those whose file is kept but is not what it should be."""
        return self._finished(job="mend", states=[RecordingState.DAMAGED])

    def given_up(self) -> frozenset[tuple[str, RecordingId]]:
        """The jobs that are never to be done, with their recordings."""
        with self._catalogue.reading() as tables:
            table = tables.failures
            found = table.select().where(table.retry_at.is_null())
            return frozenset((each.job, RecordingId(each.recording_id)) for each in found)

    def is_kept(self, recording_id: RecordingId) -> bool:
        """Whether its video is still to stay."""
        row = self._catalogue.row(recording_id)
        return row is not None and row.state in KEPT

    def fingerprinted(self, recording_id: RecordingId, sha256: str, crc32: int) -> None:
        self._catalogue.amend(recording_id, {"sha256": sha256, "crc32": crc32})

    def transcoded(self, recording_id: RecordingId, file: Transcoded) -> None:
        """The file is another one now: hash and seal of the one before no longer hold.

        Damaged pictures of the camera may be missing from it.
        """
        with self._catalogue.reading() as tables:
            row = tables.recordings.get_by_id(recording_id)
        left_out = max(0, (row.frames or file.frames) - file.frames)
        self._catalogue.amend(
            recording_id,
            {
                "sha256": None,
                "crc32": None,
                "sealed": None,
                "frames": file.frames,
                "dropped": (row.dropped or 0) + left_out,
                "bytes": file.bytes,
                "codec": file.codec,
                "encoder": file.encoder,
                "width": file.width,
                "height": file.height,
                "transcoded_from": file.original_sha256,
            },
        )

    def failed(
        self, recording_id: RecordingId, job: str, problem: str, remedy: str, now: datetime
    ) -> Failure:
        """Write down that a job failed `now`, and when it may be tried again."""
        with self._catalogue.transaction() as tables:
            table = tables.failures
            this = (table.recording_id == recording_id) & (table.job == job)
            before = table.get_or_none(this)
            tries = 1 if before is None else before.tries + 1
            retry_at = None if tries >= MOST_TRIES else now + pause_after(tries)
            table.delete().where(this).execute()
            table.insert(
                recording_id=recording_id,
                job=job,
                tries=tries,
                at=now,
                retry_at=retry_at,
                problem=problem,
                remedy=remedy,
            ).execute()
        return Failure(recording_id, job, tries, now, retry_at, problem, remedy)

    def succeeded(self, recording_id: RecordingId, job: str) -> None:
        """Forget that a job ever failed."""
        with self._catalogue.reading() as tables:
            table = tables.failures
            this = (table.recording_id == recording_id) & (table.job == job)
            failed_before = table.get_or_none(this) is not None
        if failed_before:
            with self._catalogue.transaction() as tables:
                tables.failures.delete().where(this).execute()

    def try_all_again(self) -> int:
        """Forget all failures: what was given up has its turn again. Returns how many."""
        with self._catalogue.transaction() as tables:
            return int(tables.failures.delete().execute())

    def failures(self) -> tuple[int, Failure | None]:
        """How many jobs are in a pause or given up, and the one that failed last."""
        with self._catalogue.reading() as tables:
            table = tables.failures
            row = tables.recordings
            counts = table.select().join(row, on=(row.id == table.recording_id)).where(_saved(row))
            last = counts.order_by(table.at.desc()).first()
            return counts.count(), None if last is None else failure_of(last)

    def _all(
        self, job: str, *conditions: object, states: Sequence[RecordingState] = _SAVED
    ) -> Iterator[Finished]:
        """All that wait, read bit by bit while they are gone through."""
        page = self._finished(*conditions, job=job, states=states, limit=_FEW)
        while page:
            yield from page
            page = self._finished(*conditions, job=job, states=states, after=page[-1])

    def _finished(
        self,
        *conditions: object,
        job: str | None = None,
        states: Sequence[RecordingState] = _SAVED,
        after: Finished | None = None,
        limit: int = MOST_AT_ONCE,
    ) -> list[Finished]:
        with self._catalogue.reading() as tables:
            row: type[Recording] = tables.recordings
            columns = (row.id, row.order_id, row.path, row.started_at)
            query = row.select(*columns).where(_in_state(row, states), *conditions)
            if job is not None:
                query = query.where(row.id.not_in(_in_a_pause(tables, job)))
            if after is not None:
                started_at = microseconds(after.started_at)
                query = query.where(
                    row.started_at <= started_at,
                    (row.started_at < started_at) | (row.id < after.id),
                )
            newest_first = query.order_by(row.started_at.desc(), row.id.desc())
            return [
                Finished(RecordingId(found.id), found.order_id, found.path, found.started_at)
                for found in newest_first.limit(limit)
            ]


def pause_after(tries: int) -> timedelta:
    """How long to wait before the next try: ever longer, up to a day."""
    times: int = _PAUSE_GROWS ** min(tries - 1, 10)
    return min(LONGEST_PAUSE, _FIRST_PAUSE * times)


def _saved(row: type[Recording]) -> Any:
    return _in_state(row, _SAVED)


def _in_state(row: type[Recording], states: Sequence[RecordingState]) -> Any:
    """The condition that a recording is finished: nearly all are, so that no index helps."""
    values = tuple(state.value for state in states)
    if isinstance(row._meta.database, SqliteDatabase) and RecordingState.SAVED in states:
        return SQL(f"+state IN ({', '.join('?' * len(values))})", values)
    return row.state.in_(values)


def _in_a_pause(tables: Tables, job: str) -> Any:
    """Recordings for which the job is not to be tried now.

    A time that lies further ahead than any pause is long was written by a clock that was wrong.
    """
    table = tables.failures
    now = datetime.now(UTC)
    pause = (table.retry_at > now) & (table.retry_at <= now + LONGEST_PAUSE)
    return table.select(table.recording_id).where(
        table.job == job, table.retry_at.is_null() | pause
    )
