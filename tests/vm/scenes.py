"""What the simulated camera sees: pictures of a bench with a running number burnt in."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from recorderd.engine.sources.bench_scene import BenchPictures
from tests.station.clips import scene

NUMBERS = 60
"""Pictures in every scene. A camera that changes the scene goes on with the next number."""
ORDERS = ("PARCEL-1", "PARCEL-2", "PARCEL-3")
BENCH, BUSY = "bench", "busy"
"""A parcel and no label; and labels that follow one another for ever without a pause."""


def scenes(size: tuple[int, int]) -> Iterator[tuple[str, bytes]]:
    """Names and MJPEG files of all scenes, at this size."""
    pictures = BenchPictures(*size)

    def file(labels: list[str | None]) -> bytes:
        return b"".join(pictures.jpeg(scene(label), number) for number, label in enumerate(labels))

    yield BENCH, file([None] * NUMBERS)
    for order in ORDERS:
        yield order, file([order] * NUMBERS)
    share = NUMBERS // len(ORDERS)
    yield BUSY, file([order for order in ORDERS for _ in range(share)])


def whole(shown: Sequence[int | None]) -> int:
    """How many pictures there are until one is damaged or missing."""
    for count, (before, number) in enumerate(itertools.pairwise(shown), 1):
        if before is None or number is None or missing(before, number):
            return count
    return len(shown)


def missing(before: int, number: int) -> int:
    """How many pictures the camera sent between these two."""
    return (number - before - 1) % NUMBERS
