"""How large a QR code's modules (its small squares) are in a picture."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from recorderd.engine.locator import Luma

_SMALLEST, _LARGEST, _STEP = 21, 177, 4
"""Modules along a side: of QR versions 1 and 40, and from one to the next (ISO/IEC 18004)."""

_LEAST_PIXELS = 1.5
_LEAST_MATCH = 0.5
_TIMING = 6
"""The row and the column in which dark and light modules alternate, from finder to finder."""


def module_pixels(luma: Luma, corners: Sequence[tuple[float, float]]) -> float | None:
    """The width of one module in pixels; None if it cannot be told.

    `corners` are the code's four corners as fractions of the picture, around it in either
    direction. A reader does not say of how many modules a code is made, so each size there is
    gets compared with the picture: only with the right one do the two timing patterns fit.
    """
    height, width = luma.shape
    quad = np.array([(x * width, y * height) for x, y in corners], dtype=np.float32)
    if quad.shape != (4, 2):
        return None
    side = float(np.mean(np.linalg.norm(quad - np.roll(quad, 1, axis=0), axis=1)))
    square = np.array([(0, 0), (1, 0), (1, 1), (0, 1)], dtype=np.float32)
    placed = cv2.getPerspectiveTransform(square, quad)
    best, modules = _LEAST_MATCH, None
    for count in range(_SMALLEST, min(_LARGEST, int(side / _LEAST_PIXELS)) + 1, _STEP):
        match = _match(luma, placed, count)
        if match > best:
            best, modules = match, count
    return side / modules if modules else None


def _match(luma: Luma, placed: cv2.typing.MatLike, count: int) -> float:
    """1 if the timing patterns of a code of `count` modules lie here, about 0 if not.

    Which way up the code is, is not known: they lie along two sides that meet.
    """
    numbers = np.arange(_TIMING, count - _TIMING)
    along = (numbers + 0.5) / count
    deep = np.full(along.shape, (_TIMING + 0.5) / count)
    lines = np.array([(along, deep), (1 - deep, along), (1 - along, 1 - deep), (deep, 1 - along)])
    points = lines.transpose(0, 2, 1).reshape(1, -1, 2).astype(np.float32)
    spots = cv2.perspectiveTransform(points, placed)[0]
    read = cv2.remap(luma, spots[:, :1], spots[:, 1:], cv2.INTER_LINEAR)
    values: NDArray[np.float64] = np.asarray(read, dtype=np.float64).reshape(4, -1)
    values -= values.mean(axis=1, keepdims=True)
    spread = values.std(axis=1)
    signs = np.where(numbers % 2 == 0, -1.0, 1.0)
    fits = (values * signs).mean(axis=1) / np.maximum(spread, 4.0)
    return float((fits + np.roll(fits, 1)).max()) / 2
