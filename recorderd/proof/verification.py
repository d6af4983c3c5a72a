"""Walking a station's chain of seals, and comparing rows and videos with what was sealed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from recorderd.core.model import RecordingState
from recorderd.finisher.fingerprint import fingerprint
from recorderd.proof.key import is_good, known_keys
from recorderd.proof.sealer import read_chain_end
from recorderd.proof.seals import STILL, Seal, chain_of, facts_of, newest_of
from recorderd.proof.stand_alone import Broken, change_between, key_in, read_seal
from recorderd.settings import Settings
from recorderd.store.chores import KEPT
from recorderd.store.footage import still_path
from recorderd.store.reader import reading
from recorderd.store.schema import Tables

_SECOND_LOOK_SECONDS: Final = 2.0
"""The finisher may be about to say that it replaced a file."""
_GONE: Final = (RecordingState.DELETING, RecordingState.DELETED)


class Kind(StrEnum):
    """What can be found, as the command prints it and programs read it."""

    SEAL_CHANGED = "seal changed"
    SEAL_MISSING = "seal missing"
    CHAIN_BROKEN = "chain broken"
    CHAIN_CUT = "end of the chain cut off"
    FORGED = "forged key"
    CONTRADICTION = "seals contradict each other"
    ROW_MISSING = "recording missing"
    FACT_CHANGED = "fact changed"
    VIDEO_CHANGED = "video changed"
    VIDEO_SWAPPED = "video swapped"
    VIDEO_MISSING = "video missing"
    STILL_CHANGED = "picture of the label changed"
    UNREADABLE = "not readable"


_TELL: Final = "Do not repair anything: copy the state folder and the disk first, then find out who"
REMEDIES: Final = {
    Kind.SEAL_CHANGED: f"Somebody wrote into the catalogue. {_TELL}",
    Kind.SEAL_MISSING: "Somebody took seals out of the catalogue, or it was put back from an older "
    "copy: look for them in exports, backups and the journal (journalctl -u recorderd-finisher)",
    Kind.CHAIN_BROKEN: f"Somebody wrote into the catalogue. {_TELL}",
    Kind.CHAIN_CUT: "If the catalogue was put back from an older copy, this is why. Else somebody "
    "took out the newest seals: the journal of recorderd-finisher lists what was sealed",
    Kind.FORGED: "If the state folder was moved or its key files were lost, put the old "
    "station-public-key.pem back beside the new one. Else these seals are not this station's",
    Kind.CONTRADICTION: f"Somebody changed a recording, and then it was sealed. {_TELL}",
    Kind.ROW_MISSING: "Somebody deleted a row of the catalogue, or it was put back from an older "
    "copy: the seal still says what was recorded; put back a newer backup",
    Kind.FACT_CHANGED: "Somebody changed the catalogue. What the seal says was so when it was made",
    Kind.VIDEO_CHANGED: "This file is not what was sealed: put it back from a backup, if there is "
    "one. Run it again if the finisher was just replacing it (deferred encoding)",
    Kind.VIDEO_SWAPPED: "Give the two files their names back; each name holds its recording's id",
    Kind.VIDEO_MISSING: "Look for it on other disks and in backups; its name holds the id",
    Kind.STILL_CHANGED: "The video shows the label, too: trust that, or put the picture back",
    Kind.UNREADABLE: "Use sudo, or the account the service runs as; check the disk and its cable",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it was sealed."""

    kind: Kind
    what: str
    order_id: str | None = None
    recording_id: str | None = None
    number: int | None = None

    @property
    def remedy(self) -> str:
        return REMEDIES[self.kind]


@dataclass(frozen=True, slots=True)
class KeySection:
    """Seals in a row that were signed with the same key."""

    station: str
    key: str
    first: int
    last: int
    known_from: Path | None


@dataclass(slots=True)
class _Sealed:
    """What is known of one recording by its seals."""

    newest: Seal
    document: dict[str, Any]

    @property
    def facts(self) -> dict[str, Any]:
        facts: dict[str, Any] = self.document["facts"]
        return facts


