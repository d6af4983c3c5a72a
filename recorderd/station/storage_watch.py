"""Looks after the footage folder once a second, on a thread of its own: a disk may hang."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeAlias

from recorderd.core.events import DiskMeasured, FaultCleared, FaultRaised
from recorderd.core.model import Fault, Nanoseconds
from recorderd.errors import StorageError
from recorderd.settings import Settings
from recorderd.store import footage

StorageListener: TypeAlias = Callable[[FaultRaised | FaultCleared | DiskMeasured], None]

PERIOD_SECONDS = 1.0


class StorageWatch:
    """Begins once the catalogue has said which footage folder is ours.

    `on_adopted` is told the id of a folder that was taken into use for the first time.
    """

    def __init__(
        self,
        settings: Settings,
        listener: StorageListener,
        on_adopted: Callable[[str], None],
    ) -> None:
        self._settings = settings
        self._listener = listener
        self._on_adopted = on_adopted
        self._footage_id: str | None = None
        self._prepared = False
        self._closing = threading.Event()
        self._woken = threading.Event()
        """Set by `doubt` and `close`: the next look is now."""
        self._answered_ns: Nanoseconds | None = None
        self._thread = threading.Thread(target=self._run, name="storage watch")

    def start(self, footage_id: str | None) -> None:
        """`footage_id` is what the catalogue knows; None for a new catalogue."""
        self._footage_id = footage_id
        self._answered_ns = time.monotonic_ns()
        self._thread.start()

    def close(self, timeout: float) -> None:
        self._closing.set()
        self._woken.set()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def doubt(self) -> None:
        """A file could not be written: all is well again once writing was tried, and not before.

        A disk that fails may still look writable (Linux 6.15 and later do not mark an ext4
        that gave up as read-only). Any thread.
        """
        self._woken.set()

    @property
    def silent_for(self) -> Nanoseconds:
        """How long the disk has not answered; 0 before `start`."""
        return 0 if self._answered_ns is None else time.monotonic_ns() - self._answered_ns

    def _run(self) -> None:
        while not self._closing.is_set():
            if self._woken.is_set():
                self._woken.clear()
                self._prepared = False
            problem, free_bytes = self._look()
            self._answered_ns = time.monotonic_ns()
            if problem is not None:
                self._listener(FaultRaised(Fault.STORAGE, problem))
            else:
                self._listener(DiskMeasured(free_bytes))
                self._listener(FaultCleared(Fault.STORAGE))
            self._woken.wait(PERIOD_SECONDS)

    def _look(self) -> tuple[str | None, int]:
        """What is wrong, in words that say what to do, and the free bytes."""
        if self._prepared:
            health = footage.check(self._settings, self._footage_id or "")
            if health.problem is None:
                return None, health.free_bytes
            # Trying everything anew finds the remedy, or mends what is missing.
            self._prepared = False
        try:
            found = footage.prepare(self._settings, self._footage_id)
        except StorageError as error:
            return str(error), 0
        if self._footage_id is None:
            self._footage_id = found
            self._on_adopted(found)
        health = footage.check(self._settings, self._footage_id)
        self._prepared = health.problem is None
        return health.problem, health.free_bytes
