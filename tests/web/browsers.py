"""Real browsers without a window, and the little that the tests ask of them."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

PATIENCE_SECONDS = 15.0
PHONE = {"deviceMetrics": {"width": 390, "height": 844, "pixelRatio": 2.0, "mobile": True}}
TAB, ENTER, RIGHT = "\ue004", "\ue006", "\ue014"
"""Keys by their code points in WebDriver (https://www.w3.org/TR/webdriver2/#keyboard-actions)."""


class Browser(Protocol):
    """One tab. What is downloaded lies in `downloads`."""

    downloads: Path

    def open(self, url: str) -> None:
        """Go there and wait until all is loaded."""

    @property
    def url(self) -> str:
        """Where it is."""

    def run(self, expression: str) -> Any:
        """The value of an expression in JavaScript, as JSON has it."""

    def press(self, keys: str) -> None:
        """Type into whatever has the focus."""

    def click(self, selector: str) -> None:
        """Click with the mouse on the first element that fits."""

    def complaints(self) -> list[str]:
        """Errors of scripts and of the page's security policy since this was last asked."""


def until(condition: Callable[[], object]) -> None:
    """Wait for what the browser does in its own time."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def text(browser: Browser, selector: str) -> str:
    """What can be read there."""
    return str(browser.run(f"document.querySelector({json.dumps(selector)}).innerText"))


def is_visible(browser: Browser, selector: str) -> bool:
    return bool(browser.run(f"document.querySelector({json.dumps(selector)}).checkVisibility()"))


class Chromium:
    """Debian's Chromium, driven by Selenium."""

    def __init__(self, downloads: Path, *, scripts: bool = True, phone: bool = False) -> None:
        # Selenium takes a while to import, and there may be no Chromium at all.
        from selenium import webdriver

        self.downloads = downloads
        options = webdriver.ChromeOptions()
        options.binary_location = str(shutil.which("chromium"))
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
        service = webdriver.ChromeService(str(shutil.which("chromedriver")))
        self._driver: Any = webdriver.Chrome(options=options, service=service)
        self._actions = webdriver.ActionChains

    @staticmethod
    def is_installed() -> bool:
        return bool(shutil.which("chromium") and shutil.which("chromedriver"))

    def open(self, url: str) -> None:
        self._driver.get(url)

    @property
    def url(self) -> str:
        return str(self._driver.current_url)

    def run(self, expression: str) -> Any:
        found = self._driver.execute_script(f"return JSON.stringify({expression})")
        return None if found is None else json.loads(found)

    def press(self, keys: str) -> None:
        self._actions(self._driver).send_keys(keys).perform()

    def click(self, selector: str) -> None:
        self._driver.find_element("css selector", selector).click()

    def complaints(self) -> list[str]:
        return [entry["message"] for entry in self._driver.get_log("browser")]

    def close(self) -> None:
        self._driver.quit()
