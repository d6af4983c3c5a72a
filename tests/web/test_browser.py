"""The pages in real browsers, without a window: Chromium and Firefox."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.mp4.growing import written

from .archive import HOSTILE, Archive, video
from .browsers import ENTER, RIGHT, TAB, Browser, Chromium, is_visible, text, until
from .firefox import Firefox
from .serving import Server
from .test_encoding import doing, publish
from .test_so_far import is_written

pytestmark = pytest.mark.slow
needs_chromium = pytest.mark.skipif(
    not Chromium.is_installed(), reason="needs Debian's chromium and chromium-driver"
)
needs_firefox = pytest.mark.skipif(not Firefox.is_installed(), reason="needs Debian's firefox-esr")
in_both = pytest.mark.parametrize(
    "browser",
    [pytest.param("chromium", marks=needs_chromium), pytest.param("firefox", marks=needs_firefox)],
    indirect=True,
)
in_chromium = pytest.mark.parametrize(
    "browser", [pytest.param("chromium", marks=needs_chromium)], indirect=True
)


@pytest.fixture
def browser(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Browser]:
    if request.param == "firefox":
        firefox: Firefox = request.getfixturevalue("firefox")
        firefox.new_tab()
        yield firefox
    else:
        chromium = Chromium(tmp_path)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def firefox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Firefox]:
    """One for all tests: it takes some seconds to start."""
    started = Firefox(tmp_path_factory.mktemp("firefox"))
    yield started
    started.close()


def in_video(browser: Browser, expression: str) -> Any:
    return browser.run(f"document.getElementById('video').{expression}")


def ready(browser: Browser) -> None:
    until(lambda: in_video(browser, "readyState") >= 2)


def is_pressed(browser: Browser, selector: str) -> bool:
    element = f"document.querySelector({json.dumps(selector)})"
    return bool(browser.run(f"{element}.getAttribute('aria-pressed') === 'true'"))


@in_both
def test_from_the_address_to_the_playing_video(
    archive: Archive, server: Server, browser: Browser
) -> None:
    archive.save("SO-4710")
    archive.save("SO-4711", after=60)
    began = time.monotonic()
    browser.open(server.url)
    # A hand scanner types into whatever has the focus, and presses Enter.
    browser.press("SO-4711" + ENTER)
    until(lambda: "/recordings/" in browser.url)
    ready(browser)
    browser.run("document.getElementById('video').play()")
    until(lambda: in_video(browser, "currentTime") > 0.3)
    assert time.monotonic() - began < 10
    assert text(browser, "h1") == "SO-4711"
    until(lambda: in_video(browser, "ended"))
    assert in_video(browser, "currentTime") == pytest.approx(4.0, abs=0.2)
    assert browser.complaints() == []


@in_both
def test_seek_speed_step_clock_and_link(archive: Archive, server: Server, browser: Browser) -> None:
    new = archive.save("SO-1", content=video(20), seconds=20)
    browser.open(f"{server.url}/recordings/{new.id}?t=7")
    ready(browser)
    until(lambda: in_video(browser, "currentTime") == pytest.approx(7.0, abs=0.05))
    moment = "document.getElementById('clock').dateTime"
    until(lambda: browser.run(moment).startswith("2026-07-04T12:00:07"))
    before = in_video(browser, "currentTime")
    browser.press(".")
    until(lambda: in_video(browser, "currentTime") > before)
    assert in_video(browser, "currentTime") == pytest.approx(7.15, abs=0.01)
    browser.press(",")
    until(lambda: in_video(browser, "currentTime") == pytest.approx(7.05, abs=0.01))
    browser.press(RIGHT)
    until(lambda: in_video(browser, "currentTime") == pytest.approx(12.05, abs=0.01))
    browser.click("[data-speed='8']")
    assert in_video(browser, "playbackRate") == 8
    until(lambda: is_pressed(browser, "[data-speed='8']"))
    browser.press("-")
    until(lambda: in_video(browser, "playbackRate") == 4)
    browser.click("#copy")
    until(lambda: browser.url.endswith("?t=12"))
    browser.run("document.getElementById('video').currentTime = 15.5")
    until(lambda: not in_video(browser, "seeking"))
    # The bright bar has moved: the picture is the one of this second.
    shade = browser.run(
        "(() => {const c = document.createElement('canvas'); c.width = 320; c.height = 180;"
        "const g = c.getContext('2d'); g.drawImage(document.getElementById('video'), 0, 0);"
        "const row = g.getImageData(0, 90, 320, 1).data; return [row[801], row[1201]]})()"
    )
    assert shade[0] > 130
    assert shade[1] < 100
    assert browser.complaints() == []


@in_both
def test_a_download_has_the_very_bytes(archive: Archive, server: Server, browser: Browser) -> None:
    new = archive.save("Müller 4711")
    browser.open(f"{server.url}/recordings/{new.id}")
    browser.click("#download")
    file = browser.downloads / "Müller 4711 take 1 2026-07-04.mp4"
    until(lambda: file.exists() and file.stat().st_size)
    assert file.read_bytes() == video()


@needs_chromium
def test_without_javascript(archive: Archive, server: Server, tmp_path: Path) -> None:
    archive.save("SO-1")
    wanted = archive.save("SO-22", after=60)
    browser = Chromium(tmp_path, scripts=False)
    try:
        browser.open(server.url)
        browser.click("#q")
        browser.press("o-2")
        browser.click("button[type=submit]")
        until(lambda: "q=o-2" in browser.url)
        browser.click(".row")
        until(lambda: browser.url.endswith(wanted.id))
        assert browser.run("document.querySelector('video').controls")
        assert not is_visible(browser, "#controls")
        browser.click("#download")
        until((tmp_path / "SO-22 take 1 2026-07-04.mp4").exists)
    finally:
        browser.close()


@needs_chromium
def test_a_phone(archive: Archive, server: Server, tmp_path: Path) -> None:
    new = archive.save("SO-1")
    archive.save("X" * 200, "Y" * 250, after=60)
    archive.save("SO-1", after=90)
    browser = Chromium(tmp_path, phone=True)
    try:
        for path in ("/", f"/recordings/{new.id}", "/?q=XXX", "/?q=nothing"):
            browser.open(server.url + path)
            assert browser.run("document.documentElement.scrollWidth") == 390, path
            small = browser.run(
                "[...document.querySelectorAll('button, .button, input[type=search], .row')]"
                ".filter(e => e.offsetHeight && e.offsetHeight < 40).map(e => e.outerHTML)"
            )
            assert small == []
    finally:
        browser.close()


@in_both
def test_a_label_that_attacks_does_nothing(
    archive: Archive, server: Server, browser: Browser
) -> None:
    new = archive.save(HOSTILE, HOSTILE)
    for path in ("/", f"/recordings/{new.id}", "/?q=%3Cscript%3E", "/?q=%22onfocus%3Dalert(1)"):
        browser.open(server.url + path)
        assert browser.run("document.title").endswith("Packing videos")
        assert browser.run("document.scripts.length") == 3
        assert browser.complaints() == []


@in_both
def test_a_script_that_came_in_all_the_same_is_stopped(
    archive: Archive, server: Server, browser: Browser
) -> None:
    """The browser keeps to the policy and says so: else no complaints would mean nothing."""
    browser.open(server.url)
    browser.run(
        "document.body.append(Object.assign(document.createElement('script'),"
        " {textContent: 'document.title = 1'}))"
    )
    assert browser.run("document.title") == "Packing videos"
    until(lambda: any("Content" in complaint for complaint in browser.complaints()))


@in_chromium
def test_keyboard_alone(archive: Archive, server: Server, browser: Browser) -> None:
    archive.save("SO-1")
    browser.open(server.url)
    for _ in range(10):
        browser.press(TAB)
        if "row" in browser.run("document.activeElement.className"):
            break
    browser.press(ENTER)
    until(lambda: "/recordings/" in browser.url)
    ready(browser)
    browser.press(" ")
    until(lambda: in_video(browser, "currentTime") > 0.2)
    browser.press("/")
    until(lambda: browser.run("document.activeElement.id") == "q")
    browser.press("SO-")
    assert browser.run("document.getElementById('q').value") == "SO-"


@in_chromium  # Firefox is given one key at a time, slower than any scanner types.
def test_a_hand_scanner_searches_wherever_the_page_is_looked_at(
    archive: Archive, server: Server, browser: Browser
) -> None:
    first = archive.save("SO-4711")
    second = archive.save("SO-4712-F", after=60)
    browser.open(f"{server.url}/recordings/{first.id}")
    ready(browser)
    browser.press("SO-4712-F" + ENTER)
    until(lambda: browser.url.endswith(second.id))
    ready(browser)
    # None of it was taken for a key of the player.
    assert in_video(browser, "playbackRate") == 1
    assert not browser.run("Boolean(document.fullscreenElement)")


@in_both
def test_a_video_that_cannot_be_played_says_so(
    archive: Archive, server: Server, browser: Browser
) -> None:
    new = archive.save("SO-1", content=b"no video at all")
    browser.open(f"{server.url}/recordings/{new.id}")
    until(lambda: is_visible(browser, "#unplayable"))


@in_both
def test_a_recording_that_runs_is_watched_to_its_end(
    archive: Archive, server: Server, browser: Browser
) -> None:
    made = written()
    running = archive.begin("SO-1")
    is_written(archive, running)
    file = archive.incoming(running)
    file.write_bytes(made.growing[: len(made.growing) // 2])
    browser.open(f"{server.url}/recordings/{running.id}")
    ready(browser)
    seen = in_video(browser, "duration")
    assert 2 <= seen < 5
    browser.run("document.getElementById('video').playbackRate = 4")
    browser.run("document.getElementById('video').play()")
    file.write_bytes(made.growing)
    until(lambda: (in_video(browser, "duration") or 0) > seen)
    until(lambda: in_video(browser, "currentTime") > seen)
    assert in_video(browser, "playbackRate") == 4
    file.unlink()
    archive.finish(running, made.closed, seconds=8)
    until(lambda: "has ended" in text(browser, "#running-headline"))
    browser.click("#newest")
    until(lambda: "?t=" in browser.url)
    ready(browser)
    assert in_video(browser, "duration") == pytest.approx(8, abs=0.1)
    assert browser.complaints() == []


@in_both
def test_a_video_is_watched_being_encoded_until_it_plays(
    archive: Archive, server: Server, browser: Browser
) -> None:
    new = archive.save("SO-1", content=video(codec="mjpeg"), codec="mjpeg")
    publish(archive, doing=doing(new, 45))
    browser.open(f"{server.url}/recordings/{new.id}")
    assert "45 %" in text(browser, "#encoding-text")
    publish(archive, doing=doing(new, 80))
    until(lambda: "80 %" in text(browser, "#encoding-text"))
    assert browser.run("document.getElementById('encoding-bar').value") == 80
    archive.path(new).write_bytes(video())
    archive.catalogue.amend(new.id, {"codec": "h264", "transcoded_from": "0" * 64})
    until(lambda: browser.run("document.getElementById('video') !== null"))
    ready(browser)
    assert browser.complaints() == []
