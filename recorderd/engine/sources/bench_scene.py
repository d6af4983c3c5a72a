"""Pictures of the simulated bench as a camera would send them: JPEG, with a frame counter.

Only what changed since the picture before is drawn and encoded again.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from recorderd.engine.sources import bench_sprites
from recorderd.engine.sources.bench_canvas import DESIGN_WIDTH, Sprite
from recorderd.engine.sources.bench_script import Place, Scene, Thing
from recorderd.engine.sources.jpeg_splice import MCU_SIZE, JpegTiles, Picture

COUNTER_LIMIT = 1 << 24
"""The frame counter begins anew at 0 when it comes here: after 6 days at 30 a second."""

_COUNTER_SQUARES = 32
_SQUARE = 32
_NUMBER_HEIGHT = 40
_COUNTER_WIDTH = _COUNTER_SQUARES * _SQUARE + 330
_QUALITY = 84
_DARK, _BRIGHT = 90, 165
_KEPT_LABELS = 4


@dataclass(frozen=True, slots=True)
class _Placed:
    """A sprite and the pixel of its upper left corner."""

    sprite: Sprite
    left: int
    top: int


@dataclass(frozen=True, slots=True)
class _Area:
    """Pixels from `left`, `top` to before `right`, `bottom`."""

    left: int
    top: int
    right: int
    bottom: int


class BenchPictures:
    """Draws and encodes scenes, `width` x `height`, in 4:2:0 JPEG, full range.

    Not for use by several threads. Calls in the order of time are the quick ones, but
    any order gives the same pictures.
    """

    def __init__(self, width: int, height: int) -> None:
        self._unit = width / DESIGN_WIDTH
        self._width, self._height = width, height
        self._background = bench_sprites.bench(width, height)
        self._canvas = self._background.copy()
        self._tiles = JpegTiles(self._background, _QUALITY)
        self._sprites: dict[tuple[Thing, str, bool], Sprite] = {
            (thing, "", False): bench_sprites.draw(Place(thing, 0, 0, ""), self._unit)
            for thing in Thing
            if thing is not Thing.LABEL
        }
        self._shown: tuple[_Placed, ...] = ()
        counter = _Area(0, 0, round(_COUNTER_WIDTH * self._unit), _counter_height(self._unit))
        self._counter_tiles = self._touched([counter])

    def jpeg(self, scene: Scene, frame_number: int) -> bytes:
        """The picture of this scene with `frame_number` burnt in, as a JPEG."""
        placed = tuple(self._placed(place) for place in scene.places)
        moved = set(placed) ^ set(self._shown)
        changed = self._touched(map(_area, moved)) | self._counter_tiles
        occupied = self._touched(map(_area, placed)) | self._counter_tiles
        self._shown = placed
        for row, column in np.argwhere(changed & ~occupied).tolist():
            self._tiles.restore(column, row)
        blocks = [self._pixels(block) for block in _blocks(changed & occupied)]
        for block in blocks:
            self._paint(block, placed)
        _burn_in(self._canvas, self._unit, frame_number % COUNTER_LIMIT)
        for block in blocks:
            self._tiles.replace(
                block.left // self._tiles.tile_width,
                block.top // MCU_SIZE,
                self._canvas[block.top : block.bottom, block.left : block.right],
            )
        return self._tiles.to_bytes()

    def _placed(self, place: Place) -> _Placed:
        sprite = self._sprite(place)
        x, y = sprite.anchor
        return _Placed(sprite, round(place.x * self._width) - x, round(place.y * self._height) - y)

    def _sprite(self, place: Place) -> Sprite:
        variant = place.variant if place.thing is Thing.LABEL else ""
        key = (place.thing, variant, place.raised and place.thing is Thing.LABEL)
        if key not in self._sprites:
            labels = [known for known in self._sprites if known[0] is Thing.LABEL]
            for old in labels[: len(labels) - _KEPT_LABELS + 1]:
                del self._sprites[old]
            self._sprites[key] = bench_sprites.draw(place, self._unit)
        return self._sprites[key]

    def _touched(self, areas: Iterable[_Area]) -> NDArray[np.bool_]:
        """Which tiles these areas touch: rows x columns."""
        grid = np.zeros((self._tiles.rows, self._tiles.columns), np.bool_)
        across, down = self._tiles.tile_width, MCU_SIZE
        for area in areas:
            rows = slice(max(0, area.top // down), max(0, -(-area.bottom // down)))
            columns = slice(max(0, area.left // across), max(0, -(-area.right // across)))
            grid[rows, columns] = True
        return grid

    def _pixels(self, block: _Area) -> _Area:
        """From tiles to pixels."""
        across, down = self._tiles.tile_width, MCU_SIZE
        return _Area(
            block.left * across,
            block.top * down,
            min(self._width, block.right * across),
            min(self._height, block.bottom * down),
        )

    def _paint(self, area: _Area, placed: tuple[_Placed, ...]) -> None:
        rows, columns = slice(area.top, area.bottom), slice(area.left, area.right)
        self._canvas[rows, columns] = self._background[rows, columns]
        for one in placed:
            _blend(self._canvas, one, area)


def read_counter(luma: NDArray[np.uint8]) -> int | None:
    """The frame number burnt into a picture of the bench, None if there is none to be read.

    `luma` is height x width, 0..255, full or limited range, of any size that still gives
    the squares a few pixels; it may have been compressed.
    """
    unit = luma.shape[1] / DESIGN_WIDTH
    number = 0
    for position in range(_COUNTER_SQUARES):
        left, right = (round((position + edge) * _SQUARE * unit) for edge in (0.25, 0.75))
        top, bottom = (round(edge * _SQUARE * unit) for edge in (0.25, 0.75))
        brightness = luma[top : max(bottom, top + 1), left : max(right, left + 1)].mean()
        if _DARK < brightness < _BRIGHT:
            return None
        number = number << 1 | (brightness >= _BRIGHT)
    counter, check = number >> 8, number & 0xFF
    return counter if check == _checksum(counter) else None


def _checksum(counter: int) -> int:
    """Tells a counter from other stripes; all black and all white are no counters."""
    return (counter * 0x9E3779B1 >> 16 ^ 0x5A) & 0xFF


def _counter_height(unit: float) -> int:
    return max(round(_SQUARE * unit), round(1.2 * _NUMBER_HEIGHT * unit)) + 1


def _burn_in(canvas: Picture, unit: float, counter: int) -> None:
    """Draw the strip of squares from the upper left corner on, then the number in digits."""
    bits = counter << 8 | _checksum(counter)
    edges = [round(position * _SQUARE * unit) for position in range(_COUNTER_SQUARES + 1)]
    bottom = round(_SQUARE * unit)
    for position in range(_COUNTER_SQUARES):
        bit = bits >> (_COUNTER_SQUARES - 1 - position) & 1
        canvas[:bottom, edges[position] : edges[position + 1]] = 255 * bit
    right = round(_COUNTER_WIDTH * unit)
    canvas[: _counter_height(unit), edges[-1] : right] = 20
    scale = _NUMBER_HEIGHT * 0.75 * unit / 21
    cv2.putText(
        canvas,
        f"{counter:08d}",
        (edges[-1] + round(20 * unit), round(_NUMBER_HEIGHT * unit)),
        cv2.FONT_HERSHEY_SIMPLEX,
        scale,
        (235, 235, 235),
        max(1, round(3 * unit)),
        cv2.LINE_AA,
    )


def _area(placed: _Placed) -> _Area:
    height, width = placed.sprite.opacity.shape
    return _Area(placed.left, placed.top, placed.left + width, placed.top + height)


def _blocks(grid: NDArray[np.bool_]) -> Iterator[_Area]:
    """Cut the marked tiles into rectangles; in tiles, none overlapping."""
    changes = np.flatnonzero((grid[1:] != grid[:-1]).any(axis=1)) + 1
    rows = [0, *changes.tolist(), len(grid)]
    for top, bottom in itertools.pairwise(rows):
        padded = np.concatenate(([False], grid[top], [False]))
        edges = np.flatnonzero(padded[1:] != padded[:-1]).tolist()
        for left, right in zip(edges[::2], edges[1::2], strict=True):
            yield _Area(left, top, right, bottom)


def _blend(canvas: Picture, placed: _Placed, area: _Area) -> None:
    """Lay the part of a sprite that falls into `area` over the canvas."""
    whole = _area(placed)
    left, top = max(whole.left, area.left), max(whole.top, area.top)
    right, bottom = min(whole.right, area.right), min(whole.bottom, area.bottom)
    if left >= right or top >= bottom:
        return
    source = (
        slice(top - whole.top, bottom - whole.top),
        slice(left - whole.left, right - whole.left),
    )
    below = canvas[top:bottom, left:right]
    dimmed = cv2.multiply(below, placed.sprite.transparency[source], scale=1 / 255)
    canvas[top:bottom, left:right] = cv2.add(dimmed, placed.sprite.picture[source])
