"""What the finisher does now, published for `recorderd status` and the staff pages."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from recorderd.settings import Settings
from recorderd.station.status import publish, withdraw
from recorderd.store.chores import Finished
from recorderd.store.identity import boot_id
from recorderd.store.records import Failure

PUBLISH_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Doing:
    """The job at hand; `fraction` of it is done, from 0 to 1, None while that is not known."""

    job: str
    recording_id: str
    order_id: str
    since: datetime
    since_ns: int
    fraction: float | None = None


class Progress:
    """What is published. The finisher's thread changes it, the publisher's reads it."""

    def __init__(self, settings: Settings, resting: Callable[[], bool] = lambda: False) -> None:
        """`resting` tells whether the job at hand waits for the station to be ready."""
        self._station = settings.station.name
        self._resting = resting
        self._lock = threading.Lock()
        self._doing: Doing | None = None
        self._waiting: Mapping[str, int] = {}
        self._done: dict[str, int] = {}
        self._failing = 0
        self._last_failure: Failure | None = None
        self._hindrance: str | None = None

    def begins(self, job: str, recording: Finished) -> None:
        with self._lock:
            self._doing = Doing(
                job, recording.id, recording.order_id, datetime.now(UTC), time.monotonic_ns()
            )

    def moves(self, fraction: float) -> None:
        """So much of the job at hand is done."""
        with self._lock:
            if self._doing is not None:
                self._doing = replace(self._doing, fraction=min(1.0, max(0.0, fraction)))

    def ends(self, *, done: bool) -> None:
        with self._lock:
            if done and self._doing is not None:
                self._done[self._doing.job] = self._done.get(self._doing.job, 0) + 1
            self._doing = None

    def counted(
        self, waiting: Mapping[str, int], failing: int, last_failure: Failure | None
    ) -> None:
        with self._lock:
            self._waiting, self._failing, self._last_failure = waiting, failing, last_failure

    def hindered(self, by: str | None) -> None:
        """Why nothing can be done at all just now; None if nothing hinders."""
        with self._lock:
            self._hindrance = by

    def document(self) -> dict[str, Any]:
        with self._lock:
            now = time.monotonic_ns()
            doing, failure = self._doing, self._last_failure
            return {
                "updated_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
                "monotonic_ns": now,
                "boot_id": boot_id(),
                "pid": os.getpid(),
                "station": self._station,
                "doing": None if doing is None else _doing(doing, now),
                "resting": doing is not None and self._resting(),
                "waiting": dict(self._waiting),
                "done": dict(self._done),
                "failing": self._failing,
                "last_failure": None if failure is None else _failure(failure),
                "hindrance": self._hindrance,
            }


def _doing(doing: Doing, now: int) -> dict[str, Any]:
    return {
        "job": doing.job,
        "recording_id": doing.recording_id,
        "order": doing.order_id,
        "percent": None if doing.fraction is None else int(100 * doing.fraction),
        "since": doing.since.isoformat(timespec="milliseconds"),
        "seconds": round((now - doing.since_ns) / 1e9, 1),
    }


def _failure(failure: Failure) -> dict[str, Any]:
    return {
        "job": failure.job,
        "recording_id": failure.recording_id,
        "at": failure.at.isoformat(timespec="milliseconds"),
        "tries": failure.tries,
        "retry_at": (
            None if failure.retry_at is None else failure.retry_at.isoformat(timespec="seconds")
        ),
        "problem": failure.problem,
        "remedy": failure.remedy,
    }


class Publisher:
    """A thread that replaces the file once a second.

    To be started before the finisher steps back: what it says must stay fresh while the
    station leaves no processor time over.
    """

    def __init__(self, file: Path, progress: Progress) -> None:
        self._file = file
        self._progress = progress
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="progress")
        self._thread.start()

    def close(self, *, take_away: bool) -> None:
        """End the thread and, if all ended in order, let nobody read what was last said."""
        self._closing.set()
        self._thread.join()
        if take_away:
            withdraw(self._file)

    def _run(self) -> None:
        while True:
            with suppress(OSError):  # without a run folder nobody can read it
                publish(self._file, self._progress.document())
            if self._closing.wait(PUBLISH_SECONDS):
                return


def cut_short(file: Path) -> tuple[str, str] | None:
    """The job and the recording a finisher of this boot was at when it died, if one did.

    One that ended in an orderly way has taken its file away.
    """
    try:
        document = json.loads(file.read_bytes())
        doing = document["doing"]
        if document["boot_id"] != boot_id() or doing is None:
            return None
        return str(doing["job"]), str(doing["recording_id"])
    except (OSError, ValueError, TypeError, KeyError):
        return None
