from __future__ import annotations

from tests.vm.scenes import BENCH, BUSY, NUMBERS, ORDERS, missing, scenes, whole


def test_every_scene_has_the_same_numbers() -> None:
    made = dict(scenes((640, 360)))
    assert made.keys() == {BENCH, BUSY, *ORDERS}
    assert {pictures.count(b"\xff\xd8\xff") for pictures in made.values()} == {NUMBERS}


def test_pictures_are_whole_until_one_is_missing_or_damaged() -> None:
    assert whole([58, 59, 0, 1]) == 4
    assert whole([3, 4, 6, 7]) == 2
    assert whole([3, 4, 5, None, 7]) == 3
    assert whole([9]) == 1


def test_how_many_are_missing() -> None:
    assert missing(59, 0) == 0
    assert missing(59, 2) == 2
