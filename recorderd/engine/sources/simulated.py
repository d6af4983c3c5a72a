"""A camera above a simulated packing bench, for try-outs and tests without hardware."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from fractions import Fraction

from recorderd.core.model import NANOSECONDS_PER_SECOND, Nanoseconds
from recorderd.engine.packets import SourcePacket, StreamDescription
from recorderd.engine.sources import demux
from recorderd.engine.sources.bench_scene import BenchPictures
from recorderd.engine.sources.bench_script import scene_at
from recorderd.engine.sources.stream_clock import ticks_to_nanoseconds
from recorderd.errors import InvariantViolationError
from recorderd.settings import CameraSettings

_DRIVER_BUFFERS = 8


class SimulatedSource:
    """Sends picture n at `started_ns` + n periods, whoever watches or not.

    So an engine that is restarted finds the bench where it would be by then. Like a
    driver it keeps a few pictures for a late reader; when they are too many, all but the
    newest are lost, and the gap in the burnt-in frame numbers shows it.
    """

    def __init__(
        self,
        camera: CameraSettings,
        started_ns: Nanoseconds,
        *,
        clock: Callable[[], Nanoseconds] = time.monotonic_ns,
        wait: Callable[[float], object] | None = None,
    ) -> None:
        self._width, self._height = camera.width, camera.height
        self._rate = Fraction(camera.rate).limit_denominator(1001)
        self._started_ns = started_ns
        self._clock = clock
        self._interrupted = threading.Event()
        self._wait = wait or self._interrupted.wait
        self._pictures: BenchPictures | None = None
        self._next_number = 0

    def open(self) -> StreamDescription:
        self._pictures = BenchPictures(self._width, self._height)
        return StreamDescription(
            codec="mjpeg",
            width=self._width,
            height=self._height,
            rate=self._rate,
            pixel_format="yuvj420p",
            full_range=True,
        )

    def read(self) -> SourcePacket | None:
        if self._pictures is None:
            raise InvariantViolationError("A camera was read before it was opened")
        newest = self._number_at(self._clock())
        number = self._next_number
        if newest - number > _DRIVER_BUFFERS or number == 0:
            number = newest
        due_ns = self._due(number)
        while (early_ns := due_ns - self._clock()) > 0 and not self._interrupted.is_set():
            self._wait(early_ns / NANOSECONDS_PER_SECOND)
        if self._interrupted.is_set():
            raise demux.interrupted("the simulated camera")
        self._next_number = number + 1
        seconds = float(number / self._rate)
        data = self._pictures.jpeg(scene_at(seconds), number)
        return SourcePacket(data, due_ns, due_ns, keyframe=True)

    def interrupt(self) -> None:
        self._interrupted.set()

    def close(self) -> None:
        self._pictures = None

    def _number_at(self, now: Nanoseconds) -> int:
        """The newest picture that is due."""
        elapsed = Fraction(now - self._started_ns, NANOSECONDS_PER_SECOND)
        return max(0, int(elapsed * self._rate))

    def _due(self, number: int) -> Nanoseconds:
        return self._started_ns + ticks_to_nanoseconds(number, 1 / self._rate)
