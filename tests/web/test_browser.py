"""The pages in a real browser: Chromium, without a window."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .archive import HOSTILE, Archive, video
from .serving import Server

webdriver: Any = pytest.importorskip("selenium.webdriver")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (shutil.which("chromium") and shutil.which("chromedriver")),
        reason="needs Debian's chromium and chromium-driver",
    ),
]
PATIENCE_SECONDS = 15.0
PHONE = {"deviceMetrics": {"width": 390, "height": 844, "pixelRatio": 2.0, "mobile": True}}


def browse(downloads: Path, *, scripts: bool = True, phone: bool = False) -> Any:
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--window-size=1280,900",
        "--autoplay-policy=no-user-gesture-required",
    ):
        options.add_argument(argument)
    preferences: dict[str, Any] = {"download.default_directory": str(downloads)}
    if not scripts:
        preferences["profile.managed_default_content_settings.javascript"] = 2
    options.add_experimental_option("prefs", preferences)
    if phone:
        options.add_experimental_option("mobileEmulation", PHONE)
    return webdriver.Chrome(
        options=options, service=webdriver.ChromeService(shutil.which("chromedriver"))
    )


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Any]:
    opened = browse(tmp_path)
    yield opened
    opened.quit()


def until(condition: Callable[[], object]) -> None:
    """Wait for what the browser does in its own time."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def one(browser: Any, selector: str) -> Any:
    return browser.find_element("css selector", selector)


def in_video(browser: Any, expression: str) -> Any:
    return browser.execute_script(f"return document.getElementById('video').{expression}")


def ready(browser: Any) -> None:
    until(lambda: in_video(browser, "readyState") >= 2)


def complaints(browser: Any) -> list[str]:
    return [entry["message"] for entry in browser.get_log("browser")]


def test_from_the_address_to_the_playing_video(
    archive: Archive, server: Server, browser: Any
) -> None:
    archive.save("SO-4710")
    archive.save("SO-4711", after=60)
    began = time.monotonic()
    browser.get(server.url)
    # A hand scanner types into whatever has the focus, and presses Enter.
    browser.switch_to.active_element.send_keys("SO-4711\n")
    until(lambda: "/recordings/" in browser.current_url)
    ready(browser)
    browser.execute_script("document.getElementById('video').play()")
    until(lambda: in_video(browser, "currentTime") > 0.3)
    assert time.monotonic() - began < 10
    assert one(browser, "h1").text == "SO-4711"
    until(lambda: in_video(browser, "ended"))
    assert in_video(browser, "currentTime") == pytest.approx(4.0, abs=0.2)
    assert complaints(browser) == []


def test_seek_speed_step_clock_and_link(archive: Archive, server: Server, browser: Any) -> None:
    new = archive.save("SO-1", content=video(20), seconds=20)
    browser.get(f"{server.url}/recordings/{new.id}?t=7")
    ready(browser)
    until(lambda: in_video(browser, "currentTime") == pytest.approx(7.0, abs=0.05))
    until(
        lambda: one(browser, "#clock").get_attribute("datetime").startswith("2026-07-04T12:00:07")
    )

    def press(keys: str) -> None:
        webdriver.ActionChains(browser).send_keys(keys).perform()

    before = in_video(browser, "currentTime")
    press(".")
    until(lambda: in_video(browser, "currentTime") > before)
    assert in_video(browser, "currentTime") == pytest.approx(7.15, abs=0.01)
    press(",")
    until(lambda: in_video(browser, "currentTime") == pytest.approx(7.05, abs=0.01))
    press("\ue014")  # arrow right
    until(lambda: in_video(browser, "currentTime") == pytest.approx(12.05, abs=0.01))
    one(browser, "[data-speed='8']").click()
    assert in_video(browser, "playbackRate") == 8
    until(lambda: one(browser, "[data-speed='8']").get_attribute("aria-pressed") == "true")
    press("-")
    assert in_video(browser, "playbackRate") == 4
    one(browser, "#copy").click()
    until(lambda: browser.current_url.endswith("?t=12"))
    browser.execute_script("document.getElementById('video').currentTime = 15.5")
    until(lambda: not in_video(browser, "seeking"))
    # The bright bar has moved: the picture is the one of this second.
    shade = browser.execute_script(
        "const c = document.createElement('canvas'); c.width = 320; c.height = 180;"
        "const g = c.getContext('2d'); g.drawImage(document.getElementById('video'), 0, 0);"
        "const row = g.getImageData(0, 90, 320, 1).data; return [row[801], row[1201]]"
    )
    assert shade[0] > 130
    assert shade[1] < 100
    assert complaints(browser) == []


