"""How long something takes, counted as Prometheus counts it: in cumulative buckets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

SCAN_BOUNDS: Final = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5)
"""Seconds. A packer is answered within 150 ms; the scanner is given up after 2 s."""


@dataclass(frozen=True, slots=True)
class Histogram:
    """`within[i]` of the `count` lengths were at most `bounds[i]`; `seconds` is their sum.

    It never changes, so that every thread may read the one it is handed.
    """

    bounds: tuple[float, ...]
    within: tuple[int, ...]
    count: int
    seconds: float

    @classmethod
    def empty(cls, bounds: tuple[float, ...]) -> Histogram:
        """Nothing was counted yet. `bounds` are seconds, in rising order."""
        return cls(bounds, (0,) * len(bounds), 0, 0.0)

    def including(self, seconds: float) -> Histogram:
        """The same with one length more."""
        within = tuple(
            number + (seconds <= bound)
            for bound, number in zip(self.bounds, self.within, strict=True)
        )
        return Histogram(self.bounds, within, self.count + 1, self.seconds + seconds)


NO_SCANS: Final = Histogram.empty(SCAN_BOUNDS)
"""From the capture of a picture to the scanner's answer: none was scanned yet."""
