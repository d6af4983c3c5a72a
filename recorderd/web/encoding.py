"""How far the encoding of a recording is that browsers cannot play yet, for its page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from recorderd.settings import Settings
from recorderd.status import finisher_now
from recorderd.store.reader import RecordingRow
from recorderd.store.records import Failure
from recorderd.store.search import job_failure
from recorderd.web.library import plays_in_browsers
from recorderd.web.live import TRANSCODE
from recorderd.web.words import when

STATES: Final = ("running", "waiting", "failed", "stopped")
_FINISHED: Final = ("saved", "recovered")


@dataclass(frozen=True, slots=True)
class Encoding:
    """`state` is one of STATES; `percent` is known while it runs; `text` says it in words."""

    state: str
    percent: int | None
    text: str


def look_at_encoding(settings: Settings, row: RecordingRow) -> Encoding | None:
    """What becomes of a video that is still to be encoded; None if that is not its case.

    May wait for the disk. Raises CatalogueError.
    """
    if plays_in_browsers(row) or row.state not in _FINISHED:
        return None
    finisher = finisher_now(settings)
    doing = _mapping((finisher or {}).get("doing"))
    if finisher and doing.get("recording_id") == row.id and doing.get("job") == TRANSCODE:
        return _running(doing.get("percent"), bool(finisher.get("resting")))
    failure = job_failure(settings.database_url, row.id, TRANSCODE)
    if failure is not None:
        return Encoding("failed", None, _failed(failure))
    if finisher is None:
        return Encoding(
            "stopped", None, "The program that encodes does not run: tell the technician."
        )
    if finisher.get("hindrance"):
        return Encoding("waiting", None, f"It has to wait: {finisher['hindrance']}.")
    others = _mapping(finisher.get("waiting")).get(TRANSCODE, 0) - 1
    rest = f" {others} more wait, too." if others > 0 else ""
    return Encoding("waiting", None, f"It waits for its turn.{rest}")


def _running(percent: object, resting: bool) -> Encoding:
    known = percent if isinstance(percent, int) else None
    done = "" if known is None else f": {known} % are done"
    rests = ". It rests while an order is recorded" if resting else ""
    return Encoding("running", known, f"It is being encoded{done}{rests}.")


def _failed(failure: Failure) -> str:
    again = (
        "It is not tried again by itself: tell the technician"
        if failure.retry_at is None
        else f"It is tried again: {when(failure.retry_at)}"
    )
    return f"The encoding failed. {failure.problem}. {again}."


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
