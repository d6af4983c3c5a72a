"""Sealing: one more link of the station's chain for each recording, and for what became of it.

Beside the table the newest link is kept in a small file: a catalogue that was put back from an
older copy, or cut off at its end, is noticed, and the chain goes on behind what was lost, so that
the gap stays visible for good.
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import structlog
from peewee import SQL

from recorderd.core.model import RecordingId, RecordingState
from recorderd.errors import StorageError
from recorderd.proof.key import StationKey, load_or_make
from recorderd.proof.seals import (
    STILL,
    EvidenceError,
    facts_of,
    newest_of,
    newest_of_station,
    sealed_facts,
    statement_of,
)
from recorderd.proof.stand_alone import Broken, change_between, file_hash, hash_of
from recorderd.settings import Settings
from recorderd.store.catalogue import Catalogue
from recorderd.store.chores import KEPT, MOST_AT_ONCE, Finished
from recorderd.store.footage import still_path, sync_folder, write_synced
from recorderd.store.schema import Recording, Tables

_DELETED: Final = "deleted"

log = structlog.get_logger("proof")


@dataclass(frozen=True, slots=True)
class ChainEnd:
    """The newest link of a station's chain."""

    station: str
    number: int
    seal: str


class Sealer:
    """Seals what waits for it, each in one short transaction. For one thread.

    May be cut short at any instant: what was not sealed is found again.
    """

    def __init__(self, settings: Settings, catalogue: Catalogue) -> None:
        self._settings = settings
        self._catalogue = catalogue
        self._key: StationKey | None = None

    def waiting(self) -> list[Finished]:
        """Recordings that need a seal, oldest first; none while there is no usable key.

        Raises CatalogueError.
        """
        with self._catalogue.reading() as tables:
            row: type[Recording] = tables.recordings
            ours = row.station == self._catalogue.station
            kept = row.state.in_([state.value for state in KEPT])
            # In SQL, for the indexes hold just these.
            hashed = SQL("sealed IS NULL AND sha256 IS NOT NULL")
            gone = SQL("state = 'deleted' AND (sealed IS NULL OR sealed <> 'deleted')")
            found = [
                Finished(RecordingId(each.id), each.order_id, each.path, each.started_at)
                for condition in (hashed & kept, gone)
                for each in row.select()
                .where(ours, condition)
                .order_by(row.started_at, row.id)
                .limit(MOST_AT_ONCE)
            ]
        if found and self._key is None:
            try:
                self._key = load_or_make(self._settings)
            except StorageError as error:
                log.error("nothing can be sealed", problem=str(error))
                return []
        return found

    def seal(self, recording_id: RecordingId) -> None:
        """Seal a recording as its row now says it is; without effect if it is sealed like that.

        Raises EvidenceError if the row changed as it never lawfully does, CatalogueError,
        StorageError, OSError.
        """
        key = self._key = self._key or load_or_make(self._settings)
        still = self._hash_of_still(recording_id)
        with self._catalogue.transaction() as tables:
            row = tables.recordings.get_by_id(recording_id)
            if row.state != RecordingState.DELETED and row.sha256 is None:
                return  # It became another file meanwhile.
            before = newest_of(tables, recording_id)
            facts = facts_of(row)
            if before is None:
                facts[STILL] = still
                what = _DELETED if row.state == RecordingState.DELETED else "recorded"
            else:
                known = sealed_facts(before)
                facts[STILL] = known.get(STILL)
                what = _lawful(row, known, facts)
            if before is not None and what == "same":
                end = None
                _mark(tables, recording_id, {"seal": before.seal, "sealed": _sealed(row)})
            else:
                last = self._end(tables)
                number = 1 if last is None else last.number + 1
                previous = "" if last is None else last.seal
                statement = statement_of(
                    number=number,
                    previous=previous,
                    station=self._catalogue.station,
                    what=what,
                    facts=facts,
                    sealed_at=datetime.now(UTC),
                    key=key.public,
                )
                end = ChainEnd(self._catalogue.station, number, hash_of(statement))
                tables.seals.insert(
                    station=end.station,
                    number=number,
                    recording_id=recording_id,
                    statement=statement,
                    seal=end.seal,
                    signature=key.sign(statement),
                ).execute()
                columns = {"seal": end.seal, "previous_seal": previous, "sealed": what}
                _mark(tables, recording_id, columns)
        if end is not None:
            write_chain_end(self._settings.newest_seal_file, end)
            # The journal is one more place in which the chain can be looked up.
            log.info(
                "sealed",
                number=end.number,
                seal=end.seal,
                what=what,
                order_id=row.order_id,
                recording_id=recording_id,
            )

    def _end(self, tables: Tables) -> ChainEnd | None:
        """The link to go on from: the newest in the table, or a later one that was lost."""
        station = self._catalogue.station
        stored = newest_of_station(tables, station)
        noted = read_chain_end(self._settings.newest_seal_file)
        newest = 0 if stored is None else stored.number
        if noted is not None and noted.station == station and noted.number > newest:
            log.error(
                "seals are missing at the end of the chain: was the catalogue put back from an "
                "older copy? 'recorderd verify --all' names them",
                newest=newest,
                known_to_be_made=noted.number,
            )
            return noted
        return None if stored is None else ChainEnd(station, stored.number, stored.seal)

    def _hash_of_still(self, recording_id: RecordingId) -> str | None:
        with self._catalogue.reading() as tables:
            path = tables.recordings.get_by_id(recording_id).path
        with contextlib.suppress(FileNotFoundError):
            return file_hash(still_path(self._settings.footage_folder / path))
        return None


def read_chain_end(path: Path) -> ChainEnd | None:
    """The newest link that was ever made, as far as is known; None if it cannot be told."""
    try:
        document = json.loads(path.read_text("ascii"))
        end = ChainEnd(document["station"], document["number"], document["seal"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return end if isinstance(end.number, int) and isinstance(end.seal, str) else None


def write_chain_end(path: Path, end: ChainEnd) -> None:
    """Note the newest link so that a power cut leaves this note or the one before.

    Raises OSError, StorageError.
    """
    document = {"station": end.station, "number": end.number, "seal": end.seal}
    half_written = path.with_name(f"{path.name}.new")
    write_synced(half_written, json.dumps(document).encode("ascii"), replace=True)
    os.replace(half_written, path)  # noqa: PTH105
    sync_folder(path.parent)


def _lawful(row: Recording, before: dict[str, Any], now: dict[str, Any]) -> str:
    try:
        return change_between(before, now)
    except Broken as error:
        raise EvidenceError(
            f"The catalogue's row of order {row.order_id} is not as it was sealed: {error}",
            "Run 'recorderd verify --all'. Nothing was sealed anew",
        ) from error


def _sealed(row: Recording) -> str:
    return _DELETED if row.state == RecordingState.DELETED else "recorded"


def _mark(tables: Tables, recording_id: RecordingId, columns: dict[str, Any]) -> None:
    row = tables.recordings
    row.update(columns).where(row.id == recording_id).execute()
