"""Debian's Firefox, spoken to in WebDriver BiDi (https://www.w3.org/TR/webdriver-bidi/).

Firefox understands it by itself: no driver is needed, and Debian 12 has none.
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import aiohttp

from .browsers import until

_ANSWER_SECONDS = 30.0
_PREFERENCES: dict[str, object] = {
    "media.autoplay.default": 0,
    "browser.download.folderList": 2,
    "browser.download.always_ask_before_handling_new_types": False,
    "browser.download.alwaysOpenPanel": False,
}


class Firefox:
    """One Firefox and one tab of it at a time."""

    def __init__(self, folder: Path) -> None:
        self.downloads = folder / "downloads"
        self.downloads.mkdir()
        profile = folder / "profile"
        profile.mkdir()
        preferences = {**_PREFERENCES, "browser.download.dir": str(self.downloads)}
        (profile / "user.js").write_text(
            "".join(
                f"user_pref({json.dumps(name)}, {json.dumps(value)});\n"
                for name, value in preferences.items()
            )
        )
        command = ["firefox-esr", "--headless", "--no-remote", "--profile", str(profile)]
        command += ["--remote-debugging-port", "0"]
        said = folder / "stderr"
        with said.open("wb") as errors:
            self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors)
        self._loop = asyncio.new_event_loop()
        self._number = 0
        self._context = ""
        self._logged: list[str] = []
        until(lambda: re.search(r"BiDi listening on ws://\S+\n", said.read_text()))
        found = re.search(r"BiDi listening on (ws://\S+)\n", said.read_text())
        assert found is not None
        self._loop.run_until_complete(self._connect(found[1]))
        self._ask("session.new", capabilities={})
        self._ask("session.subscribe", events=["log.entryAdded"])

    @staticmethod
    def is_installed() -> bool:
        return bool(shutil.which("firefox-esr"))

    def new_tab(self) -> None:
        """Leave everything behind that an earlier test has looked at."""
        before = [each["context"] for each in self._ask("browsingContext.getTree")["contexts"]]
        self._context = self._ask("browsingContext.create", type="tab")["context"]
        for context in before:
            self._ask("browsingContext.close", context=context)
        self._ask(
            "browsingContext.setViewport",
            context=self._context,
            viewport={"width": 1280, "height": 900},
        )
        self._logged.clear()

    def open(self, url: str) -> None:
        self._ask("browsingContext.navigate", context=self._context, url=url, wait="complete")

    @property
    def url(self) -> str:
        tree = self._ask("browsingContext.getTree", root=self._context)
        return str(tree["contexts"][0]["url"])

    def run(self, expression: str) -> Any:
        found = self._evaluate(f"JSON.stringify({expression})")
        return json.loads(found["value"]) if "value" in found else None

    def press(self, keys: str) -> None:
        strokes = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self._act({"type": "key", "id": "keyboard", "actions": strokes})

    def click(self, selector: str) -> None:
        element = f"document.querySelector({json.dumps(selector)})"
        self._evaluate(f"{element}.scrollIntoView({{block: 'center'}})")
        node = {"sharedId": self._evaluate(element)["sharedId"]}
        move = {"type": "pointerMove", "x": 0, "y": 0}
        clicks = [
            {**move, "origin": {"type": "element", "element": node}},
            {"type": "pointerDown", "button": 0},
            {"type": "pointerUp", "button": 0},
        ]
        self._act({"type": "pointer", "id": "mouse", "actions": clicks})

    def complaints(self) -> list[str]:
        self._ask("session.status")  # What was said before has arrived with its answer.
        logged, self._logged = self._logged, []
        return logged

    def close(self) -> None:
        self._ask("browser.close")
        self._loop.run_until_complete(self._session.close())
        self._loop.close()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _act(self, source: dict[str, Any]) -> None:
        self._ask("input.performActions", context=self._context, actions=[source])

    def _evaluate(self, expression: str) -> dict[str, Any]:
        answer = self._ask(
            "script.evaluate",
            expression=expression,
            target={"context": self._context},
            awaitPromise=False,
        )
        assert answer["type"] == "success", answer["exceptionDetails"]["text"]
        result: dict[str, Any] = answer["result"]
        return result

    def _ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        return self._loop.run_until_complete(
            asyncio.wait_for(self._converse(method, parameters), _ANSWER_SECONDS)
        )

    async def _connect(self, address: str) -> None:
        self._session = aiohttp.ClientSession()
        self._socket = await self._session.ws_connect(f"{address}/session", max_msg_size=0)

    async def _converse(self, method: str, parameters: dict[str, Any]) -> dict[str, Any]:
        self._number += 1
        question = {"id": self._number, "method": method, "params": parameters}
        await self._socket.send_json(question)
        while True:
            message = await self._socket.receive_json()
            if message["type"] == "event":
                self._heard(message["params"])
            elif message["id"] == self._number:
                assert message["type"] == "success", f"{method}: {message['message']}"
                result: dict[str, Any] = message["result"]
                return result

    def _heard(self, entry: dict[str, Any]) -> None:
        if entry["level"] == "error" and entry["source"].get("context") == self._context:
            self._logged.append(entry["text"])
