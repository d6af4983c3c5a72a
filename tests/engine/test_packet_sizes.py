from __future__ import annotations

import random

import pytest

from recorderd.engine.packet_sizes import Movement, PacketSizes

BENCH = 1_000_000


def _at_rest(sizes: PacketSizes, noise: float) -> int:
    """Show a bench at rest for ten seconds, with pictures that differ by so many parts of one;
    how many "moved" after the first three."""
    chance = random.Random(1)
    moved = 0
    for number in range(300):
        size = round(BENCH * (1 + chance.uniform(-noise, noise)))
        moved += sizes.follow(size) and number > 90
        if number % 5 == 0:
            sizes.scanned(size)
    return moved


@pytest.mark.parametrize("noise", [0.0, 0.0005, 0.003, 0.02])
def test_noise_is_no_change(noise: float) -> None:
    assert _at_rest(PacketSizes(), noise) == 0


@pytest.mark.parametrize("noise", [0.0, 0.0005, 0.001])
@pytest.mark.parametrize("more", [0.015, -0.015])
def test_a_label_that_comes_or_goes_is_a_change(noise: float, more: float) -> None:
    sizes = PacketSizes()
    _at_rest(sizes, noise)
    assert sizes.follow(round(BENCH * (1 + more)))


def test_what_was_scanned_is_no_change_any_more() -> None:
    sizes = PacketSizes()
    _at_rest(sizes, 0.0005)
    with_label = round(BENCH * 1.015)
    assert sizes.follow(with_label)
    sizes.scanned(with_label)
    assert not sizes.follow(with_label)


def test_slow_motion_adds_up_to_a_change() -> None:
    sizes = PacketSizes()
    _at_rest(sizes, 0.0)
    sizes.scanned(BENCH)
    assert any(sizes.follow(round(BENCH * (1 + 0.0005 * step))) for step in range(12))


def test_a_label_is_not_taken_for_noise() -> None:
    sizes = PacketSizes()
    _at_rest(sizes, 0.0005)
    for _ in range(10):
        for size in (round(BENCH * 1.015), BENCH):
            assert sizes.follow(size)
            sizes.scanned(size)
            for _ in range(60):
                sizes.follow(size)


def test_nothing_differs_before_a_picture_was_scanned() -> None:
    sizes = PacketSizes()
    assert not sizes.follow(BENCH)
    assert not sizes.follow(2 * BENCH)


def test_hands_that_move_for_minutes_do_not_become_usual() -> None:
    movement = Movement()
    for _ in range(100):
        movement.follow(1000)
    assert all(movement.follow(4000) for _ in range(30 * 60))
    assert not any(movement.follow(1000) for _ in range(300))


def test_a_camera_that_becomes_noisier_is_usual_after_some_minutes() -> None:
    movement = Movement()
    for _ in range(100):
        movement.follow(1000)
    assert movement.follow(1700)
    moved = [movement.follow(1700) for _ in range(30 * 300)]
    assert not moved[-1]
