"""Footage without a row: the catalogue failed while it was recorded, then the power did.

Everything a row needs was written into the file's tags when the recording began.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from uuid import UUID

from recorderd.core.model import Order, RecordingId, StopReason, Symbology
from recorderd.settings import Settings
from recorderd.station.clock import UNSYNCHRONISED
from recorderd.station.ledger import Entry, Stage
from recorderd.store.catalogue import NewRecording
from recorderd.store.footage import files_for, stored_path


def tags_of(new: NewRecording) -> dict[str, str]:
    """What is written into a new video, so that it can speak for itself."""
    return {
        "title": new.order.order_id,
        "order_id": new.order.order_id,
        "label_text": new.order.label_text,
        "symbology": new.order.symbology.value,
        "recording_id": new.id,
        "part": str(new.part),
        "station": new.station,
        "creation_time": new.started_at.isoformat(),
        "started_at": new.started_at.isoformat(),
        "started_monotonic_ns": str(new.monotonic_ns),
        "boot_id": new.boot_id,
        "clock": new.clock,
    }


def candidates(incoming: Path, known: Iterable[RecordingId]) -> list[Path]:
    """Videos in the incoming folder whose names are recording ids that nobody works on."""
    found = []
    at_work = set(known)
    for path in sorted(incoming.glob("*.mp4")):
        try:
            name = str(UUID(path.stem))
        except ValueError:
            continue
        if name == path.stem and name not in at_work:
            found.append(path)
    return found


def row_for(
    recording_id: RecordingId, tags: Mapping[str, str], settings: Settings
) -> NewRecording | None:
    """The row this video would have had; None if its tags do not tell.

    It becomes a take of its own: which part of which take it was to be, only the lost row knew.
    """
    try:
        order = Order(tags["order_id"], tags["label_text"], Symbology(tags["symbology"]))
        started_at = datetime.fromisoformat(tags["started_at"])
        monotonic_ns = int(tags["started_monotonic_ns"])
    except (KeyError, ValueError):
        return None
    if tags.get("recording_id") != recording_id or started_at.tzinfo is None:
        return None
    files = files_for(settings, recording_id, order.order_id, started_at)
    return NewRecording(
        id=recording_id,
        order=order,
        part=1,
        continues=None,
        station=settings.station.name,
        path=stored_path(settings, files.video),
        started_at=started_at,
        monotonic_ns=monotonic_ns,
        boot_id=tags.get("boot_id", ""),
        clock=tags.get("clock", UNSYNCHRONISED),
    )


def lying_at(new: NewRecording, stored: str | None) -> NewRecording:
    """The same row for a video that is in the footage folder already, wherever that is."""
    return new if stored is None else replace(new, path=stored)


def entry_of(new: NewRecording, settings: Settings) -> Entry:
    """An orphan's place among the recordings that are on their way."""
    return Entry(
        new.id,
        new.order,
        new.part,
        files_for(settings, new.id, new.order.order_id, new.started_at),
        new.started_at,
        new.monotonic_ns,
        stage=Stage.SALVAGING,
        stop_reason=StopReason.POWER_LOST,
        recovered=True,
    )
