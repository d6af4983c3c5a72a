from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorderd.engine.locator import WORKING_SIDE, Luma, Region, locate, pyramid
from tests.engine.label_images import bench, code128, place, qr

fractions = st.floats(0, 1, allow_nan=False)
regions = st.builds(
    lambda a, b, c, d: Region(min(a, b), min(c, d), max(a, b), max(c, d)),
    fractions,
    fractions,
    fractions,
    fractions,
)


def _contains(region: Region, centre: tuple[float, float], label: Luma, picture: Luma) -> bool:
    across = label.shape[1] * 0.36 / picture.shape[1]
    down = label.shape[0] * 0.36 / picture.shape[0]
    wide = region.left <= centre[0] - across and region.right >= centre[0] + across
    high = region.top <= centre[1] - down and region.bottom >= centre[1] + down
    return bool(wide and high)


@pytest.mark.parametrize(
    ("size", "module"), [((640, 480), 4), ((1920, 1080), 5), ((3840, 2160), 6), ((3840, 2160), 14)]
)
@pytest.mark.parametrize("degrees", [0.0, 30.0, 90.0])
def test_a_label_lies_within_one_of_the_regions(
    size: tuple[int, int], module: int, degrees: float
) -> None:
    centre, label = (0.62, 0.4), qr("ORD-1234", module)
    picture = place(bench(*size), label, centre, degrees)
    found = locate(pyramid(picture)[-1])
    assert any(_contains(region, centre, label, picture) for region in found)


def test_a_label_is_likelier_than_bars_and_print() -> None:
    picture = place(bench(1920, 1080), code128("PRODUCT-4711"), (0.8, 0.2))
    label = qr("ORD-1234", 5)
    picture = place(picture, label, (0.3, 0.3))
    assert _contains(locate(pyramid(picture)[-1])[0], (0.3, 0.3), label, picture)


def test_an_empty_picture_has_no_regions() -> None:
    assert locate(np.full((540, 960), 90, np.uint8)) == []


def test_regions_are_few_even_in_a_busy_picture() -> None:
    busy = np.random.default_rng(1).integers(0, 256, (540, 960), dtype=np.uint8)
    assert len(locate(busy)) <= 6


def test_the_pyramid_ends_near_the_working_size() -> None:
    for width, height in [(640, 480), (1920, 1080), (3840, 2160), (2160, 3840), (5, 3)]:
        levels = pyramid(np.zeros((height, width), np.uint8))
        assert levels[0].shape == (height, width)
        assert max(levels[-1].shape) < 2 * WORKING_SIDE


@given(regions, st.floats(0, 3), st.integers(1, 50), st.integers(1, 50))
def test_a_crop_is_contiguous_and_lies_where_it_says(
    region: Region, margin: float, width: int, height: int
) -> None:
    luma = np.arange(width * height, dtype=np.uint8).reshape(height, width)
    crop, left, top = region.grown(margin).crop(luma)
    assert crop.flags.c_contiguous
    assert np.array_equal(crop, luma[top : top + crop.shape[0], left : left + crop.shape[1]])


@given(regions, regions)
def test_overlap_is_symmetrical_and_a_fraction(one: Region, other: Region) -> None:
    assert one.overlap(other) == other.overlap(one)
    assert 0 <= one.overlap(other) <= 1 + 1e-9
