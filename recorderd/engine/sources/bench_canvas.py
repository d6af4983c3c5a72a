"""Drawing for the simulated bench: shapes, noise and shadows on a picture with opacity.

Everything is drawn in "design pixels" of a picture 3840 wide and scaled by `unit`, the
picture's width over 3840, so that a small picture shows the same bench.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from recorderd.engine.sources.jpeg_splice import Picture

DESIGN_WIDTH = 3840

Colour: TypeAlias = tuple[float, float, float]
"""Blue, green, red, 0..255."""
Point: TypeAlias = tuple[float, float]
Values: TypeAlias = NDArray[np.float32]
"""Height x width numbers, one for each pixel."""

INK: Colour = (30, 30, 30)


@dataclass(frozen=True, eq=False)
class Sprite:
    """A thing with soft edges: `picture` is already multiplied by its opacity.

    `opacity` is 0..255 for each pixel; `anchor` is the pixel that is put at a place.
    """

    picture: Picture
    opacity: NDArray[np.uint8]
    anchor: tuple[int, int]

    @cached_property
    def transparency(self) -> Picture:
        return cv2.merge([255 - self.opacity] * 3).astype(np.uint8)


class Canvas:
    """Drawing with design coordinates on a picture with opacity."""

    def __init__(self, width: float, height: float, unit: float, seed: int) -> None:
        self.unit = unit
        self.width, self.height = self.length(width), self.length(height)
        self.picture = np.zeros((self.height, self.width, 3), np.uint8)
        self.opacity = np.zeros((self.height, self.width), np.uint8)
        self._random = np.random.default_rng(seed)

    def length(self, design_pixels: float) -> int:
        return max(1, round(design_pixels * self.unit))

    def points(self, *points: Point) -> NDArray[np.int32]:
        return np.array([[round(x * self.unit), round(y * self.unit)] for x, y in points], np.int32)

    def polygon(self, colour: Colour, *points: Point) -> None:
        cv2.fillPoly(self.picture, [self.points(*points)], colour, cv2.LINE_AA)
        cv2.fillPoly(self.opacity, [self.points(*points)], 255, cv2.LINE_AA)

    def line(self, colour: Colour, thickness: float, *points: Point) -> None:
        size = self.length(thickness)
        cv2.polylines(self.picture, [self.points(*points)], False, colour, size, cv2.LINE_AA)
        cv2.polylines(self.opacity, [self.points(*points)], False, 255, size, cv2.LINE_AA)

    def disc(self, colour: Colour, centre: Point, radius: float) -> None:
        where = tuple(int(v) for v in self.points(centre)[0])
        cv2.circle(self.picture, where, self.length(radius), colour, -1, cv2.LINE_AA)
        cv2.circle(self.opacity, where, self.length(radius), 255, -1, cv2.LINE_AA)

    def text(self, text: str, at: Point, height: float, widest: float = 1e6) -> None:
        # The capital letters of this font are 21 pixels high at scale 1.
        font, scale = cv2.FONT_HERSHEY_SIMPLEX, height * self.unit / 21
        thickness = max(1, round(scale * 1.6))
        (width, _), _ = cv2.getTextSize(text, font, scale, thickness)
        scale *= min(1.0, widest * self.unit / width)
        where = self.points(at)[0].tolist()
        cv2.putText(self.picture, text, where, font, scale, INK, thickness, cv2.LINE_AA)

    def blur(self, sigma: float) -> None:
        self.picture = cv2.GaussianBlur(self.picture, (0, 0), max(0.3, sigma * self.unit)).astype(
            np.uint8
        )

    def grain(self, strength: float) -> None:
        """Add the fine noise of a camera; a patch of it repeats, which nobody can see."""
        patch = self._random.standard_normal((512, 512), np.float32) * strength
        times = (-(-self.height // 512), -(-self.width // 512))
        self.shade(np.tile(patch, times)[: self.height, : self.width])

    def fibres(self, strength: float, length: float, thickness: float) -> None:
        """Add streaks from left to right: the grain of wood, the fibres of cardboard."""
        across = max(2, round(self.width / self.length(length)))
        down = max(2, round(self.height / max(1.0, thickness * self.unit)))
        noise = self._random.standard_normal((down, across), np.float32) * strength
        self.shade(_resized(noise, self.width, self.height))

    def shade(self, change: Values, left: int = 0, top: int = 0) -> None:
        """Make pixels lighter or darker by so many grey levels, from a corner on."""
        height, width = change.shape
        part = self.picture[top : top + height, left : left + width]
        change = change[: part.shape[0], : part.shape[1]]
        part[:] = cv2.add(part, cv2.merge([change] * 3), dtype=cv2.CV_8U)

    def shadow_below(self, left: float, top: float, right: float, bottom: float) -> None:
        """Darken the bench around a thing that lies there, more to the lower right."""
        margin = 70
        corner = self.points((left - margin, top - margin))[0]
        x, y = max(0, int(corner[0])), max(0, int(corner[1]))
        width = self.length(right - left + 2 * margin)
        height = self.length(bottom - top + 2 * margin)
        soft = np.zeros((height, width), np.float32)
        inner = self.points(
            (margin + 10, margin + 14), (margin + right - left + 16, margin + bottom - top + 22)
        )
        cv2.rectangle(soft, inner[0].tolist(), inner[1].tolist(), 60.0, -1)
        self.shade(-blurred(soft, 14 * self.unit), x, y)

    def sprite(self, anchor: Point, shadow: float = 0.0) -> Sprite:
        """Finish: with `shadow` the thing darkens what is around it, that far."""
        solid: Values = self.opacity.astype(np.float32) / np.float32(255)
        picture = self.picture.astype(np.float32) * solid[:, :, None]
        opacity = solid
        if shadow:
            across, down = (round(shadow * share * self.unit) for share in (0.35, 0.5))
            dark = np.zeros_like(solid)
            dark[down:, across:] = solid[: self.height - down, : self.width - across]
            dark = blurred(dark, shadow * 0.4 * self.unit) * np.float32(0.55)
            opacity = solid + (1 - solid) * dark
        x, y = self.points(anchor)[0].tolist()
        return Sprite(picture.astype(np.uint8), (opacity * 255).astype(np.uint8), (x, y))


def _resized(values: Values, width: int, height: int) -> Values:
    return cv2.resize(values, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.float32)


def blurred(values: Values, sigma: float) -> Values:
    """A Gaussian blur; a wide one is done on a smaller picture, being smooth anyway."""
    height, width = values.shape
    divisor = max(1, int(sigma / 4))
    small = cv2.resize(
        values, (-(-width // divisor), -(-height // divisor)), interpolation=cv2.INTER_AREA
    )
    small = cv2.GaussianBlur(small, (0, 0), max(0.3, sigma / divisor))
    return _resized(small.astype(np.float32), width, height)
