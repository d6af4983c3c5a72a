"""The one thread that writes the catalogue: jobs in order, tried until they succeed."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, TypeVar

from recorderd.core.events import FaultCleared, FaultRaised
from recorderd.core.model import Fault
from recorderd.errors import CatalogueError
from recorderd.store.catalogue import Catalogue
from recorderd.store.database import CatalogueUnavailableError

CatalogueListener: TypeAlias = Callable[[FaultRaised | FaultCleared], None]
"""Takes an event from the catalogue's thread and returns at once."""

_FIRST_PAUSE_SECONDS: Final = 0.1
_LONGEST_PAUSE_SECONDS: Final = 1.0
"""So soon rows follow their videos once the cause of an outage is gone, however long it lasted.
One attempt a second, opening included, costs a station nothing that it needs."""
_PATIENCE_SECONDS: Final = 1.0
"""A failure must be heard within two seconds: one to try again, one to spare."""
_LAST_ATTEMPT_SECONDS: Final = 5.0
"""What one attempt may take beyond the deadline: waiting for a lock, or for a server."""

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class _Entry:
    job: Callable[[Catalogue], Any]
    done: Callable[[Any], None]


class CatalogueThread:
    """Owns the catalogue. Jobs run one after another in the order they were submitted.

    While the database fails, the first job is tried again and again with growing pauses and
    the database is opened anew each time, so that the station goes on by itself when the
    cause is gone. The listener hears FaultRaised once a second of trying was in vain (at once
    if waiting cannot help, such as for a damaged database) and FaultCleared after the next
    success.

    `open_catalogue` runs on the thread. `crash` is told of anything but CatalogueError that a
    job raises: a bug; the job is dropped. `clock` counts seconds, and `wait` waits for an
    event for at most so many seconds of that clock.
    """

    def __init__(
        self,
        open_catalogue: Callable[[], Catalogue],
        listener: CatalogueListener,
        crash: Callable[[Exception], None],
        *,
        capacity: int = 10_000,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[threading.Event, float], object] = threading.Event.wait,
    ) -> None:
        self._open_catalogue = open_catalogue
        self._listener = listener
        self._crash = crash
        self._capacity = capacity
        self._clock = clock
        self._wait = wait
        self._jobs: deque[_Entry] = deque()
        self._changed = threading.Condition()
        self._hurry = threading.Event()
        self._give_up_at: float | None = None
        self._catalogue: Catalogue | None = None
        self._reported: str | None = None
        self._thread = threading.Thread(target=self._run, name="catalogue")
        self._thread.start()

    def submit(self, job: Callable[[Catalogue], _Result], done: Callable[[_Result], None]) -> None:
        """Put a job at the end of the queue; any thread, never waits.

        `done` is called on the catalogue's thread with the result of the committed job.
        Raises CatalogueError when the queue is full or closed: the job will not be done.
        """
        with self._changed:
            if self._give_up_at is not None:
                raise CatalogueError("The catalogue is closed", "Nothing need be done")
            if len(self._jobs) >= self._capacity:
                raise CatalogueError(
                    f"The catalogue has not taken the last {self._capacity} entries",
                    "Mend what the fault of the catalogue says; the videos are kept",
                )
            self._jobs.append(_Entry(job, done))
            self._changed.notify()

    @property
    def waiting(self) -> int:
        """How many jobs are queued. Any thread."""
        return len(self._jobs)

    def close(self, deadline_seconds: float) -> int:
        """Do what is queued, then close the database and end the thread.

        Returns how many jobs could not be done within the deadline; they are gone.
        """
        with self._changed:
            if self._give_up_at is None:
                self._give_up_at = self._clock() + deadline_seconds
            self._changed.notify()
        self._hurry.set()
        self._thread.join(deadline_seconds + _LAST_ATTEMPT_SECONDS)
        with self._changed:
            return len(self._jobs)

    def _run(self) -> None:
        self._persist(_Entry(_nothing, _nothing))  # opens the database
        while (entry := self._next()) is not None:
            if not self._persist(entry):
                break
            with self._changed:
                self._jobs.popleft()
        self._close_catalogue()

    def _next(self) -> _Entry | None:
        """Wait for a job; it stays in the queue until it is done. None when it is time to end."""
        with self._changed:
            self._changed.wait_for(lambda: self._jobs or self._give_up_at is not None)
            too_late = self._give_up_at is not None and self._clock() >= self._give_up_at
            return self._jobs[0] if self._jobs and not too_late else None

    def _persist(self, entry: _Entry) -> bool:
        """Try a job until it succeeds or proves to be a bug; False if the deadline came first."""
        began = self._clock()
        pause = _FIRST_PAUSE_SECONDS
        while True:
            try:
                if self._catalogue is None:
                    self._catalogue = self._open_catalogue()
                result = entry.job(self._catalogue)
            except CatalogueError as error:
                self._close_catalogue()
                now = self._clock()
                impatient_at = began + _PATIENCE_SECONDS
                if now >= impatient_at or not isinstance(error, CatalogueUnavailableError):
                    self._report(str(error))
                if self._given_up(now):
                    return False
                self._pause(min(pause, impatient_at - now) if now < impatient_at else pause)
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
            except Exception as error:
                self._crash(error)
                return True
            else:
                self._cleared()
                self._deliver(entry, result)
                return True

    def _deliver(self, entry: _Entry, result: Any) -> None:
        try:
            entry.done(result)
        except Exception as error:
            self._crash(error)

    def _report(self, problem: str) -> None:
        if problem != self._reported:
            self._reported = problem
            self._listener(FaultRaised(Fault.CATALOGUE, problem))

    def _cleared(self) -> None:
        if self._reported is not None:
            self._reported = None
            self._listener(FaultCleared(Fault.CATALOGUE))

    def _given_up(self, now: float) -> bool:
        with self._changed:
            return self._give_up_at is not None and now >= self._give_up_at

    def _pause(self, seconds: float) -> None:
        with self._changed:
            give_up_at = self._give_up_at
        if give_up_at is not None:
            seconds = max(0.0, min(seconds, give_up_at - self._clock()))
        self._wait(self._hurry, seconds)
        # Being closed cuts short one pause, not those that follow.
        self._hurry.clear()

    def _close_catalogue(self) -> None:
        if self._catalogue is not None:
            self._catalogue.close()
            self._catalogue = None


def _nothing(_: object) -> None:
    """Stand in for a job that has nothing to do and for an ear that does not listen."""
