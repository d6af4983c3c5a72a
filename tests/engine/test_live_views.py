from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from recorderd.aim.live import ASKED_FOR, LiveOutlet, LiveView, View
from recorderd.core.model import Code, Symbology
from recorderd.core.rules import LabelRules
from recorderd.engine.live_views import PAUSE, REST_FOR_WORK, VIEW_WIDTH, LiveViews, view_of
from recorderd.engine.locator import Luma
from recorderd.engine.scan_feed import ScannedPicture
from tests.engine.label_images import bench, place, qr

RULES = LabelRules(pattern=re.compile(r"SO-\d+"))
CORNERS = ((0.4, 0.4), (0.6, 0.4), (0.6, 0.6), (0.4, 0.6))


def frame_of(luma: Luma) -> av.VideoFrame:
    height, width = luma.shape
    frame = av.VideoFrame(width, height, "yuvj420p")
    for plane, content in zip(
        frame.planes,
        (luma, *(np.full((height // 2, width // 2), 128, np.uint8),) * 2),
        strict=True,
    ):
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
        rows[: content.shape[0], : content.shape[1]] = content
    return frame


PICTURE = frame_of(place(bench(1280, 720), qr("SO-1", 6), (0.5, 0.5)))


class World:
    """An engine's live views, and somebody who looks; time passes only when told to."""

    def __init__(self, folder: Path) -> None:
        self.now = 10**12
        self.rules = RULES
        self.views = LiveViews(
            LiveOutlet(folder, clock=self.clock), lambda: self.rules, clock=self.clock
        )
        self.viewer = LiveView(folder, clock=self.clock)

    def clock(self) -> int:
        return self.now

    def shown(self, *codes: Code) -> View | None:
        self.views.offer(ScannedPicture(self.now, PICTURE, True, codes))
        self.views.turn(0)
        return self.viewer.latest()


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.views.turn(0)
    return world


def test_nothing_is_made_until_somebody_asks(world: World, tmp_path: Path) -> None:
    assert world.shown() is None
    assert not list((tmp_path / "live").iterdir())
    world.viewer.ask()
    world.views.turn(0)
    view = world.shown()
    assert view is not None
    assert view.monotonic_ns == world.now


def test_it_ends_when_nobody_asks_any_more(world: World, tmp_path: Path) -> None:
    world.viewer.ask()
    world.views.turn(0)
    assert world.shown()
    world.now += ASKED_FOR + 1
    assert world.shown() is None
    assert not (tmp_path / "live" / "view").exists()


def test_no_more_than_a_few_a_second(world: World) -> None:
    world.viewer.ask()
    world.views.turn(0)
    first = world.shown()
    world.now += PAUSE - 1
    assert world.shown() == first
    world.now += 1
    second = world.shown()
    assert second is not None
    assert second.monotonic_ns == world.now


def test_a_slow_computer_rests_after_each(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow_view(*arguments: object) -> View:
        world.now += PAUSE
        return View(world.now, 2, 2, 0, 0, 0, 0, (), b"")

    monkeypatch.setattr("recorderd.engine.live_views.view_of", slow_view)
    world.viewer.ask()
    world.views.turn(0)
    first = world.shown()
    assert first is not None
    world.now += REST_FOR_WORK * PAUSE - 1
    world.viewer.ask()
    world.views.turn(0)
    world.views.offer(ScannedPicture(world.now, PICTURE, True, ()))
    world.views.turn(0)
    world.now += 1
    world.views.offer(ScannedPicture(world.now, PICTURE, True, ()))
    world.views.turn(0)
    second = world.viewer.latest()
    assert second is not None
    assert second.monotonic_ns == first.monotonic_ns + (REST_FOR_WORK + 1) * PAUSE


def test_even_a_bug_costs_only_the_view(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object) -> View:
        raise ZeroDivisionError

    world.viewer.ask()
    world.views.turn(0)
    with monkeypatch.context() as patched:
        patched.setattr("recorderd.engine.live_views.view_of", broken)
        assert world.shown() is None
    world.views.turn(0)
    assert world.shown() is not None


def test_the_thread_comes_and_goes(tmp_path: Path) -> None:
    views = LiveViews(LiveOutlet(tmp_path), lambda: RULES)
    views.start()
    views.close(timeout=10)
    assert not (tmp_path / "live" / "view").exists()


def test_a_view_says_what_was_seen() -> None:
    label = Code("SO-1", Symbology.QR, CORNERS)
    product = Code("https://example.com", Symbology.CODE_128, ((0.1, 0.1),) * 4)
    view = view_of(
        ScannedPicture(7, PICTURE, True, (label, product)),
        replace(RULES, zone=(0.3, 0.3, 0.7, 0.7)),
    )
    assert (view.monotonic_ns, view.width, view.height) == (7, 1280, 720)
    ours, theirs = view.codes
    assert (ours.order, ours.in_zone, ours.text) == ("SO-1", True, "SO-1")
    assert (theirs.order, theirs.in_zone, theirs.module_pixels) == (None, False, None)
    assert view.focus > 0.5
    small = cv2.imdecode(np.frombuffer(view.jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert small is not None
    assert small.shape == (VIEW_WIDTH * 720 // 1280, VIEW_WIDTH, 3)


def test_modules_are_measured_in_the_cameras_own_picture() -> None:
    size = (29 * 6) / 2  # version 1 is 21 modules, its quiet zone 4 on each side
    across, down = (size - 4 * 6) / 1280, (size - 4 * 6) / 720
    corners = (
        (0.5 - across, 0.5 - down),
        (0.5 + across, 0.5 - down),
        (0.5 + across, 0.5 + down),
        (0.5 - across, 0.5 + down),
    )
    (code,) = view_of(
        ScannedPicture(1, PICTURE, True, (Code("SO-1", Symbology.QR, corners),)), RULES
    ).codes
    assert code.module_pixels == pytest.approx(6, rel=0.02)


def test_focus_and_light_are_those_of_the_zone() -> None:
    blurred = bench(1280, 720)
    blurred[:] = cv2.GaussianBlur(blurred, (0, 0), 6)
    frame = frame_of(place(blurred, qr("SO-1", 6), (0.8, 0.5)))
    on_label = view_of(
        ScannedPicture(1, frame, True, ()), replace(RULES, zone=(0.6, 0.2, 1.0, 0.8))
    )
    beside = view_of(ScannedPicture(1, frame, True, ()), replace(RULES, zone=(0.0, 0.0, 0.5, 1.0)))
    assert on_label.focus > 2 * beside.focus
    assert on_label.brightness != beside.brightness


def test_a_small_picture_is_not_made_larger() -> None:
    view = view_of(ScannedPicture(1, frame_of(bench(320, 180)), True, ()), RULES)
    small = cv2.imdecode(np.frombuffer(view.jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert small is not None
    assert small.shape == (180, 320, 3)
