"""Has something moved? Told from how many bytes a camera's pictures take, at no cost.

A JPEG of a camera that compresses each picture alike is as long as its picture is busy (ITU-T
T.81: few bits where nothing is). A label that comes into a 4K picture of a bench adds one to two
in a hundred, while pictures of a bench at rest differ by less than a tenth of that (measured on
the simulated bench). A camera that holds a bit rate instead shows much noise, and little is told.
A picture that builds on others (H.264) is as long as it differs from them.
"""

from __future__ import annotations

from typing import Final

_LEAST_SHARE: Final = 0.002
_TIMES_THE_NOISE: Final = 6.0
_REMEMBERED: Final = 32
"""So many pictures make up what is taken for noise."""
_LARGEST_STEP: Final = 4.0
"""Of the noise so far, that one picture may add: a label is no noise."""

_LONG: Final = 1.6
"""Times the usual size of a picture in which nothing moves."""
_LITTLE_LONGER: Final = 1.2
_USUAL_OF: Final = 1024
"""Pictures; half a minute."""


class PacketSizes:
    """Compares each picture of one camera session with the one that was scanned. One thread."""

    def __init__(self) -> None:
        self._newest: int | None = None
        self._scanned: int | None = None
        self._noise = 0.0

    def follow(self, size: int) -> bool:
        """Take note of the next picture, of so many bytes; whether it differs from the one that
        was scanned last. Before any was, nothing differs."""
        floor = _LEAST_SHARE * size
        if self._newest is not None:
            step = min(abs(size - self._newest), _LARGEST_STEP * self._noise + floor)
            self._noise += (step - self._noise) / _REMEMBERED
        self._newest = size
        if self._scanned is None:
            return False
        return abs(size - self._scanned) > max(floor, _TIMES_THE_NOISE * self._noise)

    def scanned(self, size: int) -> None:
        """A picture of so many bytes was searched for labels."""
        self._scanned = size


class Movement:
    """Does something move? Told from the sizes of pictures that are no keyframes. One thread.

    What is usual follows what is shorter at once, and what is longer slowly: while hands move
    for a minute, it has not become usual.
    """

    def __init__(self) -> None:
        self._usual: float | None = None

    def follow(self, size: int) -> bool:
        usual = self._usual
        if usual is None:
            self._usual = float(size)
            return True
        if size < usual:
            self._usual = usual + (size - usual) / 4
        else:
            self._usual = usual + (min(float(size), _LITTLE_LONGER * usual) - usual) / _USUAL_OF
        return size > _LONG * usual
