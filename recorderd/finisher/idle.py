"""When background work may go on: not while the station needs the machine."""

from __future__ import annotations

import os
import threading

from recorderd.core.state import Phase
from recorderd.settings import Settings
from recorderd.status import NotRunning, status_now
from recorderd.store.database import sqlite_path

PLENTY_OF_PROCESSORS = 8
"""From here on a recording leaves enough over for background work."""


class Idleness:
    """Asks the station's published status; `leaving` is set when the process shall end."""

    def __init__(self, settings: Settings, leaving: threading.Event) -> None:
        self._settings = settings
        self._leaving = leaving
        self.resting = False
        """Whether a job waits just now; any thread may look."""

    def must_leave(self) -> bool:
        return self._leaving.is_set()

    def pause_while_recording(self) -> bool:
        """Wait until nothing is being recorded; True if the work shall be dropped instead."""
        while not self._leaving.is_set() and self.station_is_busy():
            self.resting = True
            self._leaving.wait(0.5)
        self.resting = False
        return self._leaving.is_set()

    def catalogue_exists(self) -> bool:
        """Whether the station has made the catalogue yet: making it is not our part."""
        path = sqlite_path(self._settings.database_url)
        return path is None or path.exists()

    def station_is_busy(self) -> bool:
        """Whether the station records on a machine that has nothing to spare."""
        if (os.cpu_count() or 1) >= PLENTY_OF_PROCESSORS:
            return False
        status = status_now(self._settings)
        return not isinstance(status, NotRunning) and status.get("phase") != Phase.READY
