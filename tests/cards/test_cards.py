"""What is printed can be read: by our own scanner, and by programs that read PDF, SVG and HTML."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest

from recorderd.cards import formats
from recorderd.cards.page import HEIGHT, WIDTH, Area, Page, Text
from recorderd.cards.pages import (
    CARD_WORDS,
    QUIET_MODULES,
    TEST_EDGES,
    TEST_ORDER,
    all_pages,
    modules_of,
    qr_code,
)
from recorderd.cards.run import FORMATS, run_cards
from recorderd.core.labels import CARD_PREFIX, Card
from recorderd.engine.locator import Luma
from recorderd.engine.picture_quality import focus_of
from recorderd.engine.scanner import Scanner
from recorderd.errors import DeviceError, StorageError
from recorderd.settings import LabelSettings

PIXELS_PER_MILLIMETRE = 8
CARDS = {CARD_PREFIX + card for card in Card}


def printed(page: Page) -> Luma:
    """The page as a printer's dots; its text is left out."""
    paper = np.full(
        (round(HEIGHT * PIXELS_PER_MILLIMETRE), round(WIDTH * PIXELS_PER_MILLIMETRE)), 255, np.uint8
    )
    for shape in page:
        if isinstance(shape, Area):
            corners = np.round(np.array(shape.corners) * PIXELS_PER_MILLIMETRE - 0.5)
            cv2.fillPoly(paper, [corners.astype(np.int32)], (0,))
    return paper


def read(luma: Luma) -> set[str]:
    """What the station's own scanner reads within a few looks."""
    height, width = luma.shape
    scanner = Scanner(LabelSettings(), width, height, time_limit=20.0)
    scanner.start()
    try:
        return {code.text for _ in range(6) for code in scanner.scan(luma).codes}
    finally:
        scanner.close()


def test_the_scanner_reads_every_card() -> None:
    assert read(printed(all_pages()[0])) == CARDS


@pytest.mark.parametrize("order", [TEST_ORDER, "Müller 4711", "https://example.com/o/" + "7" * 40])
def test_the_scanner_reads_each_test_label(order: str) -> None:
    paper = printed(all_pages(order)[1])
    assert read(paper) == {order}
    # Each by itself, for one text is listed once.
    top = 52.0
    for edge in TEST_EDGES:
        rows = slice(
            round(top * PIXELS_PER_MILLIMETRE), round((top + edge + 20) * PIXELS_PER_MILLIMETRE)
        )
        assert read(np.ascontiguousarray(paper[rows])) == {order}
        top += edge + 32


def test_every_card_has_its_words_and_nothing_leaves_the_paper() -> None:
    assert set(CARD_WORDS) == set(Card)
    for page in all_pages("x" * 500):
        for shape in page:
            if isinstance(shape, Area):
                assert all(10 <= x <= WIDTH - 10 and 10 <= y <= 285 for x, y in shape.corners)
            elif isinstance(shape, Text):
                # Helvetica's letters are half as wide as high on average, capitals two thirds.
                assert shape.left + len(shape.text) * shape.size * 0.353 * 0.6 < WIDTH - 5


def test_codes_keep_their_white_edge() -> None:
    paper = printed(all_pages()[0])
    modules = modules_of(CARD_PREFIX + Card.STOP)
    areas = list(qr_code(CARD_PREFIX + Card.STOP, 100, 100, 60))
    assert min(x for area in areas for x, _ in area.corners) == 100
    assert max(x for area in areas for x, _ in area.corners) == pytest.approx(160)
    # On a card 15 mm of paper lie around it.
    assert QUIET_MODULES * 60 / modules <= 15
    assert paper.min() == 0


def test_the_chart_tells_sharp_from_blurred() -> None:
    chart = printed(all_pages()[2])
    blurred = np.asarray(cv2.GaussianBlur(chart, (0, 0), 4), dtype=np.uint8)
    assert focus_of(chart) > 0.7 > 0.4 > focus_of(blurred)


def test_the_pdf_is_whole() -> None:
    document = formats.pdf(all_pages())
    assert document.startswith(b"%PDF-1.4\n")
    table = int(document.rsplit(b"startxref\n", 1)[1].split()[0])
    assert document[table:].startswith(b"xref\n")
    entries = re.findall(rb"(\d{10}) 00000 n \n", document[table:])
    for number, place in enumerate(entries, start=1):
        assert document[int(place) :].startswith(b"%d 0 obj\n" % number)
    assert b"/Size %d " % (len(entries) + 1) in document[table:]
    for length, content in re.findall(
        rb"/Length (\d+) >>\nstream\n(.*?)\nendstream", document, re.DOTALL
    ):
        assert int(length) == len(content)
    assert document.count(b"/Type /Page ") == 3


def test_hostile_orders_are_only_text() -> None:
    order = "(</text><script>alert(1)</script>) Tj\n\u202e%\\"
    pages = all_pages(order)
    assert b"<script>" not in formats.html(pages)
    assert "\u202e" not in formats.svg(pages).decode()
    ElementTree.fromstring(formats.svg(pages))  # noqa: S314 - our own
    drawn = re.findall(rb"<([0-9a-f]*)> Tj", formats.pdf(pages))
    assert any(b"alert(1)" in bytes.fromhex(text.decode()) for text in drawn)


def test_svg_shows_all_pages_below_each_other() -> None:
    root = ElementTree.fromstring(formats.svg(all_pages()))  # noqa: S314 - our own
    assert root.attrib["height"] == "891mm"
    assert formats.html(all_pages()).count(b"<svg") == 3


def test_an_order_that_fits_into_no_code() -> None:
    with pytest.raises(DeviceError, match="does not fit"):
        all_pages("x" * 5000)


@pytest.mark.parametrize("output_format", FORMATS)
def test_written_but_never_over_a_file(
    tmp_path: Path, output_format: str, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "cards"
    assert run_cards(output_format, target, TEST_ORDER) == 0
    assert "true size" in capsys.readouterr().out
    assert target.read_bytes() == FORMATS[output_format](all_pages())
    with pytest.raises(StorageError, match="exists already"):
        run_cards(output_format, target, TEST_ORDER)
    with pytest.raises(StorageError, match="cannot be written"):
        run_cards(output_format, tmp_path / "nowhere" / "cards", TEST_ORDER)


@pytest.mark.skipif(not shutil.which("pdftoppm"), reason="needs Debian's poppler-utils")
def test_another_program_draws_the_pdf(tmp_path: Path) -> None:
    file = tmp_path / "cards.pdf"
    file.write_bytes(formats.pdf(all_pages()))
    done = subprocess.run(
        ["pdftoppm", "-gray", "-r", "150", file, tmp_path / "page"],
        capture_output=True,
        check=True,
    )
    assert done.stderr == b""
    first = cv2.imread(str(tmp_path / "page-1.pgm"), cv2.IMREAD_GRAYSCALE)
    assert first is not None
    assert read(np.asarray(first, dtype=np.uint8)) == CARDS
