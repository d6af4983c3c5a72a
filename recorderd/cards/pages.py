"""What is printed: the control cards, a test label in three sizes, a chart to focus on."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

import segno

from recorderd.cards.page import Area, Frame, Page, Shape, Text, rectangle
from recorderd.core.labels import CARD_PREFIX, Card
from recorderd.errors import DeviceError

TEST_ORDER: Final = "TEST-4711"
TEST_EDGES: Final = (15.0, 25.0, 40.0)
"""Millimetres to a side of the test labels, without the white around them."""

QUIET_MODULES: Final = 4
"""White modules around a QR code (ISO/IEC 18004)."""

CARD_WORDS: Final = {
    Card.STOP: ("STOP", "The video of this order ends.", "Like the foot pedal."),
    Card.FLAG: ("FLAG", 'Marks the video: "look at this one".', "The recording goes on."),
    Card.VOID: ("VOID", "This order does not count:", "its video ends, is kept, and says void."),
    Card.END_SHIFT: ("END SHIFT", "The shift is over:", "noted in the log, and the video ends."),
}
_CARD_EDGE: Final = 60.0
_CARD_WIDTH, _CARD_HEIGHT = 90.0, 120.0
_MARGIN: Final = 15.0
_LONGEST_SHOWN: Final = 36


def all_pages(order: str = TEST_ORDER) -> tuple[Page, ...]:
    """The three pages. Raises DeviceError if `order` does not fit into a QR code."""
    return (tuple(_cards()), tuple(_labels(order)), tuple(_chart()))


def qr_code(text: str, left: float, top: float, edge: float) -> Iterator[Area]:
    """The dark modules of a QR code of `edge` millimetres, whose white edge is the paper's.

    Dark modules that touch are one area: a printer leaves no fine white lines between them.
    """
    rows = _rows(text)
    module = edge / len(rows)
    for number, row in enumerate(rows):
        begin = None
        for column, dark in enumerate((*row, 0)):
            if dark and begin is None:
                begin = column
            elif not dark and begin is not None:
                width = (column - begin) * module
                yield rectangle(left + begin * module, top + number * module, width, module)
                begin = None


def modules_of(text: str) -> int:
    """Modules along a side of the QR code that is printed for this text. Raises DeviceError."""
    return len(_rows(text))


def _rows(text: str) -> list[bytes]:
    try:
        return [bytes(row) for row in segno.make_qr(text, error="m", encoding="utf-8").matrix]
    except segno.DataOverflowError as error:
        raise DeviceError(
            f"The order's text does not fit into a QR code ({len(text)} characters)",
            "Give a shorter one with --order",
        ) from error


def _cards() -> Iterator[Shape]:
    yield Text(_MARGIN, 20, 16, "Control cards for the packing station", bold=True)
    yield Text(_MARGIN, 27, 10, "Cut them out. Hold one before the camera for a second to use it.")
    for number, card in enumerate(Card):
        left = _MARGIN + number % 2 * _CARD_WIDTH
        top = 32 + number // 2 * _CARD_HEIGHT
        title, *lines = CARD_WORDS[card]
        yield Frame(left, top, _CARD_WIDTH, _CARD_HEIGHT)
        yield from qr_code(CARD_PREFIX + card, left + 15, top + 15, _CARD_EDGE)
        yield Text(left + 15, top + 92, 26, title, bold=True)
        for row, line in enumerate(lines):
            yield Text(left + 15, top + 101 + 6 * row, 10.5, line)


def _labels(order: str) -> Iterator[Shape]:
    yield Text(_MARGIN, 20, 16, "A test label in three sizes", bold=True)
    for number, line in enumerate(
        (
            "Cut them apart. Show one after the other, also in the corners of the picture, and",
            "look at the page /setup or at 'recorderd aim': it says how many pixels a module has.",
            "5 and more are a good margin, fewer than 3 are too few.",
        )
    ):
        yield Text(_MARGIN, 27 + 5 * number, 10, line)
    modules = modules_of(order)
    shown = order if len(order) <= _LONGEST_SHOWN else order[:_LONGEST_SHOWN] + "..."
    top = 52.0
    for edge in TEST_EDGES:
        yield Frame(_MARGIN, top, 2 * _CARD_WIDTH, edge + 20)
        yield from qr_code(order, _MARGIN + 10, top + 10, edge)
        beside = _MARGIN + edge + 25
        yield Text(beside, top + 16, 14, shown, bold=True)
        yield Text(beside, top + 23, 10, f"{edge:g} mm, one module {edge / modules:.2f} mm")
        top += edge + 32


def _chart() -> Iterator[Shape]:
    yield Text(_MARGIN, 20, 16, "A chart to focus on", bold=True)
    yield Text(_MARGIN, 27, 10, "Lay it where labels are shown, at their height. Turn the focus")
    yield Text(_MARGIN, 32, 10, "ring until the number for focus rises no more.")
    yield from _star(105, 125, 75, 36)
    for number, pitch in enumerate((1.0, 1.5, 2.0, 3.0)):
        left = _MARGIN + number * 46
        yield from _slanted_lines(left, 215, 38, 45, pitch)
        yield Text(left, 268, 9, f"lines of {pitch / 2:g} mm")


def _star(x: float, y: float, radius: float, spokes: int) -> Iterator[Area]:
    """A Siemens star: the farther in its spokes can be told apart, the sharper."""
    step = math.pi / spokes
    for number in range(spokes):
        begin = 2 * number * step
        rim = tuple(
            (x + radius * math.cos(angle), y + radius * math.sin(angle))
            for angle in (begin, begin + step / 2, begin + step)
        )
        yield Area(((x, y), *rim))


def _slanted_lines(
    left: float, top: float, width: float, height: float, pitch: float
) -> Iterator[Area]:
    """Lines that lean by one in ten, so that none falls together with a row of the sensor."""
    lean = height / 10
    count = int((width - lean) / pitch)
    for number in range(count):
        x = left + number * pitch
        yield Area(
            (
                (x + lean, top),
                (x + lean + pitch / 2, top),
                (x + pitch / 2, top + height),
                (x, top + height),
            )
        )
