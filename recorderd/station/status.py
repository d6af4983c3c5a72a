"""The live status, published for `recorderd status` and the staff pages."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from recorderd.config import without_password
from recorderd.core.model import NANOSECONDS_PER_SECOND, Nanoseconds, StopReason
from recorderd.core.state import State
from recorderd.engine.messages import Heartbeat, StreamOpened
from recorderd.engine.outbox import LARGEST_BACKLOG
from recorderd.settings import Settings
from recorderd.station.ledger import Entry


@dataclass(frozen=True, slots=True)
class Queue:
    """How many things wait to be done, and how many may."""

    waiting: int
    limit: int


def document(
    settings: Settings,
    state: State,
    now: Nanoseconds,
    boot_id: str,
    stream: StreamOpened | None,
    heartbeat: Heartbeat | None,
    entries: list[Entry],
    counters: Mapping[str, int],
    stops: Mapping[StopReason, int],
    queues: Mapping[str, Queue],
    clock: str | None = None,
) -> dict[str, Any]:
    """Everything `status.json` says. `now` is the monotonic time of publication.

    `counters` and `stops` (why recordings ended) count since the station's start; what the
    engine counts begins anew with each engine.
    """
    active = state.recording
    progress = {p.recording_id: p for p in heartbeat.recordings} if heartbeat else {}
    return {
        "updated_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "monotonic_ns": now,
        "boot_id": boot_id,
        "pid": os.getpid(),
        "station": settings.station.name,
        "phase": state.phase.value,
        "order": state.order.order_id if state.order else None,
        "signal": state.signal.value if state.signal else None,
        "recording_seconds": (
            round((now - active.take_started_ns) / NANOSECONDS_PER_SECOND, 1) if active else None
        ),
        "clock": clock,
        "faults": {fault.value: text for fault, text in state.faults.items()},
        "pending": sorted(fault.value for fault in state.pending),
        "camera": (
            {
                "source": without_password(settings.camera.source),
                "codec": stream.codec,
                "width": stream.width,
                "height": stream.height,
                "rate": stream.rate,
                "pixel_format": stream.pixel_format,
            }
            if stream
            else None
        ),
        "mode": (
            {"mode": stream.mode, "encoder": stream.encoder, "reason": stream.reason}
            if stream
            else None
        ),
        "disk": {
            "free_bytes": state.free_bytes,
            "minimum_bytes": round(settings.storage.minimum_free_gigabytes * 1e9),
        },
        "recordings": [
            {
                "id": entry.recording_id,
                "order": entry.order.order_id,
                "part": entry.part,
                "stage": entry.stage.value,
                "frames": found.frames if (found := progress.get(entry.recording_id)) else None,
                "dropped": found.dropped if found else None,
                "waiting": found.waiting if found else None,
            }
            for entry in entries
        ],
        "counters": {
            **counters,
            **(
                {
                    "pictures": heartbeat.pictures,
                    "damaged_pictures": heartbeat.damaged,
                    "scans": heartbeat.scans,
                    "scanner_deaths": heartbeat.scanner_deaths,
                }
                if heartbeat
                else {}
            ),
        },
        "stops": {reason.value: stops.get(reason, 0) for reason in StopReason},
        "queues": {
            name: asdict(queue) for name, queue in {**queues, **_engine_queues(heartbeat)}.items()
        },
        "buffer": (
            {
                "pictures": heartbeat.buffer_pictures,
                "bytes": heartbeat.buffer_bytes,
                "limit_bytes": settings.recording.buffer_megabytes * 1_000_000,
            }
            if heartbeat
            else None
        ),
        "scanning": _scanning(heartbeat) if heartbeat else None,
    }


def _engine_queues(heartbeat: Heartbeat | None) -> dict[str, Queue]:
    return {"reports": Queue(heartbeat.reports_waiting, LARGEST_BACKLOG)} if heartbeat else {}


def _scanning(heartbeat: Heartbeat) -> dict[str, Any]:
    latency = heartbeat.scan_latency
    return {
        "seconds": round(heartbeat.scan_seconds, 3),
        "latency": {
            "within": [list(pair) for pair in zip(latency.bounds, latency.within, strict=True)],
            "count": latency.count,
            "seconds": round(latency.seconds, 3),
        },
    }


def publish(path: Path, contents: dict[str, Any]) -> None:
    """Replace the status file in one step. Raises OSError (the run folder is not there)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    half_written = path.with_suffix(".tmp")
    half_written.write_text(json.dumps(contents, ensure_ascii=True) + "\n")
    half_written.replace(path)


def withdraw(path: Path) -> None:
    """The station has ended: nobody shall read what it last said."""
    with suppress(OSError):
        path.unlink()
