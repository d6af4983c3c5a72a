"""The made-up pictures of labels: what they say is in them, and they are as hard as asked for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from recorderd.bench import label_scenes
from recorderd.bench.label_scenes import LabelScenes, Look
from recorderd.core.model import Symbology
from recorderd.engine.locator import Luma
from recorderd.engine.readers import ZxingReader

EASY = Look(
    module=8.0,
    turned=0.4,
    tilted=0.1,
    tilted_towards=1.0,
    defocus=0.1,
    motion=0.0,
    motion_towards=0.0,
    glare=0.0,
    light=1.0,
    cover=0.0,
    curve=0.0,
    wrinkles=0.0,
    inverted=False,
    jpeg_quality=90,
)


@pytest.fixture
def look(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """How all labels of a test look, as differences from an easy one."""
    differences: dict[str, Any] = {}
    monkeypatch.setattr(label_scenes, "_some_look", lambda _random: replace(EASY, **differences))
    return differences


def texts_in(luma: Luma) -> list[str]:
    reader = ZxingReader((Symbology.QR,), thorough=True)
    return [reading.text for reading in reader.read(luma)]


@pytest.mark.parametrize(
    "differences",
    [
        {},
        {"inverted": True},
        {"curve": 0.4, "wrinkles": 0.05},
        {"light": 0.5, "glare": 0.2},
        {"cover": 0.1, "tilted": 0.4},
    ],
)
def test_an_easy_label_can_be_read(look: dict[str, Any], differences: dict[str, Any]) -> None:
    look.update(differences)
    scene = LabelScenes(3).single()
    assert scene.luma.shape == (2160, 3840)
    assert scene.luma.dtype == np.uint8
    assert texts_in(scene.luma) == [scene.text]


@pytest.mark.parametrize(
    "differences",
    [{"defocus": 2.0}, {"motion": 4.0}, {"module": 1.0}, {"cover": 0.9}, {"glare": 8.0}],
)
def test_what_makes_it_hard_is_really_done(
    look: dict[str, Any], differences: dict[str, Any]
) -> None:
    look.update(differences)
    assert texts_in(LabelScenes(3).single().luma) == []


def test_the_same_seed_gives_the_same_pictures() -> None:
    one, other = LabelScenes(5).single(), LabelScenes(5).single()
    assert one.text == other.text
    assert np.array_equal(one.luma, other.luma)
    assert LabelScenes(6).single().text != one.text


def test_a_presentation_is_one_label_that_comes_to_rest(look: dict[str, Any]) -> None:
    pictures = list(LabelScenes(3).presentation(5))
    assert len({scene.text for scene in pictures}) == 1
    assert texts_in(pictures[-1].luma) == [pictures[-1].text]
    assert not np.array_equal(pictures[-1].luma, pictures[-2].luma)


def test_without_a_label_nothing_can_be_read(look: dict[str, Any]) -> None:
    assert texts_in(LabelScenes(3).without_label()) == []
