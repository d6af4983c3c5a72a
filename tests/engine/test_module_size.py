from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
import segno

from recorderd.core.model import Symbology
from recorderd.engine.locator import Luma
from recorderd.engine.module_size import module_pixels
from recorderd.engine.readers import Reader, ZbarReader, ZxingReader
from tests.engine.label_images import bench, place, qr

READERS: dict[str, Callable[[], Reader]] = {
    "zbar": lambda: ZbarReader([Symbology.QR]),
    "zxing": lambda: ZxingReader([Symbology.QR], thorough=True),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("degrees", [0, 12, 45, 100, 190])
@pytest.mark.parametrize(
    ("text", "module"),
    [("4711", 4), ("ORDER-12345", 6), ("recorderd:end-shift", 10), ("x1" * 60, 5)],
)
def test_measured_where_either_reader_finds_it(
    reader: str, text: str, module: int, degrees: float
) -> None:
    picture = place(bench(1280, 960), qr(text, module), (0.45, 0.5), degrees)
    (found,) = READERS[reader]().read(picture)
    corners = [(x / 1280, y / 960) for x, y in found.corners]
    measured = module_pixels(picture, corners)
    assert measured == pytest.approx(module, rel=0.12)


def test_measured_through_a_camera_that_looks_from_the_side() -> None:
    picture = place(bench(1280, 960), qr("SO-2026-000123", 8), (0.5, 0.5), 30)
    was = np.array([(0, 0), (1280, 0), (1280, 960), (0, 960)], dtype=np.float32)
    now = np.array([(80, 30), (1200, 0), (1280, 960), (0, 900)], dtype=np.float32)
    slanted: Luma = np.asarray(
        cv2.warpPerspective(picture, cv2.getPerspectiveTransform(was, now), (1280, 960)),
        dtype=np.uint8,
    )
    (found,) = ZxingReader([Symbology.QR], thorough=True).read(slanted)
    measured = module_pixels(slanted, [(x / 1280, y / 960) for x, y in found.corners])
    assert measured is not None
    assert 6 < measured < 9


def test_what_is_no_qr_code_has_no_modules() -> None:
    square = [(0.2, 0.2), (0.6, 0.2), (0.6, 0.7), (0.2, 0.7)]
    assert module_pixels(bench(1280, 960), square) is None
    assert module_pixels(bench(1280, 960), []) is None
    assert module_pixels(bench(1280, 960), [(0.5, 0.5)] * 4) is None


def test_a_wrong_number_of_modules_does_not_fit() -> None:
    """Twenty-one to a side are not twenty-five: the answer is the version's own."""
    for version in (1, 2, 3, 7):
        symbol = segno.make_qr("7", version=version, error="l")
        drawn = np.array([list(row) for row in symbol.matrix_iter(border=4)], dtype=np.uint8)
        label = np.kron((1 - drawn) * 200 + 30, np.ones((7, 7), np.uint8)).astype(np.uint8)
        modules = symbol.symbol_size(border=0)[0]
        edge = (modules + 8) * 7
        low, high = 4 * 7 / edge, (4 + modules) * 7 / edge
        corners = [(low, low), (high, low), (high, high), (low, high)]
        assert module_pixels(label, corners) == pytest.approx(7, rel=0.01)
