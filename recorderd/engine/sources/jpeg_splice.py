"""A JPEG of which parts can be replaced without encoding the rest again.

Restart markers (ITU-T T.81, B.2.1 and E.1.4) cut the compressed data into segments that
do not depend on each other: the DC prediction begins anew in each. With a restart interval
that divides a row of MCUs, every segment is one tile of the picture, 16 pixels high in
4:2:0, and a tile that was encoded alone with the same tables fits into the same place.
"""

from __future__ import annotations

from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

Picture: TypeAlias = NDArray[np.uint8]
"""Height x width x 3, blue-green-red, 0..255."""

MCU_SIZE = 16
"""Pixels a side of a minimum coded unit when chroma is halved both ways (4:2:0)."""

_MARKER = 0xFF
_START_OF_SCAN = 0xDA
_END_OF_IMAGE = b"\xff\xd9"
_FIRST_RESTART, _LAST_RESTART = 0xD0, 0xD7
_RESTARTS = tuple(bytes((_MARKER, code)) for code in range(_FIRST_RESTART, _LAST_RESTART + 1))


class JpegTiles:
    """One picture as JPEG tiles: `columns` x `rows` of `tile_width` x 16 pixels.

    Tiles at the right and bottom edges may be smaller. Not for use by several threads.
    """

    def __init__(self, picture: Picture, quality: int, most_columns: int = 16) -> None:
        height, width = picture.shape[:2]
        self._width, self._height = width, height
        units = -(-width // MCU_SIZE)
        self.columns = next(n for n in range(most_columns, 0, -1) if units % n == 0)
        self.rows = -(-height // MCU_SIZE)
        self._interval = units // self.columns
        self.tile_width = self._interval * MCU_SIZE
        self._parameters = (
            cv2.IMWRITE_JPEG_QUALITY,
            quality,
            cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
            cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
            cv2.IMWRITE_JPEG_RST_INTERVAL,
            self._interval,
        )
        encoded = self._encoded(picture)
        scan = _scan_start(encoded)
        self._header = encoded[:scan]
        # Each segment is kept with the marker that follows it at its place, so that
        # putting the picture together is one join.
        self._original = [
            segment + self._mark(index) for index, segment in enumerate(_segments(encoded, scan))
        ]
        self._current = self._original.copy()

    def replace(self, column: int, row: int, part: Picture) -> None:
        """Put `part` at a tile and those to the right of and below it.

        Raises ValueError unless it is whole tiles or ends at the picture's edge.
        """
        height, width = part.shape[:2]
        at_right = column * self.tile_width + width == self._width
        at_bottom = row * MCU_SIZE + height == self._height
        if (width % self.tile_width and not at_right) or (height % MCU_SIZE and not at_bottom):
            raise ValueError(f"a part of {width} x {height} pixels does not fit the tiles")
        across = -(-width // self.tile_width)
        encoded = self._encoded(part)
        segments = _segments(encoded, _scan_start(encoded))
        for number, segment in enumerate(segments):
            index = (row + number // across) * self.columns + column + number % across
            self._current[index] = segment + self._mark(index)

    def restore(self, column: int, row: int) -> None:
        """Put the tile of the original picture back."""
        index = row * self.columns + column
        self._current[index] = self._original[index]

    def to_bytes(self) -> bytes:
        """The whole picture as it is now, an ordinary baseline JPEG."""
        return b"".join((self._header, *self._current))

    def _encoded(self, picture: Picture) -> bytes:
        ok, encoded = cv2.imencode(".jpg", picture, self._parameters)
        if not ok:
            raise ValueError("the picture cannot be encoded as JPEG")
        return encoded.tobytes()

    def _mark(self, index: int) -> bytes:
        if index == self.columns * self.rows - 1:
            return _END_OF_IMAGE
        return _RESTARTS[index % len(_RESTARTS)]


def _scan_start(encoded: bytes) -> int:
    """Where the entropy-coded data begin: after the header segments and the scan header."""
    position = 2
    while True:
        code = encoded[position + 1]
        position += 2 + int.from_bytes(encoded[position + 2 : position + 4], "big")
        if code == _START_OF_SCAN:
            return position


def _segments(encoded: bytes, scan: int) -> list[bytes]:
    """The entropy-coded data between the restart markers.

    A 0xFF that is data is followed by a zero byte, so a marker cannot be mistaken.
    """
    data = np.frombuffer(encoded, np.uint8, offset=scan)
    following = data[1:]
    candidates = np.flatnonzero(data[:-1] == _MARKER)
    codes = following[candidates]
    ends = candidates[(codes >= _FIRST_RESTART) & (codes <= _LAST_RESTART)] + scan
    starts = [scan, *(int(end) + 2 for end in ends)]
    return [
        encoded[start:end]
        for start, end in zip(
            starts, (*(int(end) for end in ends), len(encoded) - len(_END_OF_IMAGE)), strict=True
        )
    ]
