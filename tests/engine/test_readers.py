from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorderd.core.model import Symbology
from recorderd.engine.readers import Reader, ZbarReader, ZxingReader, repair_text
from tests.engine.label_images import bench, code128, place, qr, qr_with_eci

TEXTS = [
    "ORD-1",
    "Müller",
    "Größe-7",
    "Žižkov",
    "Łódź",
    "注文番号12",
    "訂單-123",
    "日本",
    "東京都港区",
    "한국어 주문",
    "Заказ 17",
    "مرحبا",
    "📦 42",
    "é",
    "1€",
    "a\r\nb",
]


def _readers(*symbologies: Symbology) -> list[Reader]:
    return [ZbarReader(symbologies), ZxingReader(symbologies, thorough=False)]


@pytest.mark.parametrize("text", TEXTS)
def test_both_readers_read_utf8_alike(text: str) -> None:
    label = qr(text, encoding="utf-8")
    for reader in _readers(Symbology.QR):
        assert [reading.text for reading in reader.read(label)] == [text]


@pytest.mark.parametrize("number", [3, 26])
def test_both_readers_read_utf8_alike_whatever_eci_it_claims(number: int) -> None:
    label = qr_with_eci("Müller-7", number)
    for reader in _readers(Symbology.QR):
        assert [reading.text for reading in reader.read(label)] == ["Müller-7"]


@pytest.mark.parametrize("number", [0, 1])
def test_zxing_reads_the_labels_that_kill_zbar(number: int) -> None:
    reader = ZxingReader((Symbology.QR,), thorough=False)
    assert [reading.text for reading in reader.read(qr_with_eci("Müller-7", number))] == [
        "Müller-7"
    ]


def test_code128_is_read_only_when_asked_for() -> None:
    label = code128("ORDER-123")
    for reader in _readers(Symbology.QR):
        assert reader.read(label) == []
    for reader in _readers(Symbology.QR, Symbology.CODE_128):
        assert [(r.text, r.symbology) for r in reader.read(label)] == [
            ("ORDER-123", Symbology.CODE_128)
        ]


def test_corners_surround_the_code_and_are_four() -> None:
    picture = place(bench(640, 480), qr("ORD-1"), (0.3, 0.6), 30)
    bars = place(bench(640, 480), code128("ORDER-123"), (0.5, 0.6))
    for reader in _readers(Symbology.QR, Symbology.CODE_128):
        for shown, centre in [(picture, (192, 288)), (bars, (320, 288))]:
            (reading,) = reader.read(shown)
            assert len(reading.corners) == 4
            x, y = np.mean(reading.corners, axis=0)
            assert abs(x - centre[0]) < 8
            assert abs(y - centre[1]) < 8


def test_a_picture_that_is_not_contiguous_is_read() -> None:
    padded = np.zeros((200, 300), np.uint8)
    padded[:174, :174] = qr("ORD-1")
    for reader in _readers(Symbology.QR):
        assert [reading.text for reading in reader.read(padded[:174, :174])] == ["ORD-1"]


@given(st.text())
def test_utf8_taken_for_latin1_is_repaired(text: str) -> None:
    misread = text.encode("utf-8").decode("latin-1")
    assert repair_text(misread) == text


@given(st.text(alphabet=st.characters(max_codepoint=127)))
def test_plain_text_is_left_alone(text: str) -> None:
    assert repair_text(text) == text


@pytest.mark.parametrize("text", TEXTS)
def test_right_text_stays_right(text: str) -> None:
    assert repair_text(text) == text
