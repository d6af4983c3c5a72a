"""Small videos made on the spot, for the tests of the sources."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

WIDTH, HEIGHT = 160, 120


def write_video(
    path: Path,
    *,
    codec: str = "libx264",
    count: int = 30,
    rate: Fraction = Fraction(30),
    options: dict[str, str] | None = None,
    container_format: str | None = None,
) -> None:
    """Write `count` pictures, each of another grey; the container follows from the name."""
    with av.open(str(path), "w", format=container_format) as container:
        stream = container.add_stream(codec, rate=rate, options=options or {})
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height = WIDTH, HEIGHT
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for number in range(count):
            picture = np.full((HEIGHT, WIDTH, 3), number * 5 % 256, np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


class FakeTime:
    """A clock that only moves when somebody waits."""

    def __init__(self, now: int = 5_000_000_000) -> None:
        self.now = now
        self.waits: list[float] = []

    def clock(self) -> int:
        return self.now

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += round(seconds * 1_000_000_000)
