"""Entries on their way into the catalogue's event log, several in one transaction where they may.

Each transaction is forced onto the disk, and a memory card wears out by that: what only says how
the bench was used waits for company. What is about a recording, or a fault, does not wait.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from recorderd.core.model import Nanoseconds, nanoseconds
from recorderd.store.records import LogEntry

LONGEST_WAIT: Final = nanoseconds(5)
"""So much of the log is lost at most when the plug is pulled."""
MOST_WAITING: Final = 500
_AT_ONCE: Final = ("fault", "clock", "shift")
"""How the names of events begin that are written at once though they are about no recording."""


class EventLog:
    """Collects entries; `write` is given them in order. Used by the station's main thread."""

    def __init__(self, write: Callable[[tuple[LogEntry, ...]], None]) -> None:
        self._write = write
        self._waiting: list[LogEntry] = []
        self._since: Nanoseconds = 0

    def add(self, entry: LogEntry, now: Nanoseconds) -> None:
        """Take an entry; those that wait are written with one that does not."""
        if not self._waiting:
            self._since = now
        self._waiting.append(entry)
        hurried = entry.recording_id is not None or entry.event.startswith(_AT_ONCE)
        if hurried or len(self._waiting) >= MOST_WAITING:
            self.flush()

    def time_passed(self, now: Nanoseconds) -> None:
        """Write what has waited for long enough."""
        if self._waiting and now - self._since >= LONGEST_WAIT:
            self.flush()

    def flush(self) -> None:
        """Write all that waits."""
        if self._waiting:
            waiting, self._waiting = tuple(self._waiting), []
            self._write(waiting)
