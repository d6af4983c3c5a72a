"""How far away the camera may be, and how large a label must be then: plain geometry."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from recorderd.aim.words import GOOD_MODULE_PIXELS

SEEN_CENTIMETRES: Final = (30, 45, 60, 80, 100, 120, 150)
LENSES: Final = (60, 78, 90)
"""Degrees across the picture. Makers often write the angle from corner to corner, which is larger:
78 degrees across are about 86 from corner to corner at 16:9."""

CODES: Final = ((21, "up to 14 characters"), (25, "up to 26"), (29, "up to 42"))
"""Modules to a side, and what fits: versions 1 to 3 with error correction M (ISO/IEC 18004)."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the camera may be, and what labels must be then.

    `distances`: of the camera with each of LENSES, in centimetres. `module`: the least width of a
    module in millimetres. `edges`: the least length of a side of each of CODES in millimetres,
    without its white margin.
    """

    distances: tuple[float, ...]
    module: float
    edges: tuple[float, ...]


def placement(seen_centimetres: int, picture_width: int) -> Placement:
    """With a good margin. `seen_centimetres` of the bench are between the left and the right edge
    of the picture; `picture_width` in pixels.
    """
    millimetres_per_pixel = seen_centimetres * 10 / picture_width
    module = GOOD_MODULE_PIXELS * millimetres_per_pixel
    return Placement(
        tuple(seen_centimetres / 2 / math.tan(math.radians(degrees) / 2) for degrees in LENSES),
        module,
        tuple(module * modules for modules, _ in CODES),
    )


def table(picture_width: int) -> Iterator[str]:
    """What `recorderd aim --table` prints: lines of a table as Markdown has them."""
    lenses = " | ".join(f"{degrees}° lens" for degrees in LENSES)
    codes = " | ".join(f"{modules} modules ({fits})" for modules, fits in CODES)
    yield f"| bench seen | {lenses} | one module | {codes} |"
    yield "|" + "---|" * (2 + len(LENSES) + len(CODES))
    for seen in SEEN_CENTIMETRES:
        row = placement(seen, picture_width)
        distances = " | ".join(f"{distance:.0f} cm" for distance in row.distances)
        edges = " | ".join(f"{math.ceil(edge)} mm" for edge in row.edges)
        yield f"| {seen} cm | {distances} | {row.module:.1f} mm | {edges} |"
