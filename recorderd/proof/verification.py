"""Walking a station's chain of seals, and comparing rows and videos with what was sealed."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from recorderd.core.model import RecordingState
from recorderd.finisher.fingerprint import fingerprint
from recorderd.proof.findings import Finding, KeySection, Kind
from recorderd.proof.key import is_good, known_keys
from recorderd.proof.sealer import read_chain_end
from recorderd.proof.seals import STILL, Seal, chain_of, facts_of, newest_of
from recorderd.proof.stand_alone import Broken, change_between, key_in, read_seal
from recorderd.settings import Settings
from recorderd.store.catalogue import SEALED_REPAIRED
from recorderd.store.chores import KEPT
from recorderd.store.footage import still_path
from recorderd.store.reader import reading
from recorderd.store.schema import Recording, Tables

_SECOND_LOOK_SECONDS: Final = 2.0
"""The finisher may be about to say that it replaced a file that is as new as this:"""
_FRESH_SECONDS: Final = 60.0
_GONE: Final = (RecordingState.DELETING, RecordingState.DELETED)


@dataclass(frozen=True, slots=True)
class _Sealed:
    """The newest whole seal of a recording; as text, for there may be very many."""

    number: int
    seal: str
    statement: str

    @classmethod
    def by(cls, seal: Seal) -> _Sealed:
        return cls(seal.number, seal.seal, seal.statement)

    @property
    def facts(self) -> dict[str, Any]:
        facts: dict[str, Any] = json.loads(self.statement)["facts"]
        return facts


@dataclass(frozen=True, slots=True)
class _Video:
    """A row whose video is to be read."""

    id: str
    order_id: str
    path: str
    sha256: str | None
    transcoded_from: str | None


@dataclass(slots=True)
class Verification:
    """One walk through everything; iterate over it for what is found. Changes nothing.

    `order_id` limits the rows and videos that are looked at, never the chain. `key`: no other
    public key is believed. `progress` is called before each video is read. Afterwards the other
    fields say what was looked at. May run while all services do. Iterating raises CatalogueError.
    """

    settings: Settings
    footage_id: str | None
    order_id: str | None = None
    key: bytes | None = None
    progress: Callable[[str, int, int], None] = lambda *_: None
    recordings: int = 0
    videos: int = 0
    seals: int = 0
    stamps: int = 0
    waiting: int = 0
    deleted: int = 0
    sections: list[KeySection] = field(default_factory=list)
    _sealed: dict[str, _Sealed] = field(default_factory=dict)
    _there: set[str] = field(default_factory=set)
    _wanted: set[str] = field(default_factory=set)
    _hashes: dict[str, tuple[str, str, int]] = field(default_factory=dict)
    _repairs: dict[str, str] = field(default_factory=dict)
    """What the event log says of a repair after the seal, of recordings that differ from it."""

    def __iter__(self) -> Iterator[Finding]:
        with reading(self.settings.database_url) as tables:
            found = [
                finding
                for station in self._stations(tables)
                for finding in self._walk(tables, station)
            ]
            videos: list[_Video] = []
            rows_there: set[str] = set()
            for row in self._rows(tables):
                rows_there.add(row.id)
                found.extend(self._compare(tables, row))
                if row.state in KEPT and row.id in self._sealed:
                    videos.append(_video(row))
            found.extend(self._time_stamps(tables))
        self.recordings = len(rows_there)
        yield from found
        yield from self._rows_missing(rows_there)
        for number, video in enumerate(videos, 1):
            self.progress(video.order_id, number, len(videos))
            yield from self._read(video, self._sealed[video.id])

    def _here(self, tables: Tables) -> Any:
        row = tables.recordings
        if self.footage_id is None:
            return row.footage_id.is_null()
        return row.footage_id == self.footage_id

    def _stations(self, tables: Tables) -> list[str]:
        """Those whose videos lie here: a station may have had another name."""
        query: Any = tables.recordings.select(tables.recordings.station).where(self._here(tables))
        return sorted({name for (name,) in query.distinct().tuples()} | {self._own_name})

    @property
    def _own_name(self) -> str:
        return self.settings.station.name

    def _rows(self, tables: Tables) -> Iterator[Recording]:
        """The rows to compare; also those that no longer say that they belong to the order."""
        row = tables.recordings
        query = row.select().where(self._here(tables)).order_by(row.started_at, row.id)
        if self.order_id is not None:
            sealed_so = row.id.in_(sorted(self._wanted))
            query = query.where((row.order_id == self.order_id) | sealed_so)
        return iter(query.iterator())

    def _walk(self, tables: Tables, station: str) -> Iterator[Finding]:
        """The chain by itself: each link, and each link's hold on the one before."""
        keys = {self.key: Path("--key")} if self.key else known_keys(self.settings)
        before: Seal | None = None
        for seal in chain_of(tables, station):
            self.seals += 1
            self._there.add(seal.seal)
            number, expected = seal.number, 1 if before is None else before.number + 1
            if number < expected:
                yield Finding(
                    Kind.SEAL_CHANGED,
                    f"Seal {number} of {station} is there twice",
                    recording_id=seal.recording_id,
                    number=number,
                )
            elif number > expected:
                yield Finding(
                    Kind.SEAL_MISSING,
                    f"{_between(expected, number - 1)} of {station} {_are(expected, number - 1)} "
                    "not in the catalogue",
                    number=expected,
                )
            try:
                document = read_seal(seal.statement, seal.seal, seal.signature, is_good)
                self._note_key(station, number, key_in(document), keys)
                said = tuple(document.get(name) for name in ("station", "number", "recording_id"))
                if said != (station, number, seal.recording_id):
                    raise Broken(f"it was made as seal {said[1]} of {said[0]} for {said[2]}")
            except Broken as error:
                yield Finding(
                    Kind.SEAL_CHANGED,
                    f"Seal {number} of {station}: {error}",
                    recording_id=seal.recording_id,
                    number=number,
                )
            else:
                previous = "" if before is None else before.seal
                if number == expected and document["previous"] != previous:
                    yield Finding(
                        Kind.CHAIN_BROKEN,
                        f"Seal {number} of {station} does not follow the one before it: "
                        "one of the two is not what this station made",
                        order_id=document["facts"].get("order_id"),
                        recording_id=seal.recording_id,
                        number=number,
                    )
                yield from self._follow(seal, document)
                facts = document["facts"]
                if facts.get("order_id") == self.order_id:
                    self._wanted.add(seal.recording_id)
                known_as = (seal.recording_id, str(facts.get("order_id")), facts.get("take", 0))
                self._hashes[str(facts.get("sha256"))] = known_as
            before = seal
        yield from self._end(station, before)
        for section in self.sections:
            if section.station == station and section.known_from is None:
                yield Finding(
                    Kind.FORGED,
                    f"{_between(section.first, section.last)} of {station} "
                    f"{_are(section.first, section.last)} signed with the key {section.key}, "
                    + ("not with the one you gave" if self.key else "which is not this station's"),
                    number=section.first,
                )

    def _note_key(self, station: str, number: int, key: bytes, keys: dict[bytes, Path]) -> None:
        last = self.sections[-1] if self.sections else None
        first = number
        if last is not None and (last.station, last.key) == (station, key.hex()):
            self.sections.pop()
            first = last.first
        self.sections.append(KeySection(station, key.hex(), first, number, keys.get(key)))

    def _follow(self, seal: Seal, document: dict[str, Any]) -> Iterator[Finding]:
        """Whether a seal may follow the one before of its recording."""
        known = self._sealed.get(seal.recording_id)
        try:
            if known is None:
                if document["what"] not in ("recorded", "deleted"):
                    raise Broken("it is the first one, but speaks of an earlier one")
            elif change_between(known.facts, document["facts"]) != document["what"]:
                raise Broken("it is not what it says it is")
        except Broken as error:
            yield Finding(
                Kind.CONTRADICTION,
                f"Seal {seal.number} of {seal.station}: {error}",
                order_id=document["facts"].get("order_id"),
                recording_id=seal.recording_id,
                number=seal.number,
            )
        self._sealed[seal.recording_id] = _Sealed.by(seal)

    def _end(self, station: str, last: Seal | None) -> Iterator[Finding]:
        noted = read_chain_end(self.settings.newest_seal_file)
        if noted is None or noted.station != station:
            return
        newest = 0 if last is None else last.number
        if noted.number > newest:
            yield Finding(
                Kind.CHAIN_CUT,
                f"{_between(newest + 1, noted.number)} of {station} "
                f"{_are(newest + 1, noted.number)} known to have been made, but not there",
                number=newest + 1,
            )
        elif noted.seal not in self._there:
            yield Finding(
                Kind.CHAIN_BROKEN,
                f"Seal {noted.number} of {station} is not the one this station made last",
                number=noted.number,
            )

    def _time_stamps(self, tables: Tables) -> Iterator[Finding]:
        """Each stamp is for its seal, and, if its roots are known, the authority's."""
        stamps = tables.time_stamps
        if not stamps.select().limit(1).exists():
            return
        # Only where there are any: its libraries take a moment to load.
        from recorderd.proof import time_stamps

        roots = time_stamps.roots_of(self.settings.evidence)
        query: Any = stamps.select(stamps.seal, stamps.response)
        for seal, response in query.tuples().iterator():
            if seal not in self._there:
                continue
            self.stamps += 1
            try:
                time_stamps.check_stored(response, seal, roots)
            except ValueError as error:
                yield Finding(Kind.TIME_STAMP, f"That of the seal {seal}: {error}")

    def _rows_missing(self, there: set[str]) -> Iterator[Finding]:
        wanted = self._sealed if self.order_id is None else self._wanted
        for recording_id in wanted:
            if recording_id in there:
                continue
            sealed = self._sealed[recording_id]
            facts = sealed.facts
            yield Finding(
                Kind.ROW_MISSING,
                f"Seal {sealed.number} is for take {facts.get('take')} of this order, of which "
                "the catalogue knows nothing",
                order_id=facts.get("order_id"),
                recording_id=recording_id,
                number=sealed.number,
            )

    def _compare(self, tables: Tables, row: Recording) -> Iterator[Finding]:
        """A row with what was sealed of it."""
        sealed = self._sealed.get(row.id)
        if row.state in _GONE:
            self.deleted += 1
        if row.seal is not None and row.seal not in self._there:
            yield Finding(
                Kind.SEAL_MISSING,
                "The catalogue says that it was sealed, but the seal is not there",
                row.order_id,
                row.id,
            )
        if sealed is None:
            self.waiting += row.state in KEPT and row.seal is None
            return
        if row.seal is None:
            yield Finding(
                Kind.FACT_CHANGED,
                f"The catalogue does not name its seal, {sealed.number}, any more",
                row.order_id,
                row.id,
                sealed.number,
            )
        try:
            facts = sealed.facts
            what = change_between(facts, {**facts_of(row), STILL: facts.get(STILL)})
        except Broken as error:
            self._repairs[row.id] = _repair_of(tables, row.id)
            yield Finding(
                Kind.FACT_CHANGED,
                f"From seal to row: {error}{self._repairs[row.id]}",
                row.order_id,
                row.id,
                sealed.number,
            )
        else:
            self.waiting += what != "same"

    def _read(self, video: _Video, sealed: _Sealed) -> Iterator[Finding]:
        finding = self._look(video, sealed)
        if finding is not None:
            # It may have been replaced or deleted since the rows were read.
            if _is_fresh(self._path(video)):
                time.sleep(_SECOND_LOOK_SECONDS)
            with reading(self.settings.database_url) as tables:
                row = tables.recordings.get_or_none(tables.recordings.id == video.id)
                newest = newest_of(tables, video.id)
            if row is None or row.state not in KEPT or newest is None:
                return
            video = _video(row)
            if newest.seal != sealed.seal:
                with suppress(Broken):
                    read_seal(newest.statement, newest.seal, newest.signature, is_good)
                    sealed = _Sealed.by(newest)
            finding = self._look(video, sealed)
        if finding is not None:
            yield finding
        self.videos += 1
        yield from self._still(video, sealed)

    def _path(self, video: _Video) -> Path:
        return self.settings.footage_folder / video.path

    def _look(self, video: _Video, sealed: _Sealed) -> Finding | None:
        path, facts = self._path(video), sealed.facts

        def found(kind: Kind, what: str) -> Finding:
            return Finding(kind, f"{path}: {what}", video.order_id, video.id, sealed.number)

        wanted = facts.get("sha256")
        if wanted is not None and video.transcoded_from == wanted:
            # It was replaced, and the new file waits for its seal.
            if video.sha256 is None:
                return None
            wanted = video.sha256
        if not os.path.lexists(path):
            return found(Kind.VIDEO_MISSING, "it is not there")
        try:
            actual = fingerprint(path, lambda: False)
        except OSError as error:
            return found(Kind.UNREADABLE, f"{error.strerror}")
        if actual is None or actual.sha256 == wanted:
            return None
        other = self._hashes.get(actual.sha256)
        if other is not None and other[0] != video.id:
            recording_id, order_id, take = other
            return found(
                Kind.VIDEO_SWAPPED,
                f"this is the video of order {order_id}, take {take} (recording {recording_id})",
            )
        differs = f"its SHA-256 is {actual.sha256}, sealed was {wanted}"
        return found(Kind.VIDEO_CHANGED, differs + self._repairs.get(video.id, ""))

    def _still(self, video: _Video, sealed: _Sealed) -> Iterator[Finding]:
        wanted = sealed.facts.get(STILL)
        if wanted is None:
            return
        path = still_path(self._path(video))
        try:
            actual = fingerprint(path, lambda: False)
            why = "" if actual and actual.sha256 == wanted else "it is not what was sealed"
        except OSError as error:
            why = f"{error.strerror}"
        if why:
            yield Finding(
                Kind.STILL_CHANGED, f"{path}: {why}", video.order_id, video.id, sealed.number
            )


def _repair_of(tables: Tables, recording_id: str) -> str:
    """In words, the last repair after the recording had been sealed; empty if there is none."""
    events = tables.events
    query = events.select().where(
        events.recording_id == recording_id, events.event == SEALED_REPAIRED
    )
    found = query.order_by(events.id.desc()).first()
    if found is None:
        return ""
    return (
        f"; it was repaired by recorderd on {found.at:%Y-%m-%d %H:%M} UTC, after it had been "
        f"sealed ({found.detail})"
    )


def _is_fresh(path: Path) -> bool:
    try:
        return abs(time.time() - path.stat().st_mtime) < _FRESH_SECONDS
    except OSError:
        return False


def _video(row: Recording) -> _Video:
    return _Video(row.id, row.order_id, row.path, row.sha256, row.transcoded_from)


def _between(first: int, last: int) -> str:
    return f"Seal {first}" if first == last else f"Seals {first} to {last}"


def _are(first: int, last: int) -> str:
    return "is" if first == last else "are"
