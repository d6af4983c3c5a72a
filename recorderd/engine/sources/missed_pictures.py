"""Pictures that a camera's driver has lost: told from the times of those that came."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from statistics import median_low
from typing import Final

from recorderd.core.model import Nanoseconds
from recorderd.engine.packets import SourcePacket

_REMEMBERED: Final = 31
"""Intervals whose median is the camera's rate: in poor light it takes its pictures more slowly."""
_FEWEST: Final = 10
_LATE: Final = 1.75
"""Times the usual interval. A driver's time stamps jitter by a fifth of it at most."""
_MOST: Final = 1000
_MOST_LATE_IN_A_ROW: Final = 3


class MissedPictures:
    """For one camera session whose pictures have the kernel's time stamps. One thread.

    When nobody takes pictures from a driver in time, it overwrites them and says so in a number
    (V4L2's `sequence`) that FFmpeg does not pass on.
    """

    def __init__(self) -> None:
        self._last_ns: Nanoseconds | None = None
        self._intervals: deque[Nanoseconds] = deque(maxlen=_REMEMBERED)
        self._damaged = 0
        self._gaps: list[int] = []

    def told_with(self, picture: SourcePacket) -> SourcePacket:
        """This picture, with how many are known to be missing besides those that came damaged.

        They are told with the first picture that comes in time again: of a camera that goes
        slower none does, and none is missing.
        """
        before_ns = self._last_ns or 0
        return replace(picture, missed=self._missing(picture), missed_before_ns=before_ns)

    def _missing(self, picture: SourcePacket) -> int:
        if not picture.data:
            self._damaged += 1
            return 0
        captured_ns = picture.captured_ns
        last, self._last_ns = self._last_ns, captured_ns
        damaged, self._damaged = self._damaged, 0
        if last is None or captured_ns <= last:
            return 0
        interval = captured_ns - last
        is_late = False
        if len(self._intervals) >= _FEWEST:
            usual = median_low(self._intervals)
            is_late = interval >= _LATE * usual
            if is_late:
                self._gaps.append(min(_MOST, max(0, round(interval / usual) - 1 - damaged)))
        self._intervals.append(interval)
        if is_late:
            return 0
        gaps, self._gaps = self._gaps, []
        return sum(gaps) if len(gaps) <= _MOST_LATE_IN_A_ROW else 0
