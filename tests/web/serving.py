"""The real server on a free port, in a thread of its own, and plain HTTP to talk to it."""

from __future__ import annotations

import asyncio
import http.client
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from recorderd.settings import Settings
from recorderd.web.guard import Guard
from recorderd.web.run import make_runner


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Server:
    """Serves until closed."""

    def __init__(self, settings: Settings, guard: Guard | None = None) -> None:
        self._loop = asyncio.new_event_loop()
        self._runner = make_runner(settings, guard)
        self._ready = threading.Event()
        self._leaving = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="web")
        self._thread.start()
        assert self._ready.wait(10)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._leaving.set)
        self._thread.join(20)
        assert not self._thread.is_alive()

    def get(
        self,
        path: str,
        headers: Mapping[str, str] | None = None,
        method: str = "GET",
        body: str | None = None,
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path, body=body, headers=dict(headers or {}))
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port: int = self._runner.addresses[0][1]
        self._ready.set()
        await self._leaving.wait()
        await self._runner.cleanup()
