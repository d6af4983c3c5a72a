"""What systemd is told: ready, alive, what is going on (sd_notify(3))."""

from __future__ import annotations

import os
from collections.abc import Callable


def _notifier() -> Callable[[str], object]:
    """systemd's own, only where systemd listens: the library is not needed elsewhere."""
    if not os.environ.get("NOTIFY_SOCKET"):
        return lambda _message: None
    from systemd.daemon import notify

    tell: Callable[[str], object] = notify
    return tell


class Watchdog:
    """Speaks to the service manager. Used by the station's main thread."""

    def __init__(self, notify: Callable[[str], object] | None = None) -> None:
        self._notify = notify or _notifier()
        self._ready = False
        self._status = ""

    def ready(self) -> None:
        """The station can record; said once."""
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

    def stopping(self) -> None:
        self._notify("STOPPING=1")
