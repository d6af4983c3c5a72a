"""Links that show one recording to somebody outside, for some days."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from recorderd.settings import Settings
from recorderd.web.archive import Archive
from recorderd.web.keys import Signer
from recorderd.web.library import look_up, packed_right_now, plays_in_browsers, video_file
from recorderd.web.media import Media
from recorderd.web.problems import ProblemError, link_has_expired
from recorderd.web.templates import render

_DAY_SECONDS: Final = 86400.0
_WHAT: Final = "share-"


class Sharing:
    """Makes such links, and answers them."""

    def __init__(self, settings: Settings, archive: Archive, media: Media, signer: Signer) -> None:
        self._settings = settings
        self._archive = archive
        self._media = media
        self._signer = signer

    @property
    def days(self) -> int:
        """How long a link is good for; 0 if there are none."""
        return self._settings.web.share_days

    def opens(self, path: str) -> bool:
        """Whether a path, without the prefix, is a good link or belongs to its page."""
        if not self.days:
            return False
        kind, _, rest = path.removeprefix("/").partition("/")
        if kind == "static":
            return True
        return kind == "shared" and self._recording(rest.partition("/")[0]) is not None

    async def offer(self, request: web.Request) -> web.Response:
        """A page with a new link to a recording, for staff."""
        row, _ = await self._archive.ask(look_up, self._settings, request.match_info["id"])
        if not self.days:
            raise ProblemError(
                404, "Links for customers are turned off", "web.share_days in the settings."
            )
        if row.state == "recording":
            raise packed_right_now("The link can be made when the recording has ended.")
        token = self._signer.sign(_WHAT + row.id, self.days * _DAY_SECONDS)
        text = render(request, "share.html", row=row, token=token, days=self.days)
        return web.Response(text=text, content_type="text/html")

    async def page(self, request: web.Request) -> web.Response:
        """What somebody outside sees: the video of one recording, and nothing else."""
        token = request.match_info["token"]
        row, _ = await self._archive.ask(look_up, self._settings, self._required(token))
        await self._archive.fetch(video_file, self._settings, row)
        text = render(request, "shared.html", row=row, token=token, plays=plays_in_browsers(row))
        return web.Response(text=text, content_type="text/html")

    async def video(self, request: web.Request) -> web.StreamResponse:
        recording_id = self._required(request.match_info["token"])
        return await self._media.send_video(request, recording_id, "by a shared link")

    def _required(self, token: str) -> str:
        recording_id = self._recording(token)
        if recording_id is None:
            raise link_has_expired()
        return recording_id

    def _recording(self, token: str) -> str | None:
        text = self._signer.read(token) if self.days else None
        return text.removeprefix(_WHAT) if text is not None and text.startswith(_WHAT) else None
