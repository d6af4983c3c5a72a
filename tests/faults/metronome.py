"""How late this machine is: what a promise in seconds cannot be asked for beyond."""

from __future__ import annotations

import os
import threading
import time
from bisect import bisect_left, bisect_right
from functools import cache
from itertools import count, pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

_PERIOD: Final = 0.05
_BEATS_TO_A_SYNC: Final = 8
"""As often as a station syncs its footage here: more would itself keep the disk busy."""
_WINDOW_NS: Final = 2_000_000_000
_HOPS: Final = 3
"""Threads of the engine that a picture passes on its way to the disk, each of which may have to
wait as long as this one: the camera's, the recording's, the one that syncs."""


class Metronome:
    """Wakes up again and again, and syncs a byte now and then; on a machine with nothing else to do
    no beat is late. Only whoever reads a list that one thread appends to."""

    def __init__(self, folder: Path) -> None:
        self._file = os.open(folder / "beats", os.O_WRONLY | os.O_CREAT, 0o600)
        self._beats = [time.monotonic_ns()]
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="metronome", daemon=True)
        self._thread.start()

    def _beat(self) -> None:
        for number in count():
            if self._ended.wait(_PERIOD):
                return
            if number % _BEATS_TO_A_SYNC == 0:
                os.pwrite(self._file, b".", 0)
                os.fdatasync(self._file)
            self._beats.append(time.monotonic_ns())

    def close(self) -> None:
        self._ended.set()
        self._thread.join()
        os.close(self._file)

    def late_seconds(self, moment_ns: int) -> float:
        """By how much the machine may have delayed what had to be done before this moment."""
        beats = list(self._beats)
        first = max(0, bisect_left(beats, moment_ns - _WINDOW_NS) - 1)
        around = beats[first : bisect_right(beats, moment_ns) + 1]
        gaps = [(later - earlier) / 1e9 for earlier, later in pairwise(around)]
        # A beat that syncs at once takes hardly more than its period.
        late = max(gaps, default=0.0) - 1.5 * _PERIOD
        return _HOPS * late if late > 0.0 else 0.0


@cache
def metronome() -> Metronome:
    """Of this process."""
    folder = TemporaryDirectory(prefix="recorderd-beats-")
    made = Metronome(Path(folder.name))
    folder.cleanup()  # the file is open, and needs no name
    return made


os.register_at_fork(after_in_child=metronome.cache_clear)
