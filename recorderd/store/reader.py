"""Looking things up in the catalogue without being able to change or disturb it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from peewee import Database

from recorderd.core.model import RecordingId
from recorderd.errors import CatalogueError
from recorderd.store.database import (
    for_reading,
    leave,
    open_for_reading,
    sqlite_path,
    transaction,
    translated,
)
from recorderd.store.migrations import MIGRATIONS
from recorderd.store.newest import Wanted, newest
from recorderd.store.records import Failure
from recorderd.store.schema import (
    JobFailure,
    Recording,
    Tables,
    refuse_newer,
    schema_version,
    search_text,
    tables_of,
)

DEFAULT_LIMIT: Final = 50


@dataclass(frozen=True, slots=True)
class RecordingRow:
    """A recording as the catalogue knows it; what is not known yet is None.

    `path` is relative to the footage folder of `station`. Times are UTC. `state`,
    `stop_reason` and `mode` hold the values of their enumerations, as text, so that rows of
    later versions can still be shown.
    """

    id: RecordingId
    order_id: str
    label_text: str
    symbology: str
    take: int
    part: int
    station: str
    state: str
    problem: str | None
    stop_reason: str | None
    started_at: datetime
    ended_at: datetime | None
    clock: str
    duration_ms: int | None
    path: str
    bytes: int | None
    frames: int | None
    dropped: int | None
    codec: str | None
    encoder: str | None
    mode: str | None
    width: int | None
    height: int | None
    recovered: bool
    flagged: bool
    held: bool
    void: bool
    sha256: str | None
    transcoded_from: str | None
    seal: str | None
    deleted_at: datetime | None
    missing_ms: int | None


def find(url: str, text: str, limit: int = DEFAULT_LIMIT) -> list[RecordingRow]:
    """Find recordings whose order id or label text contains `text`, in any case.

    Recordings of exactly this order come first, then the others; newest first in both.
    Empty text finds the newest of all. At most `limit` rows. Any thread, at any time: the
    writer neither waits nor notices. Raises CatalogueError.
    """
    with reading(url) as tables:
        exact = newest(tables, Wanted(order=text), limit)
        wanted = Wanted(fragment=search_text(text), not_order=text)
        others = newest(tables, wanted, limit - len(exact))
        return [row_of(found) for found in (*exact, *others)]


class _Known(threading.local):
    """The catalogue a thread looked at last: binding the models takes longer than a search."""

    def __init__(self) -> None:
        self._url = ""
        self._known: dict[float | None, tuple[Database, Tables]] = {}

    def named(self, url: str, longest_seconds: float | None) -> tuple[Database, Tables]:
        if url != self._url:
            for database, _ in self._known.values():
                database.close()
            self._url, self._known = url, {}
        if longest_seconds not in self._known:
            database = for_reading(url, longest_seconds=longest_seconds)
            self._known[longest_seconds] = database, tables_of(database)
        return self._known[longest_seconds]


_known: Final = _Known()


@contextmanager
def reading(url: str, longest_seconds: float | None = None) -> Iterator[Tables]:
    """Open the catalogue for one consistent look, of at most `longest_seconds`.

    A thread ends one look before it begins another. Raises CatalogueError.
    """
    database, tables = _known.named(url, longest_seconds)
    open_for_reading(database, url, longest_seconds)
    try:
        with translated(url), transaction(database):
            found = schema_version(database)
            refuse_newer(found)
            if found < len(MIGRATIONS):
                raise CatalogueError(
                    f"The catalogue {sqlite_path(url) or ''} is empty or of an older recorderd",
                    "Start the station once: it brings the catalogue up to date",
                )
            yield tables
    finally:
        leave(database)


def row_of(found: Recording) -> RecordingRow:
    """Turn a row of the database into plain data."""
    return RecordingRow(
        id=RecordingId(found.id),
        order_id=found.order_id,
        label_text=found.label_text,
        symbology=found.symbology,
        take=found.take,
        part=found.part,
        station=found.station,
        state=found.state,
        problem=found.problem,
        stop_reason=found.stop_reason,
        started_at=found.started_at,
        ended_at=found.ended_at,
        clock=found.clock,
        duration_ms=found.duration_ms,
        path=found.path,
        bytes=found.bytes,
        frames=found.frames,
        dropped=found.dropped,
        codec=found.codec,
        encoder=found.encoder,
        mode=found.mode,
        width=found.width,
        height=found.height,
        recovered=found.recovered,
        flagged=found.flagged,
        held=found.held,
        void=found.void,
        sha256=found.sha256,
        transcoded_from=found.transcoded_from,
        seal=found.seal,
        deleted_at=found.deleted_at,
        missing_ms=found.missing_ms,
    )


def failure_of(found: JobFailure) -> Failure:
    """Turn a row of the database into plain data."""
    return Failure(
        RecordingId(found.recording_id),
        found.job,
        found.tries,
        found.at,
        found.retry_at,
        found.problem,
        found.remedy,
    )
