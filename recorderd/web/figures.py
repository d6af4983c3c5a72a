"""Numbers about the whole archive, counted now and then, for everyone who asks meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from recorderd.errors import CatalogueError
from recorderd.settings import Settings
from recorderd.store.search import Totals, totals, typical_bytes
from recorderd.web.archive import Archive

_FRESH_SECONDS: Final = 30.0

_T = TypeVar("_T")


class Figures:
    """Asks the catalogue at most twice a minute, however often it is asked itself."""

    def __init__(self, settings: Settings, archive: Archive) -> None:
        self._totals = _Figure(archive, totals, settings.database_url)
        self._typical_bytes = _Figure(archive, typical_bytes, settings.database_url)

    async def totals(self) -> Totals:
        """All recordings, counted. Raises CatalogueError."""
        return await self._totals.get()

    async def typical_bytes(self) -> int | None:
        """The usual size of a recording; None while that is not known."""
        try:
            return await self._typical_bytes.get()
        except CatalogueError:
            return None


class _Figure(Generic[_T]):
    def __init__(self, archive: Archive, question: Callable[[str], _T], url: str) -> None:
        self._archive = archive
        self._question = question
        self._url = url
        self._asking = asyncio.Lock()
        self._answer: tuple[_T, float] | None = None

    async def get(self) -> _T:
        async with self._asking:
            if self._answer is None or time.monotonic() - self._answer[1] > _FRESH_SECONDS:
                answer = await self._archive.ask(self._question, self._url)
                self._answer = (answer, time.monotonic())
            return self._answer[0]
