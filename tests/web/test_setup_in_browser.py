"""The page /setup in real browsers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from .archive import Archive
from .browsers import ENTER, TAB, Browser, Chromium, is_visible, text, until
from .serving import Server
from .test_browser import browser, firefox, in_both, in_chromium, needs_chromium
from .test_setup import SEEN, FakeEngine, engine, in_force, settings

pytestmark = pytest.mark.slow
__all__ = ["browser", "engine", "firefox", "settings"]  # fixtures are used by being here

DRAG = """(() => {
  const overlay = document.getElementById("overlay");
  overlay.setPointerCapture = () => {};
  const box = overlay.getBoundingClientRect();
  const tell = (type, x, y) => overlay.dispatchEvent(new PointerEvent(type, {
    pointerId: 1, clientX: box.left + box.width * x, clientY: box.top + box.height * y }));
  tell("pointerdown", %s, %s);
  tell("pointermove", %s, %s);
  tell("pointerup", %s, %s);
  return [...document.querySelectorAll("#zone-form [type=number]")].map((field) => field.value);
})()"""


def drag(browser: Browser, start: tuple[float, float], end: tuple[float, float]) -> list[float]:
    """From here to there, as shares of the picture; what the number fields then say."""
    return [float(value) for value in browser.run(DRAG % (*start, *end, *end))]


@in_both
def test_it_follows_what_the_camera_sees(
    engine: FakeEngine, server: Server, browser: Browser
) -> None:
    browser.open(f"{server.url}/setup")
    until(lambda: text(browser, "#focus-number") == "72")
    assert text(browser, "#read") == "order SO-4711, 6.2 pixels a module: good margin"
    engine.seen = replace(SEEN, focus=0.31, overexposed=0.2, codes=())
    until(lambda: text(browser, "#focus-number") == "31")
    assert text(browser, "#best").strip() == "(best so far 72)"
    assert "blurred" in text(browser, "#focus-words")
    assert "too bright" in text(browser, "#exposure-words")
    assert text(browser, "#read") == "nothing"
    assert browser.run("document.querySelector('#codes').childElementCount") == 0
    assert browser.complaints() == []


@in_both
def test_a_zone_is_drawn_changed_and_saved(
    archive: Archive, engine: FakeEngine, server: Server, browser: Browser
) -> None:
    browser.open(f"{server.url}/setup")
    until(lambda: is_visible(browser, "#picture"))
    assert drag(browser, (0.2, 0.3), (0.7, 0.9)) == pytest.approx([20, 30, 70, 90], abs=0.5)
    assert drag(browser, (0.7, 0.6), (0.8, 0.6)) == pytest.approx([20, 30, 80, 90], abs=0.5)
    assert drag(browser, (0.2, 0.3), (0.1, 0.1)) == pytest.approx([10, 10, 80, 90], abs=0.5)
    browser.run("document.querySelector('[name=left]').value = ''")
    browser.click("[name=left]")
    browser.press("15")
    assert "[0.15, " in text(browser, "#line")
    browser.press(ENTER)
    until(lambda: "?saved" in browser.url)
    found = in_force(archive)
    assert found is not None
    assert (found[0], found[2]) == pytest.approx((0.15, 0.8), abs=0.005)
    assert browser.complaints() == []


@in_chromium
def test_the_tone_is_off_until_asked_for(
    engine: FakeEngine, server: Server, browser: Browser
) -> None:
    browser.open(f"{server.url}/setup")
    until(lambda: is_visible(browser, "#tone"))
    pressed = "document.getElementById('tone').getAttribute('aria-pressed')"
    assert browser.run(pressed) == "false"
    browser.click("#tone")
    assert browser.run(pressed) == "true"
    browser.click("#tone")
    assert browser.run(pressed) == "false"
    assert browser.complaints() == []


@needs_chromium
def test_without_javascript(
    archive: Archive, engine: FakeEngine, server: Server, tmp_path: Path
) -> None:
    chromium = Chromium(tmp_path, scripts=False)
    try:
        chromium.open(f"{server.url}/setup?edit")
        chromium.click("[name=left]")
        chromium.press("5" + TAB + ENTER)
        until(lambda: "?saved" in chromium.url)
    finally:
        chromium.close()
    found = in_force(archive)
    assert found is not None
    assert found[0] in {0.05, 0.5}  # the caret stood before or behind the nought