def test_a_download_has_the_very_bytes(
    archive: Archive, server: Server, browser: Any, tmp_path: Path
) -> None:
    new = archive.save("Müller 4711")
    browser.get(f"{server.url}/recordings/{new.id}")
    one(browser, "#download").click()
    file = tmp_path / "Müller 4711 take 1 2026-07-04.mp4"
    until(file.exists)
    assert file.read_bytes() == video()


def test_without_javascript(archive: Archive, server: Server, tmp_path: Path) -> None:
    archive.save("SO-1")
    wanted = archive.save("SO-22", after=60)
    browser = browse(tmp_path, scripts=False)
    try:
        browser.get(server.url)
        one(browser, "#q").send_keys("o-2")
        one(browser, "button[type=submit]").click()
        until(lambda: "q=o-2" in browser.current_url)
        one(browser, ".row").click()
        until(lambda: browser.current_url.endswith(wanted.id))
        assert one(browser, "video").get_attribute("controls")
        assert not one(browser, "#controls").is_displayed()
        one(browser, "#download").click()
        until((tmp_path / "SO-22 take 1 2026-07-04.mp4").exists)
    finally:
        browser.quit()


def test_a_phone(archive: Archive, server: Server, tmp_path: Path) -> None:
    new = archive.save("SO-1")
    archive.save("X" * 200, "Y" * 250, after=60)
    archive.save("SO-1", after=90)
    browser = browse(tmp_path, phone=True)
    try:
        for path in ("/", f"/recordings/{new.id}", "/?q=XXX", "/?q=nothing"):
            browser.get(server.url + path)
            width = browser.execute_script("return document.documentElement.scrollWidth")
            assert width == 390, path
            small = browser.execute_script(
                "return [...document.querySelectorAll('button, .button, input[type=search], .row')]"
                ".filter(e => e.offsetHeight && e.offsetHeight < 40).map(e => e.outerHTML)"
            )
            assert small == []
    finally:
        browser.quit()


def test_a_label_that_attacks_does_nothing(archive: Archive, server: Server, browser: Any) -> None:
    new = archive.save(HOSTILE, HOSTILE)
    for path in ("/", f"/recordings/{new.id}", "/?q=%3Cscript%3E", "/?q=%22onfocus%3Dalert(1)"):
        browser.get(server.url + path)
        assert browser.title.endswith("Packing videos")
        assert browser.execute_script("return document.scripts.length") == 1
        assert complaints(browser) == []


def test_keyboard_alone(archive: Archive, server: Server, browser: Any) -> None:
    archive.save("SO-1")
    browser.get(server.url)
    for _ in range(10):
        webdriver.ActionChains(browser).send_keys("\ue004").perform()
        if "row" in browser.switch_to.active_element.get_attribute("class"):
            break
    browser.switch_to.active_element.send_keys("\n")
    until(lambda: "/recordings/" in browser.current_url)
    ready(browser)
    webdriver.ActionChains(browser).send_keys(" ").perform()
    until(lambda: in_video(browser, "currentTime") > 0.2)
    webdriver.ActionChains(browser).send_keys("/").perform()
    webdriver.ActionChains(browser).send_keys("SO-").perform()
    assert one(browser, "#q").get_attribute("value") == "SO-"


def test_a_video_that_cannot_be_played_says_so(
    archive: Archive, server: Server, browser: Any
) -> None:
    new = archive.save("SO-1", content=b"no video at all")
    browser.get(f"{server.url}/recordings/{new.id}")
    until(lambda: one(browser, "#unplayable").is_displayed())
