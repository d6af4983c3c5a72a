"""Reports on their way to the station, sent by a thread of their own."""

from __future__ import annotations

import queue
import threading
from multiprocessing.connection import Connection

from recorderd.core.events import FrameScanned
from recorderd.engine.messages import Heartbeat, Report

LARGEST_BACKLOG = 1000


class Outbox:
    """Takes reports from any thread without ever making it wait for the station.

    If the station does not listen, heartbeats and scans are left out; all else is kept.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._queue: queue.SimpleQueue[Report | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._send, name="outbox")
        self._thread.start()

    def put(self, report: Report) -> None:
        if self._queue.qsize() > LARGEST_BACKLOG and isinstance(report, Heartbeat | FrameScanned):
            return
        self._queue.put(report)

    @property
    def waiting(self) -> int:
        """How many reports the station has not taken yet. Any thread."""
        return self._queue.qsize()

    def close(self, timeout: float) -> None:
        """Send what is queued, then stop."""
        self._queue.put(None)
        self._thread.join(timeout)

    def _send(self) -> None:
        while (report := self._queue.get()) is not None:
            try:
                self._connection.send(report)
            except OSError:
                return
