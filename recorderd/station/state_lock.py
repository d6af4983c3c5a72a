"""One station to a state folder: two would salvage each other's running recordings."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path

from recorderd.errors import StorageError

LOCK_NAME = "station.lock"
PATIENCE_SECONDS = 60.0
_RETRY_SECONDS = 0.1


class StateLock:
    """Held from construction until this process and all that inherited it have ended.

    The engine inherits it: when a station is killed, the next one waits until the old engine
    has closed its files (flock(2) belongs to the open file, not to a process).
    """

    def __init__(
        self,
        folder: Path,
        *,
        name: str = LOCK_NAME,
        patience_seconds: float = PATIENCE_SECONDS,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        """Wait for the lock of this name. Raises StorageError if another process keeps it."""
        self.descriptor = os.open(folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o660)
        tries = max(1, round(patience_seconds / _RETRY_SECONDS))
        for _ in range(tries):
            try:
                fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                sleep(_RETRY_SECONDS)
        self.release()
        raise StorageError(
            f"Another recorderd is working in {folder}",
            "Stop it first (systemctl stop recorderd), or give this one a state folder of its own",
        )

    def release(self) -> None:
        """Let go of our copy."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1
