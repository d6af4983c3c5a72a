"""The two pages: search and player."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Final
from urllib.parse import urlencode

from aiohttp import web

from recorderd.core.model import RecordingState
from recorderd.mp4.snapshot import Snapshot
from recorderd.settings import Settings
from recorderd.store.footage import still_path
from recorderd.store.reader import RecordingRow
from recorderd.store.search import Page, orders_exactly, search, stations
from recorderd.web.archive import Archive
from recorderd.web.encoding import Encoding, look_at_encoding
from recorderd.web.figures import Figures
from recorderd.web.holding import Holding
from recorderd.web.library import missing, plays_in_browsers, video_file
from recorderd.web.live import is_cut_off, look
from recorderd.web.problems import ProblemError
from recorderd.web.questions import Question, read_question, written
from recorderd.web.so_far import SoFar, plays_so_far
from recorderd.web.templates import PREFIX, render

FILTERS: Final = ("q", "from", "to", "station", "flagged", "state")
_USUAL_FRAME_RATE: Final = 30.0
_PLAYABLE: Final = ("captured", "saved", "recovered", "damaged")


class Pages:
    """Handlers that make pages for people."""

    def __init__(
        self,
        settings: Settings,
        archive: Archive,
        figures: Figures,
        so_far: SoFar,
        holding: Holding,
    ) -> None:
        self._settings = settings
        self._archive = archive
        self._figures = figures
        self._so_far = so_far
        self._holding = holding

    async def search(self, request: web.Request) -> web.StreamResponse:
        """The search box and what was found; the newest recordings if nothing is asked.

        The full id of an order, or its label's full text as a hand scanner types it, opens
        the player at once, unless `list` asks for the list.
        """
        question = read_question(request.query)
        asked = question.search
        if question.names_an_order and "list" not in request.query:
            named = await self._archive.ask(orders_exactly, self._settings.database_url, asked.text)
            if named:
                raise web.HTTPSeeOther(self._player_url(request, _best(named)))
        page, names, live = await asyncio.gather(
            self._archive.ask(self._page, question),
            self._archive.ask(stations, self._settings.database_url),
            self._archive.ask(look, self._settings, await self._figures.typical_bytes()),
        )
        kept = {name: request.query.get(name, "").strip() for name in FILTERS}
        asked_for = {name: value for name, value in kept.items() if value}
        following = None
        if page.following is not None:
            following = "?" + urlencode(
                {**asked_for, "list": "1", "cursor": written(page.following)}
            )
        text = render(
            request,
            "search.html",
            page=page,
            kept=kept,
            searched=bool(asked_for),
            filtered=any(name != "q" for name in asked_for),
            first=question.after is None,
            following=following,
            stations=names,
            states=[state.value for state in RecordingState],
            live=live,
        )
        return web.Response(text=text, content_type="text/html")

    async def player(self, request: web.Request) -> web.StreamResponse:
        """One recording: its video, what is known of it, all takes and parts of its order."""
        row, siblings, hold = await self._holding.look(request.match_info["id"])
        trouble: ProblemError | None = None
        has_still = False
        snapshot: Snapshot | None = None
        cut_off = False
        encoding: Encoding | None = None
        try:
            if row.state == RecordingState.RECORDING:
                cut_off = await self._archive.ask(is_cut_off, self._settings, row)
                snapshot = await self._what_there_is(row, cut_off)
            else:
                has_still = await self._archive.fetch(self._look_for_files, row)
                has_still = await self._archive.ask(self._look_for_files, row)
                encoding = await self._archive.ask(look_at_encoding, self._settings, row)
        except ProblemError as problem:
            trouble = problem
        text = render(
            request,
            "player.html",
            row=row,
            siblings=siblings,
            following=_following(row, siblings),
            trouble=trouble,
            has_still=has_still,
            so_far=snapshot,
            cut_off=cut_off,
            hold=hold,
            encoding=encoding,
            share_days=self._settings.web.share_days,
            plays=plays_in_browsers(row) if snapshot is None else plays_so_far(snapshot),
            start=_second(request.query.get("t", "")),
            frame_rate=_frame_rate(row, snapshot),
            offset_minutes=_offset_minutes(row),
        )
        return web.Response(text=text, content_type="text/html")

    async def _what_there_is(self, row: RecordingRow, cut_off: bool) -> Snapshot:
        """What was recorded so far. Raises ProblemError that says why there is nothing."""
        if cut_off and row.station != self._settings.station.name:
            raise ProblemError(
                409,
                "This order was begun at another station",
                f"It is being packed at {row.station}, or was cut off there. "
                "Its video is on that station's own pages.",
            )
        try:
            return await self._so_far.look(row)
        except ProblemError:
            if not cut_off:
                raise
            raise ProblemError(
                409,
                "This recording was cut off",
                "What is left of it is repaired as soon as the station runs again.",
            ) from None

    def _look_for_files(self, row: RecordingRow) -> bool:
        """Whether there is a picture of the label. Raises ProblemError if there is no video."""
        path = video_file(self._settings, row)
        if not path.is_file():
            raise missing()
        return still_path(path).is_file()

    def _page(self, question: Question) -> Page:
        url, limit = self._settings.database_url, self._settings.web.rows_per_page
        asked = question.search
        page = search(url, asked, question.after, limit)
        squeezed = "".join(asked.text.split())
        if not page.rows and question.after is None and squeezed != asked.text:
            # Tracking numbers are often printed, and pasted, in groups.
            page = search(url, replace(asked, text=squeezed), None, limit)
        return page

    def _player_url(self, request: web.Request, row: RecordingRow) -> str:
        return f"{request.config_dict[PREFIX]}/recordings/{row.id}"


def _best(rows: list[RecordingRow]) -> RecordingRow:
    """The first part of the newest take that can be watched, else the newest of all."""
    takes = [row for row in rows if row.state in _PLAYABLE]
    if not takes:
        return rows[0]
    newest = max(row.take for row in takes)
    return min((row for row in takes if row.take == newest), key=lambda row: row.part)


def _following(row: RecordingRow, siblings: list[RecordingRow]) -> RecordingRow | None:
    """The next part of the same take."""
    later = [each for each in siblings if each.take == row.take and each.part > row.part]
    return min(later, key=lambda each: each.part, default=None)


def _offset_minutes(row: RecordingRow) -> int:
    """How far the station's own time was ahead of UTC then."""
    offset = row.started_at.astimezone().utcoffset()
    return 0 if offset is None else round(offset.total_seconds() / 60)


def _second(text: str) -> float | None:
    """The second a link points to."""
    try:
        second = float(text)
    except ValueError:
        return None
    return round(second, 3) if 0 <= second < 1_000_000 else None


def _frame_rate(row: RecordingRow, snapshot: Snapshot | None) -> float:
    frames, seconds = row.frames or 0, (row.duration_ms or 0) / 1000
    if snapshot is not None:
        frames, seconds = snapshot.frames, snapshot.seconds
    return round(frames / seconds, 3) if frames and seconds else _USUAL_FRAME_RATE
