from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorderd.engine.sources.jpeg_splice import MCU_SIZE, JpegTiles, Picture

QUALITY = 85


def noise(width: int, height: int, seed: int) -> Picture:
    random = np.random.default_rng(seed)
    return random.integers(0, 255, (height, width, 3), np.uint8)


def decoded(data: bytes) -> Picture:
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    return picture.astype(np.uint8)


def fully_encoded(picture: Picture) -> bytes:
    parameters = [
        cv2.IMWRITE_JPEG_QUALITY,
        QUALITY,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
    ]
    ok, data = cv2.imencode(".jpg", picture, parameters)
    assert ok
    return data.tobytes()


@pytest.mark.parametrize("size", [(640, 360), (320, 240), (656, 372), (650, 361), (16, 16)])
def test_untouched_picture_equals_a_full_encode(size: tuple[int, int]) -> None:
    picture = noise(*size, seed=1)
    tiles = JpegTiles(picture, QUALITY)
    np.testing.assert_array_equal(decoded(tiles.to_bytes()), decoded(fully_encoded(picture)))


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_replaced_tiles_equal_a_full_encode(data: st.DataObject) -> None:
    width, height = data.draw(st.sampled_from([(640, 360), (650, 361), (320, 200)]))
    picture = noise(width, height, seed=2)
    tiles = JpegTiles(picture, QUALITY)
    for seed in range(data.draw(st.integers(1, 3))):
        column = data.draw(st.integers(0, tiles.columns - 1))
        row = data.draw(st.integers(0, tiles.rows - 1))
        right = min(width, data.draw(st.integers(column + 1, tiles.columns)) * tiles.tile_width)
        bottom = min(height, data.draw(st.integers(row + 1, tiles.rows)) * MCU_SIZE)
        area = (slice(row * MCU_SIZE, bottom), slice(column * tiles.tile_width, right))
        picture[area] = noise(width, height, seed=10 + seed)[area]
        tiles.replace(column, row, picture[area])
    np.testing.assert_array_equal(decoded(tiles.to_bytes()), decoded(fully_encoded(picture)))


def test_restored_tiles_are_the_original_bytes() -> None:
    picture = noise(640, 360, seed=3)
    tiles = JpegTiles(picture, QUALITY)
    before = tiles.to_bytes()
    tiles.replace(0, 0, noise(tiles.tile_width, MCU_SIZE, seed=4))
    assert tiles.to_bytes() != before
    tiles.restore(0, 0)
    assert tiles.to_bytes() == before


def test_restart_markers_count_up_in_turn() -> None:
    tiles = JpegTiles(noise(640, 360, seed=5), QUALITY)
    tiles.replace(1, 3, noise(tiles.tile_width * 2, MCU_SIZE * 2, seed=6))
    data = np.frombuffer(tiles.to_bytes(), np.uint8)
    after = data[np.flatnonzero(data[:-1] == 0xFF) + 1]
    markers = after[(after >= 0xD0) & (after <= 0xD7)]
    assert len(markers) == tiles.columns * tiles.rows - 1
    np.testing.assert_array_equal(markers, 0xD0 + np.arange(len(markers)) % 8)


def test_a_part_that_does_not_fit_is_refused() -> None:
    tiles = JpegTiles(noise(640, 360, seed=7), QUALITY)
    with pytest.raises(ValueError, match="does not fit"):
        tiles.replace(0, 0, noise(tiles.tile_width + 1, MCU_SIZE, seed=8))
