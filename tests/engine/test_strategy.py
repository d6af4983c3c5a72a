from __future__ import annotations

import numpy as np
import pytest

from recorderd.core.model import Symbology
from recorderd.engine import strategy
from recorderd.engine.locator import Luma, Region, locate
from recorderd.engine.strategy import CombinedReader
from tests.engine.label_images import bench, place, qr


@pytest.fixture
def searches(monkeypatch: pytest.MonkeyPatch) -> list[Luma]:
    """The pictures that were searched for regions, one after the other."""
    searched: list[Luma] = []

    def counting(working: Luma) -> list[Region]:
        searched.append(working)
        return locate(working)

    monkeypatch.setattr(strategy, "locate", counting)
    return searched


def _reader(second_reader: bool = True) -> CombinedReader:
    return CombinedReader((Symbology.QR,), 6, second_reader)


def _noisy(picture: Luma, seed: int) -> Luma:
    noise = np.random.default_rng(seed).normal(0, 4, picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


def test_a_still_picture_is_searched_now_and_then_only(searches: list[Luma]) -> None:
    reader = _reader()
    empty = bench(1920, 1080)
    for number in range(54):
        assert reader.read(_noisy(empty, number), use_zbar=True) == ()
    assert len(searches) == 3


def test_a_picture_that_changes_is_searched_every_time(searches: list[Luma]) -> None:
    reader = _reader()
    for number in range(10):
        hand = bench(640, 480)
        hand[100:200, 20 * number : 20 * number + 90] = 40
        reader.read(hand, use_zbar=True)
    assert len(searches) == 10


def test_a_label_at_rest_costs_a_search_now_and_then_only(searches: list[Luma]) -> None:
    reader = _reader()
    shown = place(bench(1920, 1080), qr("ORD-1", 6), (0.5, 0.5))
    for number in range(12):
        codes = reader.read(_noisy(shown, number), use_zbar=True)
        assert [code.text for code in codes] == ["ORD-1"]
    assert len(searches) <= 5


def test_a_code_read_at_once_does_not_hide_one_that_only_zxing_reads() -> None:
    shown = place(bench(1920, 1080), qr("PRODUCT", 6), (0.25, 0.5))
    shown = place(shown, np.ascontiguousarray(qr("ORD-3", 6)[:, ::-1]), (0.75, 0.5))
    reader = _reader()
    seen = [{code.text for code in reader.read(shown, use_zbar=True)} for _ in range(6)]
    assert all("PRODUCT" in texts for texts in seen)
    assert {"PRODUCT", "ORD-3"} in seen[:3]


def test_an_inverted_label_needs_the_second_reader() -> None:
    alone = place(bench(640, 480), 255 - qr("ORD-2", 5), (0.5, 0.5))
    assert _reader(second_reader=False).read(alone, use_zbar=True) == ()
    assert len(_reader(second_reader=True).read(alone, use_zbar=True)) == 1
