"""What is sealed of a recording, and the seals of a catalogue as plain data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from recorderd.errors import RecorderdError
from recorderd.proof.stand_alone import SEAL_FORMAT, Broken, canonical, hash_of, read_statement
from recorderd.store.schema import Recording, StoredSeal, Tables

_FACTS: Final = (
    "id",
    "order_id",
    "label_text",
    "symbology",
    "take",
    "part",
    "continues",
    "station",
    "started_at",
    "ended_at",
    "clock",
    "boot_id",
    "monotonic_ns",
    "duration_ms",
    "frames",
    "dropped",
    "codec",
    "encoder",
    "mode",
    "width",
    "height",
    "stop_reason",
    "recovered",
    "bytes",
    "sha256",
    "crc32",
    "transcoded_from",
    "deleted_at",
)
"""Columns of a row that are sealed. The others may lawfully change: where the file lies, the
state, and what staff say of a recording (flagged, held, void)."""
STILL: Final = "still_sha256"
"""The fact that is in no row: the hash of the label's picture, or None if there was none."""


class EvidenceError(RecorderdError):
    """What was sealed, and what is there now, contradict each other."""


@dataclass(frozen=True, slots=True)
class Seal:
    """One link of a station's chain, as it is stored."""

    station: str
    number: int
    recording_id: str
    statement: str
    seal: str
    signature: str


def facts_of(row: Recording) -> dict[str, Any]:
    """What of a row is sealed, as JSON has it; without the label's picture."""
    return {name: _plain(getattr(row, name)) for name in _FACTS}


def moment_text(moment: datetime) -> str:
    """A moment as it is sealed: RFC 3339 in UTC, with microseconds."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def statement_of(
    *,
    number: int,
    previous: str,
    station: str,
    what: str,
    facts: dict[str, Any],
    sealed_at: datetime,
    key: bytes,
) -> str:
    """The text that a seal's hash and signature are made of.

    `what` is "recorded", "replaced", "corrected" or "deleted"; `previous` the hash of the seal
    before of this station, empty for its first.
    """
    return canonical(
        {
            "format": SEAL_FORMAT,
            "number": number,
            "previous": previous,
            "station": station,
            "recording_id": facts["id"],
            "what": what,
            "sealed_at": moment_text(sealed_at),
            "key": key.hex(),
            "facts": facts,
        }
    )


def newest_of(tables: Tables, recording_id: str) -> Seal | None:
    """The newest seal of a recording."""
    seals = tables.seals
    query = seals.select().where(seals.recording_id == recording_id)
    found = query.order_by(seals.id.desc()).first()
    return None if found is None else seal_of(found)


def newest_of_station(tables: Tables, station: str) -> Seal | None:
    """The end of a station's chain."""
    seals = tables.seals
    found = seals.select().where(seals.station == station).order_by(seals.number.desc()).first()
    return None if found is None else seal_of(found)


def seals_of(tables: Tables, recording_id: str) -> list[Seal]:
    """All seals of a recording, oldest first."""
    seals = tables.seals
    query = seals.select().where(seals.recording_id == recording_id).order_by(seals.number)
    return [seal_of(found) for found in query]


def chain_of(tables: Tables, station: str) -> Iterator[Seal]:
    """A station's seals in the order of their numbers."""
    seals = tables.seals
    columns = (
        seals.station,
        seals.number,
        seals.recording_id,
        seals.statement,
        seals.seal,
        seals.signature,
    )
    query = seals.select(*columns).where(seals.station == station)
    for found in query.order_by(seals.number, seals.id).tuples().iterator():
        yield Seal(*found)


def time_stamps_of(tables: Tables, seals: Sequence[Seal]) -> dict[str, bytes]:
    """What an authority answered for seals, by the seal (RFC 3161, DER)."""
    stamps = tables.time_stamps
    query: Any = stamps.select(stamps.seal, stamps.response).where(
        stamps.seal.in_([seal.seal for seal in seals])
    )
    return {seal: bytes.fromhex(response) for seal, response in query.tuples()}


def seal_of(found: StoredSeal) -> Seal:
    """Turn a row of the database into plain data."""
    return Seal(
        found.station,
        found.number,
        found.recording_id,
        found.statement,
        found.seal,
        found.signature,
    )


def sealed_facts(seal: Seal) -> dict[str, Any]:
    """The facts in a seal. Raises EvidenceError if its text is not what it was."""
    try:
        if hash_of(seal.statement) != seal.seal:
            raise Broken("its text was changed")
        facts: dict[str, Any] = read_statement(seal.statement)["facts"]
    except Broken as error:
        raise EvidenceError(
            f"Seal {seal.number} cannot be used: {error}", "Run 'recorderd verify --all'"
        ) from error
    return facts


def _plain(value: Any) -> Any:
    return moment_text(value) if isinstance(value, datetime) else value
