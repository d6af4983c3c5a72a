from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
import pytest

from recorderd.engine.locator import Luma
from recorderd.engine.picture_quality import exposure_of, focus_of
from tests.engine.label_images import bench, place, qr

WIDTH, HEIGHT = 1920, 1080


def seen(blur: float, *, contrast: float = 1.0, noise: float = 0.0, grey: float = 128) -> Luma:
    """A label on a bench through a lens that is out of focus, dim or bright, and noisy."""
    light = np.full((HEIGHT, WIDTH), 140, np.uint8)
    sharp = place(light, qr("ORDER-12345", module=8), (0.5, 0.5), 10).astype(np.float32)
    blurred = cv2.GaussianBlur(sharp, (0, 0), blur)
    random = np.random.default_rng(1)
    dimmed = grey + (blurred - 128) * contrast + random.normal(0, max(noise, 1e-9), sharp.shape)
    return np.clip(dimmed, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("contrast", "noise"), [(1.0, 0.0), (1.0, 3.0), (0.4, 3.0), (1.0, 6.0), (0.4, 0.0)]
)
def test_focus_rises_with_every_turn_towards_sharpness(contrast: float, noise: float) -> None:
    scores = [
        focus_of(seen(blur, contrast=contrast, noise=noise)) for blur in (8, 5, 3, 2, 1.2, 0.6)
    ]
    assert all(later > earlier for earlier, later in pairwise(scores)), scores
    assert scores[0] < 0.25
    assert scores[-1] > 0.7


def test_neither_light_nor_contrast_is_taken_for_focus() -> None:
    scores = [
        focus_of(seen(2.0, contrast=contrast, grey=grey, noise=2.0))
        for contrast, grey in ((1.0, 128), (0.5, 70), (0.5, 190), (0.35, 128))
    ]
    assert max(scores) - min(scores) < 0.06, scores


def test_where_nothing_is_to_be_seen_nothing_is_sharp() -> None:
    assert focus_of(np.full((HEIGHT, WIDTH), 90, np.uint8)) == 0.0
    assert focus_of(np.zeros((10, 12), np.uint8)) == 0.0
    noise = np.random.default_rng(1).normal(90, 2, (HEIGHT, WIDTH)).astype(np.uint8)
    assert focus_of(noise) == 0.0


def test_focus_of_a_4k_picture() -> None:
    picture = place(bench(3840, 2160), qr("ORDER-12345", module=6), (0.3, 0.6))
    assert focus_of(picture) > 0.55
    assert focus_of(np.asarray(cv2.GaussianBlur(picture, (0, 0), 5), dtype=np.uint8)) < 0.35


def test_exposure_counts_what_is_only_white_or_black() -> None:
    picture = np.full((400, 800), 128, np.uint8)
    picture[:, :200] = 255
    picture[:, 200:280] = 0
    exposure = exposure_of(picture, full_range=True)
    assert exposure.overexposed == pytest.approx(0.25)
    assert exposure.underexposed == pytest.approx(0.1)
    assert exposure.brightness == pytest.approx(0.25 + 0.65 * 128 / 255)


def test_video_range_has_its_own_black_and_white() -> None:
    for level, over, under, brightness in ((16, 0, 1, 0), (235, 1, 0, 1), (126, 0, 0, 0.502)):
        exposure = exposure_of(np.full((90, 160), level, np.uint8), full_range=False)
        assert exposure.overexposed == over
        assert exposure.underexposed == under
        assert exposure.brightness == pytest.approx(brightness, abs=0.01)
