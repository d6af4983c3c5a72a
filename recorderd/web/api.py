"""The same for programs: JSON, health, figures."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from typing import Any

from aiohttp import web

from recorderd.errors import CatalogueError
from recorderd.settings import Settings
from recorderd.status import NotRunning, finisher_now, status_now
from recorderd.store.reader import RecordingRow
from recorderd.store.search import search, stations
from recorderd.web.archive import MOST_WAITING, Archive
from recorderd.web.encoding import look_at_encoding
from recorderd.web.figures import Figures
from recorderd.web.library import look_up
from recorderd.web.live import look
from recorderd.web.metrics import Traffic, Web, exposition
from recorderd.web.problems import ProblemError
from recorderd.web.questions import read_question, written
from recorderd.web.schema import description, row_document, so_far_document
from recorderd.web.so_far import SoFar
from recorderd.web.templates import PREFIX


class Api:
    """Handlers that answer programs."""

    def __init__(
        self,
        settings: Settings,
        archive: Archive,
        figures: Figures,
        so_far: SoFar,
        traffic: Traffic,
    ) -> None:
        self._settings = settings
        self._archive = archive
        self._figures = figures
        self._so_far = so_far
        self._traffic = traffic

    async def recordings(self, request: web.Request) -> web.Response:
        question = read_question(request.query)
        limit = question.limit or self._settings.web.rows_per_page
        url = self._settings.database_url
        page = await self._archive.ask(search, url, question.search, question.after, limit)
        prefix = request.config_dict[PREFIX]
        return _json(
            {
                "recordings": [row_document(row, prefix) for row in page.rows],
                "next_cursor": None if page.following is None else written(page.following),
            }
        )

    async def recording(self, request: web.Request) -> web.Response:
        row, siblings = await self._archive.ask(look_up, self._settings, request.match_info["id"])
        prefix = request.config_dict[PREFIX]
        encoding = await self._archive.ask(look_at_encoding, self._settings, row)
        return _json(
            row_document(row, prefix)
            | {
                "order_recordings": [row_document(sibling, prefix) for sibling in siblings],
                "so_far": await self._recorded_so_far(row, prefix),
                "encoding": None if encoding is None else asdict(encoding),
            }
        )

    async def _recorded_so_far(self, row: RecordingRow, prefix: str) -> dict[str, Any] | None:
        if row.state != "recording":
            return None
        try:
            return so_far_document(row, await self._so_far.look(row), prefix)
        except ProblemError:
            return None

    async def status(self, _request: web.Request) -> web.Response:
        typical = await self._figures.typical_bytes()
        live = await self._archive.ask(look, self._settings, typical)
        words = {
            "level": live.level,
            "recording_id": live.recording_id,
            "headline": live.headline,
            "details": live.details,
            "faults_in_words": live.faults,
        }
        return _json({**live.document, "words": words})

    async def openapi(self, request: web.Request) -> web.Response:
        return _json(description(request.config_dict[PREFIX]))

    async def health(self, _request: web.Request) -> web.Response:
        """Whether pages can be made: the catalogue answers. The station may be off."""
        await self._archive.ask(stations, self._settings.database_url)
        return web.Response(text="ok\n")

    async def metrics(self, _request: web.Request) -> web.Response:
        try:
            totals = await self._figures.totals()
        except (CatalogueError, ProblemError):
            totals = None
        # Not by the archive's threads: how busy they are is asked for when they are too busy.
        found = await asyncio.to_thread(status_now, self._settings)
        text = exposition(
            None if isinstance(found, NotRunning) else found,
            totals,
            Web(self._traffic, self._archive.waiting, MOST_WAITING),
            await asyncio.to_thread(finisher_now, self._settings),
        )
        return web.Response(
            body=text.encode(),
            headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"},
        )


def _json(document: dict[str, Any]) -> web.Response:
    """Lone surrogates of a label's text are written as escapes, so that all is UTF-8."""
    return web.json_response(document, dumps=lambda value: json.dumps(value, ensure_ascii=True))
