"""A page of paper as plain shapes, which each format draws in its own way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

WIDTH: Final = 210.0
HEIGHT: Final = 297.0
"""A4, in millimetres. Everything that matters keeps a centimetre from its edges, so that it is
printed on US Letter (216 x 279 mm) as well."""

POINTS_PER_MILLIMETRE: Final = 72 / 25.4


@dataclass(frozen=True, slots=True)
class Area:
    """A black polygon; corners in millimetres from the upper left corner of the page."""

    corners: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Frame:
    """A thin grey rectangle, to cut along; millimetres from the upper left corner."""

    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Text:
    """One line that begins at `left` on the base line `bottom` (mm); `size` is in points."""

    left: float
    bottom: float
    size: float
    text: str
    bold: bool = False


Shape: TypeAlias = Area | Frame | Text
Page: TypeAlias = tuple[Shape, ...]


def rectangle(left: float, top: float, width: float, height: float) -> Area:
    """A black one."""
    right, bottom = left + width, top + height
    return Area(((left, top), (right, top), (right, bottom), (left, bottom)))
