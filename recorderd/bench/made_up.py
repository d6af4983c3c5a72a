"""A made-up catalogue of any size, such as years of packing leave behind."""

from __future__ import annotations

import random
import sqlite3
import string
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import chain, islice
from pathlib import Path
from typing import Any, Final

from recorderd.core.model import Mode, RecordingState, StopReason, Symbology
from recorderd.store.database import open_for_writing, transaction, translated
from recorderd.store.migrations import NUMBER_ALL
from recorderd.store.schema import microseconds, migrate, search_text

BEGIN: Final = datetime(2024, 7, 1, 6, tzinfo=UTC)
LENGTH: Final = timedelta(days=730)
_KEPT: Final = timedelta(days=400)
"""Videos older than this were deleted; their rows stay."""
RETURNS: Final = "returns"
STATIONS: Final = ("bench-1", "bench-2", "bench-3", RETURNS)
"""The last one packs the orders that come back, and no others."""
_SEED: Final = 4711
_NANOSECONDS_PER_MICROSECOND: Final = 1000
_LETTERS: Final = string.ascii_letters + string.digits
_PROGRESS: Final = 10
_SOME: Final = 1000
_ONE_BY_ONE: Final = 50
"""One recording of so many is entered as a station does it."""
_CACHE_KIB: Final = 256 * 1024
_TRIGGER: Final = "SELECT sql FROM sqlite_master WHERE name = 'recording_fragments_insert'"
_OPTIMIZE: Final = "INSERT INTO recording_fragments (recording_fragments) VALUES ('optimize')"
_UNUSUAL: Final = (
    (0.010, RecordingState.RECOVERED),
    (0.013, RecordingState.DAMAGED),
    (0.015, RecordingState.LOST),
)
"""Which share of the recordings, all before counted in, ends so."""


def recordings(count: int) -> Iterator[dict[str, Any]]:
    """Make rows of the table of recordings, as they are stored, oldest first; always the same.

    Their orders are numbered in sequence, tracking numbers of 20 digits, returns, and codes
    in web addresses; some have several takes and parts.
    """
    chance = random.Random(_SEED)
    spacing = LENGTH / max(1, count)
    number = 0
    takes: list[tuple[str, str, int]] = []
    while number < count:
        if takes and chance.random() < 0.04:
            index = chance.randrange(len(takes))
            order_id, label_text, take = takes[index]
            take += 1
            takes[index] = (order_id, label_text, take)
        else:
            order_id, label_text = _order(chance, number)
            take = 1
            # Orders are packed again soon or never.
            takes = [*takes[-50:], (order_id, label_text, take)]
        parts = 2 if chance.random() < 0.01 else 1
        continues = None
        for part in range(1, min(parts, count - number) + 1):
            begun = BEGIN + spacing * number + spacing * chance.random() / 2
            state = _state(chance, begun)
            if number >= count - len(STATIONS):
                state = RecordingState.RECORDING
            row = _row(chance, begun, state, order_id, label_text, take, part, continues)
            yield row
            continues = row["id"]
            number += 1


def _order(chance: random.Random, number: int) -> tuple[str, str]:
    """The order id and the text of its label."""
    kind = chance.random()
    if kind < 0.6:
        order_id = f"SO-{number:07}"
        return order_id, order_id
    if kind < 0.8:
        order_id = f"003404341610{number * 7919 % 10**8:08}"
        return order_id, order_id
    if kind < 0.85:
        order_id = f"RMA-{BEGIN.year + number % 3}-{number:06}"
        return order_id, order_id
    code = "".join(chance.choices(_LETTERS, k=9))
    return code, f"https://parcels.example/t/{code}?shop={chance.randrange(40)}&lang=de"


def _state(chance: random.Random, begun: datetime) -> RecordingState:
    share = chance.random()
    state = next((name for below, name in _UNUSUAL if share < below), RecordingState.SAVED)
    is_gone = begun < BEGIN + LENGTH - _KEPT and state is not RecordingState.LOST
    return RecordingState.DELETED if is_gone else state


