"""What the station does now, in words for the pages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from recorderd.settings import Settings
from recorderd.station.ledger import Stage
from recorderd.status import (
    NotRunning,
    about,
    finisher_now,
    free_bytes,
    orders_left,
    status_now,
    work_in_words,
)
from recorderd.store.reader import RecordingRow
from recorderd.store.records import UNSYNCHRONISED

TRANSCODE: Final = "transcode"
_SHOWN: Final = (
    "updated_at",
    "station",
    "phase",
    "order",
    "signal",
    "recording_seconds",
    "faults",
    "clock",
    "mode",
    "disk",
    "recordings",
    "counters",
)
_CAMERA: Final = ("codec", "width", "height", "rate", "pixel_format")
_PUBLISHED_WITHIN: Final = timedelta(seconds=5)
"""The station publishes what it does every second."""
FINISHER: Final = (
    "doing",
    "resting",
    "waiting",
    "done",
    "failing",
    "last_failure",
    "hindrance",
)
_PHASES: Final = {
    "ready": "is ready",
    "recording": "is recording",
    "closing": "is saving",
}


@dataclass(frozen=True, slots=True)
class Live:
    """One look at the station. `document` is what the API shows of it.

    `recording_id` is the recording that runs just now.
    """

    level: str
    headline: str
    details: tuple[str, ...]
    faults: tuple[str, ...]
    recording_id: str | None
    document: Mapping[str, Any]


def look(settings: Settings, typical_bytes: int | None) -> Live:
    """Read what the station published. May wait for the disk; raises nothing."""
    status = status_now(settings)
    finisher = finisher_now(settings)
    shown = {"finisher": finisher and {key: finisher.get(key) for key in FINISHER}}
    if isinstance(status, NotRunning):
        return Live(
            level="off",
            headline=f"{settings.station.name} is not running",
            details=("Videos can be watched all the same.", *_background(finisher)),
            faults=(),
            recording_id=None,
            document={"running": False, "station": settings.station.name} | shown,
        )
    document: dict[str, Any] = {"running": True} | {key: status.get(key) for key in _SHOWN}
    document |= shown
    camera = _mapping(status.get("camera"))
    document["camera"] = {key: camera.get(key) for key in _CAMERA} if camera else None
    left = orders_left(settings, free_bytes(status), typical_bytes)
    document["orders_left"] = left
    faults = tuple(str(text) for text in _mapping(status.get("faults")).values())
    doing = _PHASES.get(str(status.get("phase")), "is starting")
    order = status.get("order")
    details = ["camera ok" if camera and "camera" not in _mapping(status.get("faults")) else ""]
    if left is not None:
        details.append(f"about {about(left)} orders of space left")
    if status.get("clock") == UNSYNCHRONISED:
        details.append("clock not set")
    details += _background(finisher)
    recording = status.get("phase") == "recording"
    return Live(
        level="fault" if faults else "recording" if recording else "ready",
        headline=f"{status.get('station')} {doing}{f' {order}' if order else ''}",
        details=tuple(filter(None, details)),
        faults=faults,
        recording_id=_recording_id(status) if recording else None,
        document=document,
    )


def _background(finisher: Mapping[str, Any] | None) -> list[str]:
    """What the finisher does, as far as somebody may be waiting for it."""
    if finisher is None:
        return []
    encoding = _mapping(finisher.get("doing")).get("job") == TRANSCODE
    waiting = _mapping(finisher.get("waiting")).get(TRANSCODE, 0)
    words = []
    if encoding:
        words.append(work_in_words({**finisher, "waiting": {TRANSCODE: waiting}}))
    elif waiting:
        words.append(f"{waiting} wait to be encoded" if waiting > 1 else "1 waits to be encoded")
    if finisher.get("failing"):
        words.append("not every video could be finished: tell the technician")
    return words


def _recording_id(status: Mapping[str, Any]) -> str | None:
    """The newest file of this order; the one before it may still be written to its end."""
    listed = status.get("recordings")
    written = [
        str(each.get("id"))
        for each in map(_mapping, listed if isinstance(listed, list) else [])
        if each.get("stage") == Stage.WRITING.value and each.get("order") == status.get("order")
    ]
    return written[-1] if written else None


def recorded_now(settings: Settings) -> frozenset[str]:
    """The ids of recordings that the station is busy with. May wait for the disk."""
    status = status_now(settings)
    if isinstance(status, NotRunning):
        return frozenset()
    listed = status.get("recordings")
    return frozenset(
        str(_mapping(each).get("id")) for each in (listed if isinstance(listed, list) else [])
    )


def is_cut_off(settings: Settings, row: RecordingRow) -> bool:
    """Whether a recording whose row says that it runs does not. May wait for the disk."""
    just_begun = timedelta(0) <= datetime.now(UTC) - row.started_at < _PUBLISHED_WITHIN
    return not just_begun and row.id not in recorded_now(settings)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
