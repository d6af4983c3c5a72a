"""What systemd is told of the station: ready, alive, what is going on (sd_notify(3))."""

from __future__ import annotations

import time

from recorderd.core.model import NANOSECONDS_PER_SECOND
from recorderd.service_manager import Notifier, notifier


class Watchdog:
    """Speaks to the service manager. Used by the station's main thread."""

    def __init__(self, notify: Notifier | None = None) -> None:
        self._notify = notify or notifier()
        self._ready = False
        self._status = ""

    def ready(self) -> None:
        """The station can record; said once, and once more after `reloading`."""
        if not self._ready:
            self._ready = True
            self._notify("READY=1")

    def alive(self) -> None:
        """Called only while the station really works: silence makes systemd restart it."""
        self._notify("WATCHDOG=1")

    def status(self, text: str) -> None:
        """One line for `systemctl status`."""
        line = " ".join(text.split())  # A line break would begin another message.
        if line != self._status:
            self._status = line
            self._notify(f"STATUS={line}")

    def reloading(self) -> None:
        """The station begins anew with other settings, in the same process."""
        self._ready = False
        self._notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        self._notify("STOPPING=1")

    def more_time(self, seconds: float) -> None:
        """Stopping may take so much longer, counted from now (TimeoutStopSec=)."""
        self._notify(f"EXTEND_TIMEOUT_USEC={round(seconds * NANOSECONDS_PER_SECOND / 1000)}")
