"""The two readers of codes, zbar and zxing-cpp, behind one interface.

Runs only in the scanner process. zbar may abort the whole process on a hostile label
(zbar-py 1.0.4 frees an iconv handle twice on a QR with ECI 0 or 1), so nothing here may
be called from a process that must live.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
import zbar
import zxingcpp

from recorderd.core.model import Symbology
from recorderd.engine.locator import Luma


@dataclass(frozen=True, slots=True)
class Reading:
    """A code in a picture; `corners` are four (x, y) points in that picture's pixels."""

    text: str
    symbology: Symbology
    corners: tuple[tuple[float, float], ...]


class Reader(Protocol):
    """Reads every code in a picture. Used by one thread."""

    def read(self, luma: Luma) -> list[Reading]: ...


_MISTAKEN_ENCODINGS = ("shift_jis", "cp932", "latin-1", "big5", "cp437")


def repair_text(text: str) -> str:
    """Undo a reader's wrong guess of the encoding of a text that was UTF-8.

    A QR without ECI does not say how its bytes are to be read; zbar often takes UTF-8
    for Shift-JIS ("Müller" becomes "Mﾃｼller", also with an ECI that says UTF-8). If the
    text, put back into bytes, is valid UTF-8, then that is what was printed. Both
    readers' texts pass through here, so that one label has one text whoever reads it.
    """
    if text.isascii():
        return text
    for encoding in _MISTAKEN_ENCODINGS:
        try:
            return text.encode(encoding).decode("utf-8")
        except UnicodeError:
            continue
    return text


class ZbarReader:
    """zbar, with the one configuration that reads QR well. One per thread.

    Code 128 only if asked for. Inverted and mirrored symbols are never read.
    """

    _SYMBOLOGIES = {"QR-Code": Symbology.QR, "CODE-128": Symbology.CODE_128}  # noqa: RUF012
    _NAMES = {Symbology.QR: "ZBAR_QRCODE", Symbology.CODE_128: "ZBAR_CODE128"}  # noqa: RUF012

    def __init__(self, symbologies: Collection[Symbology]) -> None:
        self._scanner = zbar.Scanner(
            [
                ("ZBAR_NONE", "ZBAR_CFG_ENABLE", 0),
                *((self._NAMES[symbology], "ZBAR_CFG_ENABLE", 1) for symbology in symbologies),
                ("ZBAR_NONE", "ZBAR_CFG_POSITION", 1),
            ]
        )

    def read(self, luma: Luma) -> list[Reading]:
        readings = []
        # zbar-py takes an array that is not contiguous for its transpose and fails in silence.
        for symbol in self._scanner.scan(np.ascontiguousarray(luma)):
            symbology = self._SYMBOLOGIES.get(symbol.type)
            text = repair_text(symbol.data.decode("utf-8", errors="backslashreplace"))
            if symbology is not None and text and symbol.position:
                readings.append(Reading(text, symbology, _four_corners(symbol.position)))
        return readings


class ZxingReader:
    """zxing-cpp: reads more than zbar, and the ECI labels that kill it.

    `thorough` also tries inverted (light on dark) and reduced pictures, for twice the time.
    """

    _FORMATS = {  # noqa: RUF012
        Symbology.QR: zxingcpp.BarcodeFormat.QRCode,
        Symbology.CODE_128: zxingcpp.BarcodeFormat.Code128,
    }

    def __init__(self, symbologies: Collection[Symbology], *, thorough: bool) -> None:
        self._symbologies = {str(self._FORMATS[wanted]): wanted for wanted in symbologies}
        formats = [self._FORMATS[wanted] for wanted in symbologies]
        self._formats = zxingcpp.BarcodeFormats(formats)
        self._thorough = thorough

    def read(self, luma: Luma) -> list[Reading]:
        readings = []
        for barcode in zxingcpp.read_barcodes(
            np.ascontiguousarray(luma),
            formats=self._formats,
            try_invert=self._thorough,
            try_downscale=self._thorough,
            text_mode=zxingcpp.TextMode.Plain,
        ):
            symbology = self._symbologies.get(str(barcode.format))
            if symbology is not None and barcode.valid and barcode.text:
                place = barcode.position
                points = (place.top_left, place.top_right, place.bottom_right, place.bottom_left)
                corners = tuple((float(point.x), float(point.y)) for point in points)
                readings.append(Reading(repair_text(barcode.text), symbology, corners))
        return readings


def _four_corners(points: list[tuple[int, int]]) -> tuple[tuple[float, float], ...]:
    """zbar gives a QR's four corners, but for a bar code one point for each line it crossed."""
    if len(points) != 4:
        box = cv2.boxPoints(cv2.minAreaRect(np.array(points, dtype=np.float32)))
        return tuple((float(x), float(y)) for x, y in box)
    return tuple((float(x), float(y)) for x, y in points)