@dataclass(frozen=True, slots=True)
class _Row:
    id: str
    order_id: str
    state: str
    path: str
    seal: str | None
    facts: dict[str, Any]


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
    waiting: int = 0
    deleted: int = 0
    sections: list[KeySection] = field(default_factory=list)
    _sealed: dict[str, _Sealed] = field(default_factory=dict)
    _there: set[str] = field(default_factory=set)

    def __iter__(self) -> Iterator[Finding]:
        with reading(self.settings.database_url) as tables:
            rows = self._rows(tables)
            stations = sorted({row.facts["station"] for row in rows} | {self._station})
            found = [each for name in stations for each in self._walk(tables, name)]
        yield from found
        looked_at = [row for row in rows if self.order_id in (None, row.order_id)]
        self.recordings = len(looked_at)
        yield from self._rows_missing({row.id for row in rows})
        kept = [row for row in looked_at if row.state in KEPT]
        for row in looked_at:
            yield from self._compare(row)
        for number, row in enumerate(kept):
            sealed = self._sealed.get(row.id)
            if sealed is not None:
                self.progress(row.order_id, number + 1, len(kept))
                yield from self._video(row, sealed)

    @property
    def _station(self) -> str:
        return self.settings.station.name

    def _rows(self, tables: Tables) -> list[_Row]:
        row = tables.recordings
        here = (
            row.footage_id.is_null()
            if self.footage_id is None
            else (row.footage_id == self.footage_id)
        )
        query = row.select().where(here).order_by(row.started_at, row.id)
        return [_row(found) for found in query.iterator()]

    def _walk(self, tables: Tables, station: str) -> Iterator[Finding]:
        """The chain by itself: each link, and each link's hold on the one before."""
        keys = {self.key: Path("--key")} if self.key else known_keys(self.settings)
        before: Seal | None = None
        for seal in chain_of(tables, station):
            self.seals += 1
            self._there.add(seal.seal)
            number, expected = seal.number, 1 if before is None else before.number + 1
            if number != expected:
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
        self._sealed[seal.recording_id] = _Sealed(seal, document)

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

    def _rows_missing(self, there: set[str]) -> Iterator[Finding]:
        for recording_id, sealed in self._sealed.items():
            order_id = sealed.facts.get("order_id")
            if recording_id not in there and self.order_id in (None, order_id):
                yield Finding(
                    Kind.ROW_MISSING,
                    f"Seal {sealed.newest.number} is for take {sealed.facts.get('take')} of this "
                    "order, of which the catalogue knows nothing",
                    order_id=order_id,
                    recording_id=recording_id,
                    number=sealed.newest.number,
                )

    def _compare(self, row: _Row) -> Iterator[Finding]:
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
                f"The catalogue does not name its seal, {sealed.newest.number}, any more",
                row.order_id,
                row.id,
                sealed.newest.number,
            )
        try:
            what = change_between(sealed.facts, {**row.facts, STILL: sealed.facts.get(STILL)})
        except Broken as error:
            yield Finding(
                Kind.FACT_CHANGED, f"From seal to row: {error}", row.order_id, row.id,
                sealed.newest.number,
            )  # fmt: skip
        else:
            self.waiting += what != "same"

    def _video(self, row: _Row, sealed: _Sealed) -> Iterator[Finding]:
        path = self.settings.footage_folder / row.path
        for patience in (_SECOND_LOOK_SECONDS, None):
            finding = self._look(row, sealed, path)
            if finding is None or patience is None:
                break
            # It may have been replaced or deleted since the rows were read.
            time.sleep(patience)
            with reading(self.settings.database_url) as tables:
                again = tables.recordings.get_or_none(tables.recordings.id == row.id)
                newest = newest_of(tables, row.id)
            if again is None or again.state not in KEPT or newest is None:
                return
            row = _row(again)
            if newest.seal != sealed.newest.seal:
                document = read_seal(newest.statement, newest.seal, newest.signature, is_good)
                sealed = _Sealed(newest, document)
        if finding is not None:
            yield finding
        self.videos += 1
        yield from self._still(row, sealed, path)

    def _look(self, row: _Row, sealed: _Sealed, path: Path) -> Finding | None:
        facts, number = sealed.facts, sealed.newest.number

        def found(kind: Kind, what: str) -> Finding:
            return Finding(kind, f"{path}: {what}", row.order_id, row.id, number)

        wanted = facts.get("sha256")
        if row.facts["sha256"] is None and row.facts["transcoded_from"] == wanted:
            return None  # It was replaced, and the new file waits for its seal.
        if row.facts["transcoded_from"] == wanted and row.facts["sha256"]:
            wanted = row.facts["sha256"]
        if not os.path.lexists(path):
            return found(Kind.VIDEO_MISSING, "it is not there")
        try:
            actual = fingerprint(path, lambda: False)
        except OSError as error:
            return found(Kind.UNREADABLE, f"{error.strerror}")
        if actual is None or actual.sha256 == wanted:
            return None
        for other in self._sealed.values():
            if other.facts.get("sha256") == actual.sha256 and other.facts["id"] != row.id:
                return found(
                    Kind.VIDEO_SWAPPED,
                    f"this is the video of order {other.facts['order_id']}, take "
                    f"{other.facts['take']} (recording {other.facts['id']})",
                )
        return found(
            Kind.VIDEO_CHANGED, f"its SHA-256 is {actual.sha256}, sealed was {facts['sha256']}"
        )

    def _still(self, row: _Row, sealed: _Sealed, video: Path) -> Iterator[Finding]:
        wanted = sealed.facts.get(STILL)
        if wanted is None:
            return
        path = still_path(video)
        try:
            actual = fingerprint(path, lambda: False)
            why = "" if actual and actual.sha256 == wanted else "it is not what was sealed"
        except OSError as error:
            why = f"{error.strerror}"
        if why:
            yield Finding(
                Kind.STILL_CHANGED, f"{path}: {why}", row.order_id, row.id, sealed.newest.number
            )


def _row(found: Any) -> _Row:
    return _Row(found.id, found.order_id, found.state, found.path, found.seal, facts_of(found))


def _between(first: int, last: int) -> str:
    return f"Seal {first}" if first == last else f"Seals {first} to {last}"


def _are(first: int, last: int) -> str:
    return "is" if first == last else "are"
