from __future__ import annotations

from dataclasses import replace

import pytest

from recorderd.aim import words
from recorderd.aim.live import CodeInView, View

VIEW = View(0, 3840, 2160, 0.7, 0.45, 0.0, 0.0, (), b"")
LABEL = CodeInView("SO-4711", (), 6.2, "SO-4711", True)


@pytest.mark.parametrize(
    ("score", "good", "said"),
    [(0.9, True, "sharp"), (0.5, True, "nearly"), (0.2, False, "blurred"), (0.0, False, "nothing")],
)
def test_focus(score: float, good: bool, said: str) -> None:
    verdict = words.focus(score)
    assert verdict.good is good
    assert said in verdict.text


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, "good light"),
        ({"overexposed": 0.2}, "too bright, 20% of it is only white"),
        ({"brightness": 0.95}, "too bright"),
        ({"brightness": 0.05}, "too dark"),
        ({"underexposed": 0.7}, "too dark"),
    ],
)
def test_exposure(change: dict[str, float], said: str) -> None:
    view = View(**{**{name: getattr(VIEW, name) for name in View.__dataclass_fields__}, **change})
    verdict = words.exposure(view)
    assert said in verdict.text
    assert verdict.good is (not change)


@pytest.mark.parametrize(
    ("pixels", "good", "said"),
    [
        (6.2, True, "6.2 pixels a module: good margin"),
        (4.4, True, "enough"),
        (3.5, False, "just enough"),
        (2.0, False, "too small"),
    ],
)
def test_the_size_of_modules(pixels: float, good: bool, said: str) -> None:
    verdict = words.code(replace(LABEL, module_pixels=pixels))
    assert verdict.good is good
    assert said in verdict.text


def test_what_a_code_is_and_whether_it_counts() -> None:
    outside = words.code(replace(LABEL, in_zone=False))
    assert not outside.good
    assert outside.text == "order SO-4711, outside the zone: it does not count"
    product = words.code(replace(LABEL, text="https://example.com", order=None))
    assert not product.good
    assert product.text.startswith("no order label, it says https://example.com")
    card = words.code(replace(LABEL, text="recorderd:end-shift", order=None))
    assert card.text.startswith("control card END-SHIFT")
    assert words.code(replace(LABEL, module_pixels=None)).text == "order SO-4711"


def test_a_hostile_label_moves_no_cursor_and_fills_no_screen() -> None:
    said = words.code(replace(LABEL, text="\x1b[2J\n" + "x" * 5000, order=None)).text
    assert said.isprintable()
    assert len(said) < 200
