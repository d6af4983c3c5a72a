"""Pictures that a camera's driver has lost: told from the times of those that came."""

from __future__ import annotations

from collections import deque
from statistics import median_low
from typing import Final

from recorderd.core.model import Nanoseconds

_REMEMBERED: Final = 31
"""Intervals whose median is the camera's rate: in poor light it takes its pictures more slowly."""
_FEWEST: Final = 10
_LATE: Final = 1.75
"""Times the usual interval. A driver's time stamps jitter by a fifth of it at most."""
_MOST: Final = 1000


class MissedPictures:
    """For one camera session whose pictures have the kernel's time stamps. One thread.

    When nobody takes pictures from a driver in time, it overwrites them and says so in a number
    (V4L2's `sequence`) that FFmpeg does not pass on.
    """

    def __init__(self) -> None:
        self._last_ns: Nanoseconds | None = None
        self._intervals: deque[Nanoseconds] = deque(maxlen=_REMEMBERED)

    def follow(self, captured_ns: Nanoseconds) -> int:
        """How many pictures are missing between the last one and this one."""
        last, self._last_ns = self._last_ns, captured_ns
        if last is None or captured_ns <= last:
            return 0
        interval = captured_ns - last
        missing = 0
        if len(self._intervals) >= _FEWEST:
            usual = median_low(self._intervals)
            if interval >= _LATE * usual:
                missing = min(_MOST, round(interval / usual) - 1)
        self._intervals.append(interval)
        return missing
