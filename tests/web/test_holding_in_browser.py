"""The form that keeps an order, in real browsers: they say by themselves where it comes from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .archive import Archive, settings_in
from .browsers import ENTER, TAB, Browser, text, until
from .serving import Server
from .test_browser import browser, firefox, in_both

pytestmark = pytest.mark.slow
__all__ = ["browser", "firefox"]  # fixtures are used by being here


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    made = Archive(settings_in(tmp_path, holding=True))
    yield made
    made.catalogue.close()


@in_both
def test_keep_and_release(archive: Archive, server: Server, browser: Browser) -> None:
    new = archive.save("SO-1")
    browser.open(f"{server.url}/recordings/{new.id}")
    _fill_in(browser, "Anna, of the office", "a complaint, from f.", "Release this order")
    said = "by Anna, of the office (127.0.0.1): a complaint, from f."
    assert said in text(browser, "#hold p")
    _fill_in(browser, "Ben", "settled", "Keep this order")
    assert browser.complaints() == []


def _fill_in(browser: Browser, who: str, reason: str, then: str) -> None:
    """Send the form; the page that comes shows `then`."""
    browser.click("#hold summary")
    browser.click("#hold input[name=who]")
    # What is typed here are words, not keys of the player.
    browser.press(who + TAB + reason + ENTER)
    shown = "document.querySelector('#hold summary')?.innerText ?? document.body?.innerText"
    until(lambda: browser.run(shown) == then)
