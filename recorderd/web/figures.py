"""Numbers about the whole archive, counted now and then, for everyone who asks meanwhile."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from recorderd.errors import CatalogueError
from recorderd.settings import Settings
from recorderd.store.search import Totals, totals
from recorderd.web.archive import Archive

_FRESH_SECONDS: Final = 30.0


class Figures:
    """Counts at most twice a minute, however often it is asked."""

    def __init__(self, settings: Settings, archive: Archive) -> None:
        self._settings = settings
        self._archive = archive
        self._counting = asyncio.Lock()
        self._totals: Totals | None = None
        self._counted_at = 0.0

    async def totals(self) -> Totals:
        """Raises CatalogueError."""
        async with self._counting:
            if self._totals is None or time.monotonic() - self._counted_at > _FRESH_SECONDS:
                self._totals = await self._archive.ask(totals, self._settings.database_url)
                self._counted_at = time.monotonic()
            return self._totals

    async def typical_bytes(self) -> int | None:
        """The usual size of a recording; None while that is not known."""
        try:
            return (await self.totals()).typical_bytes
        except CatalogueError:
            return None
