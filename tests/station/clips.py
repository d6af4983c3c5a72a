"""Short videos of labels on the bench, with a frame counter burnt into every picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np

from recorderd.bench.clips import write_encoded, write_jpegs
from recorderd.engine.sources.bench_scene import BenchPictures, read_counter
from recorderd.engine.sources.bench_script import Place, Scene, Thing

WIDTH, HEIGHT = 1280, 720
LABEL_SPOT = (0.5, 0.5)


def scene(order_id: str | None) -> Scene:
    """A parcel, and this order's label held before the camera."""
    places = [Place(Thing.PARCEL, 0.5, 0.45, "0")]
    if order_id is not None:
        places.append(Place(Thing.LABEL, *LABEL_SPOT, order_id, raised=True))
    return Scene(tuple(places))


def write_clip(
    path: Path,
    acts: Sequence[tuple[float, str | None]],
    rate: int = 15,
    codec: str = "mjpeg",
    size: tuple[int, int] = (WIDTH, HEIGHT),
) -> int:
    """Write what is shown for how many seconds; returns the number of pictures.

    With another codec than MJPEG the pictures are encoded, a keyframe every second.
    """
    pictures = BenchPictures(*size)
    shown = [order_id for seconds, order_id in acts for _ in range(round(seconds * rate))]
    jpegs = (pictures.jpeg(scene(order_id), number) for number, order_id in enumerate(shown))
    if codec == "mjpeg":
        write_jpegs(path, jpegs, rate, size)
    else:
        write_encoded(path, jpegs, rate, size, codec)
    return len(shown)


def counters(video: Path, *, damaged: bool = False) -> list[int | None]:
    """The number burnt into each picture of a video, in the order they are shown.

    With `damaged`, pictures that do not decode are passed over, as a player does.
    """
    found = []
    with av.open(str(video)) as container:
        for packet in container.demux(video=0):
            try:
                frames = packet.decode()
            except av.InvalidDataError:
                if not damaged:
                    raise
                continue
            for frame in frames:
                plane = frame.planes[0]
                rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
                found.append(read_counter(rows[: frame.height, : frame.width]))
    return found
