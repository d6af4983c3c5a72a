"""The page /setup: what the camera sees, how well, and the zone in which labels are read."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any, Final

import structlog
from aiohttp import web

from recorderd.aim import words, zone
from recorderd.aim.live import LiveView, View
from recorderd.aim.words import Verdict
from recorderd.aim.zone import ZoneInForce
from recorderd.core.rules import Zone
from recorderd.errors import DeviceError
from recorderd.settings import Settings
from recorderd.web.archive import Archive
from recorderd.web.forms import form_of, token_for
from recorderd.web.guard import CLIENT
from recorderd.web.keys import Signer
from recorderd.web.problems import ProblemError
from recorderd.web.templates import PREFIX, render

EDGES: Final = ("left", "top", "right", "bottom")
_WHAT: Final = "setup-zone"
_FIRST_VIEW_SECONDS: Final = 2.5
_LOOK_SECONDS: Final = 0.1

log = structlog.get_logger("web")


@dataclass(frozen=True, slots=True)
class Seen:
    """One look: a view and what it means."""

    view: View
    focus: Verdict
    exposure: Verdict
    codes: tuple[Verdict, ...]


class Setup:
    """Shows what the station sees. It is asked anew with each request; nothing is kept here."""

    def __init__(self, settings: Settings, archive: Archive, signer: Signer) -> None:
        self._settings = settings
        self._archive = archive
        self._signer = signer
        self._live = LiveView(settings.run_folder)

    async def page(self, request: web.Request) -> web.Response:
        """The whole page; without JavaScript it comes again by itself, unless it is edited."""
        log.info("somebody aims the camera", client=request[CLIENT])
        seen, (in_force, token) = await asyncio.gather(
            self._look_or_why_not(), self._archive.ask(self._zone_and_token)
        )
        text = render(
            request,
            "setup.html",
            seen=None if isinstance(seen, str) else seen,
            problem=seen if isinstance(seen, str) else "",
            edges={
                edge: f"{value * 100:g}"
                for edge, value in zip(EDGES, in_force or (0, 0, 1, 1), strict=True)
            },
            line=zone.in_toml(in_force),
            editing="edit" in request.query,
            token=token,
            fixed=zone.is_fixed(),
            saved="saved" in request.query,
        )
        return web.Response(text=text, content_type="text/html")

    async def picture(self, _request: web.Request) -> web.Response:
        """What the camera sees, as a JPEG. Raises ProblemError."""
        try:
            seen = await self._look(_FIRST_VIEW_SECONDS)
        except DeviceError as error:
            raise ProblemError(
                503, "There is no picture", str(error), {"Retry-After": "1"}
            ) from None
        return web.Response(
            body=seen.view.jpeg, content_type="image/jpeg", headers={"Cache-Control": "no-store"}
        )

    async def view(self, _request: web.Request) -> web.Response:
        """The same in words, for the page's script."""
        try:
            document = _document(await self._look(_LOOK_SECONDS))
        except DeviceError as error:
            document = {"problem": str(error)}
        return web.json_response(document, headers={"Cache-Control": "no-store"})

    async def save(self, request: web.Request) -> web.StreamResponse:
        """Take a zone from the form. Raises ProblemError."""
        if not self._may_save():
            raise ProblemError(
                404,
                "The zone is not saved here",
                "web.setup in the settings allows it, unless the environment sets the zone.",
            )
        form = await form_of(request, _WHAT, self._signer, "the page")
        wanted = None if "whole" in form else _zone_of([str(form.get(edge, "")) for edge in EDGES])
        try:
            await self._archive.ask(zone.save, self._settings, wanted)
        except OSError as error:
            log.error("the zone could not be saved", problem=str(error))
            raise ProblemError(
                503,
                "The zone could not be saved",
                "The station's disk takes nothing now. 'recorderd status' says more.",
            ) from None
        log.info("the zone was drawn anew", zone=zone.in_toml(wanted), client=request[CLIENT])
        raise web.HTTPSeeOther(f"{request.config_dict[PREFIX]}/setup?saved")

    def _zone_and_token(self) -> tuple[Zone | None, str | None]:
        token = token_for(_WHAT, self._signer) if self._may_save() else None
        return ZoneInForce(self._settings).look(), token

    def _may_save(self) -> bool:
        return self._settings.web.setup and not zone.is_fixed()

    async def _look(self, patience_seconds: float) -> Seen:
        """Look through the camera, and wait a little if the station was not asked before.

        Raises DeviceError if there is nothing to be seen.
        """
        deadline = time.monotonic() + patience_seconds
        while (view := await self._archive.ask(self._live.look)) is None:
            if time.monotonic() > deadline:
                raise DeviceError("No picture yet", "If none comes, 'recorderd status' says why")
            await asyncio.sleep(_LOOK_SECONDS)
        return Seen(
            view,
            words.focus(view.focus),
            words.exposure(view),
            tuple(map(words.code, view.codes)),
        )

    async def _look_or_why_not(self) -> Seen | str:
        """For the whole page, which is shown in either case."""
        try:
            return await self._look(_FIRST_VIEW_SECONDS)
        except DeviceError as error:
            return str(error)


def _zone_of(edges: list[str]) -> Zone | None:
    """A zone from per cents; the whole picture is none. Raises ProblemError."""
    try:
        left, top, right, bottom = (round(float(edge) / 100, 4) for edge in edges)
    except (ValueError, OverflowError):
        raise _no_zone() from None
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        raise _no_zone()
    found = (left, top, right, bottom)
    return None if found == (0, 0, 1, 1) else found


def _no_zone() -> ProblemError:
    return ProblemError(
        400,
        "That is no zone",
        "Four numbers from 0 to 100 are needed, left less than right and top less than bottom. "
        "Go back and write them.",
    )


def _document(seen: Seen) -> dict[str, Any]:
    view = seen.view
    return {
        "taken": view.monotonic_ns,
        "width": view.width,
        "height": view.height,
        "focus": round(view.focus, 3),
        "focus_words": seen.focus.text,
        "exposure_words": seen.exposure.text,
        "codes": [
            {"words": verdict.text, "good": verdict.good, "corners": code.corners}
            for code, verdict in zip(view.codes, seen.codes, strict=True)
        ],
    }
