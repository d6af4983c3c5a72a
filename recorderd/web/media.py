"""Videos and pictures of recordings."""

from __future__ import annotations

import re
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

import structlog
from aiohttp import web

from recorderd.settings import Settings
from recorderd.station.clock import synchronisation
from recorderd.store.footage import still_path, thumbnail_path
from recorderd.store.identity import boot_id
from recorderd.store.reader import RecordingRow
from recorderd.store.records import ClockReading
from recorderd.store.visits import write_down
from recorderd.web.archive import Archive
from recorderd.web.guard import CLIENT
from recorderd.web.library import content_disposition, look_up, missing, video_file
from recorderd.web.problems import ProblemError
from recorderd.web.sending import OpenFile, Sender
from recorderd.web.so_far import SoFar
from recorderd.web.templates import PREFIX

_SAME_VISIT_SECONDS: Final = 600.0
"""A player asks for a video many times while it is watched once."""
_KEEP_PICTURE: Final = "private, max-age=600"
_REMEMBERED_VISITS: Final = 1024

log = structlog.get_logger("web")


class Media:
    """Handlers that send files of the footage folder."""

    def __init__(self, settings: Settings, archive: Archive, sender: Sender, so_far: SoFar) -> None:
        self._settings = settings
        self._archive = archive
        self._sender = sender
        self._so_far = so_far
        self._visits: OrderedDict[tuple[str, str, str], float] = OrderedDict()

    async def video(self, request: web.Request) -> web.StreamResponse:
        """The video; `?download` makes it a file named after the order.

        Of a recording that runs, what there is so far: whoever asks is led to `?until`, behind
        which the video stays the same however often a part of it is asked for.
        """
        recording_id = request.match_info["id"]
        row, _ = await self._archive.ask(look_up, self._settings, recording_id)
        until = request.query.get("until")
        if until is not None:
            return await self._send_so_far(request, row, _place(until))
        if row.state == "recording":
            snapshot = await self._so_far.look(row)
            query = urlencode({**request.query, "until": str(snapshot.end)})
            raise web.HTTPTemporaryRedirect(f"{self._video_address(request, row)}?{query}")
        return await self._send_video(request, row)

    async def send_video(
        self, request: web.Request, recording_id: str, how: str = ""
    ) -> web.StreamResponse:
        """Send a finished recording's video; `how` it was reached is written down."""
        row, _ = await self._archive.ask(look_up, self._settings, recording_id)
        return await self._send_video(request, row, how)

    async def _send_video(
        self, request: web.Request, row: RecordingRow, how: str = ""
    ) -> web.StreamResponse:
        path = await self._archive.fetch(video_file, self._settings, row)
        try:
            opened = await self._sender.open(path)
        except FileNotFoundError:
            log.warning("a video is missing", recording_id=row.id, order_id=row.order_id)
            raise missing() from None
        return await self._send_opened(request, row, opened, how)

    async def _send_so_far(
        self, request: web.Request, row: RecordingRow, until: int
    ) -> web.StreamResponse:
        if row.state != "recording":
            # What was deleted meanwhile is not shown any more.
            await self._archive.fetch(video_file, self._settings, row)
        opened = await self._so_far.open(row, until)
        if opened is None:
            # It was encoded meanwhile: another file, with other bytes.
            raise web.HTTPTemporaryRedirect(self._video_address(request, row))
        return await self._send_opened(request, row, opened)

    async def _send_opened(
        self, request: web.Request, row: RecordingRow, opened: OpenFile, how: str = ""
    ) -> web.StreamResponse:
        """Send a video, after it was written down that it is watched or kept."""
        download = "download" in request.query
        headers = {"Content-Type": "video/mp4"}
        if download:
            headers["Content-Disposition"] = content_disposition(row)
        try:
            await self.note_visit(request, "download" if download else "view", row, how)
        except BaseException:
            opened.close()
            raise
        return await self._sender.send_opened(request, opened, headers)

    def _video_address(self, request: web.Request, row: RecordingRow) -> str:
        return f"{request.config_dict[PREFIX]}/recordings/{row.id}/video"

    async def label(self, request: web.Request) -> web.StreamResponse:
        """The picture in which the label was read."""
        return await self._picture(request, still_path)

    async def thumbnail(self, request: web.Request) -> web.StreamResponse:
        """A small picture for lists."""
        return await self._picture(request, thumbnail_path)

    async def _picture(
        self, request: web.Request, beside: Callable[[Path], Path]
    ) -> web.StreamResponse:
        row, _ = await self._archive.ask(look_up, self._settings, request.match_info["id"])
        video = await self._archive.fetch(video_file, self._settings, row)
        headers = {"Content-Type": "image/jpeg", "Cache-Control": _KEEP_PICTURE}
        try:
            opened = await self._sender.open(beside(video))
        except FileNotFoundError:
            raise ProblemError(
                404, "There is no such picture", "It is made soon after the recording, if at all."
            ) from None
        return await self._sender.send_opened(request, opened, headers)

    async def note_visit(
        self, request: web.Request, event: str, row: RecordingRow, how: str = ""
    ) -> None:
        """Write down that a recording is watched or leaves the house, once for each visit.

        Raises ProblemError if that cannot be done just now: then nothing may be sent.
        """
        if request.method != "GET":
            return
        client = f"{request[CLIENT]} {how}".strip()
        visit, now = (client, event, row.id), time.monotonic()
        if now - self._visits.get(visit, -_SAME_VISIT_SECONDS) >= _SAME_VISIT_SECONDS:
            try:
                reading = ClockReading(boot_id(), time.monotonic_ns(), synchronisation())
                await self._archive.ask(
                    write_down, self._settings.visits_file, event, row.id, client, reading
                )
            except OSError as error:
                # A full disk is no reason to keep the proof from whoever needs it.
                log.warning("a visit could not be written down", problem=str(error))
        self._visits[visit] = now
        self._visits.move_to_end(visit)
        if len(self._visits) > _REMEMBERED_VISITS:
            self._visits.popitem(last=False)


def _place(text: str) -> int:
    """Read `until`. Raises ProblemError."""
    if not re.fullmatch(r"\d{1,18}", text, re.ASCII):
        raise ProblemError(400, "That cannot be shown", "'until' must be what the page gave.")
    return int(text)