def _row(
    chance: random.Random,
    begun: datetime,
    state: RecordingState,
    order_id: str,
    label_text: str,
    take: int,
    part: int,
    continues: str | None,
) -> dict[str, Any]:
    started_at = microseconds(begun)
    seconds = chance.uniform(20, 400)
    is_gone = state is RecordingState.DELETED
    recording_id = _recording_id(chance, started_at)
    return {
        "id": recording_id,
        "order_id": order_id,
        "label_text": label_text,
        "search_text": search_text(*dict.fromkeys((order_id, label_text))),
        "symbology": Symbology.QR.value,
        "take": take,
        "part": part,
        "continues": continues,
        "station": RETURNS if order_id.startswith("RMA") else chance.choice(STATIONS[:-1]),
        "footage_id": "0b6f1c52-9f0e-4e53-8f7d-3a1c5a7f9e10",
        "state": state.value,
        "problem": None,
        "stop_reason": chance.choice((StopReason.LABEL, StopReason.OTHER_LABEL)).value,
        "recovered": state is RecordingState.RECOVERED,
        "started_at": started_at,
        "ended_at": started_at + round(seconds * 1e6),
        "boot_id": "6f0c2f4e-1d0b-4d0e-9a57-0a5d9f5f6f11",
        "monotonic_ns": (started_at - microseconds(BEGIN)) * _NANOSECONDS_PER_MICROSECOND,
        "clock": "synchronised",
        "duration_ms": round(seconds * 1000),
        "path": f"{begun:%Y/%m/%d}/{begun:%H%M%S}_{recording_id}.mp4",
        "bytes": round(seconds * 2.5e6),
        "codec": "h264",
        "encoder": "libx264",
        "mode": Mode.ENCODE.value,
        "width": 3840,
        "height": 2160,
        "frames": round(seconds * 30),
        "dropped": 0 if chance.random() < 0.999 else 3,
        "flagged": chance.random() < 0.005,
        "held": False,
        "void": False,
        "sha256": f"{chance.getrandbits(256):064x}",
        "previous_seal": None,
        "seal": None,
        "crc32": chance.getrandbits(32),
        "sealed": "deleted" if is_gone else "kept",
        "transcoded_from": None,
        "deleted_at": started_at + round(_KEPT.total_seconds() * 1e6) if is_gone else None,
    }


def _recording_id(chance: random.Random, started_at_us: int) -> str:
    """A UUIDv7, as the station makes them."""
    random_bits = f"{chance.getrandbits(74):019x}"
    text = f"{started_at_us // 1000:012x}7{random_bits[:3]}8{random_bits[3:18]}"
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def make_catalogue(file: Path, count: int, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Make a catalogue of `count` recordings; returns some of its rows, of all ages.

    The newest ones are entered one by one, so that the index of fragments is in such pieces as
    a station leaves. Takes about a minute for a million. Raises CatalogueError.
    """
    some: list[dict[str, Any]] = []

    def noted() -> Iterator[dict[str, Any]]:
        for number, row in enumerate(recordings(count)):
            if number % max(1, count // _PROGRESS) == 0:
                say(f"Making a catalogue: {number} of {count} recordings")
            if number % max(1, count // _SOME) == 0:
                some.append(row)
            yield row

    url = f"sqlite:///{file}"
    rows = noted()
    database = open_for_writing(url, busy_seconds=1.0)
    try:
        with translated(url):
            migrate(database)
            connection: sqlite3.Connection = database.connection()  # type: ignore[no-untyped-call]
            connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
            with transaction(database):
                (trigger,) = connection.execute(_TRIGGER).fetchone()
                connection.execute("DROP TRIGGER recording_fragments_insert")
                _insert(connection, islice(rows, count - count // _ONE_BY_ONE))
                connection.execute(NUMBER_ALL)
                connection.execute(_OPTIMIZE)
                connection.execute(trigger)
            with transaction(database):
                _insert(connection, rows)
    finally:
        database.close()
    return some


def _insert(connection: sqlite3.Connection, rows: Iterator[dict[str, Any]]) -> None:
    for first in rows:
        columns, marks = ", ".join(first), ", ".join(f":{name}" for name in first)
        sql = f"INSERT INTO recordings ({columns}) VALUES ({marks})"  # noqa: S608 - our own names
        connection.executemany(sql, chain((first,), rows))
