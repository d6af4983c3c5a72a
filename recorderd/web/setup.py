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
from recorderd.aim.zone import Zone, ZoneInForce
from recorderd.errors import DeviceError
from recorderd.settings import Settings
from recorderd.web.archive import Archive
from recorderd.web.forms import from_our_page
from recorderd.web.guard import CLIENT
from recorderd.web.keys import Signer
from recorderd.web.problems import ProblemError
from recorderd.web.templates import PREFIX, render

EDGES: Final = ("left", "top", "right", "bottom")
_WHAT: Final = "setup-zone"
_FORM_SECONDS: Final = 12 * 3600.0
_FIRST_VIEW_SECONDS: Final = 2.5
_LOOK_SECONDS: Final = 0.1

log = structlog.get_logger("web")


@dataclass(frozen=True, slots=True)
class Seen:
    """One look: a view and what it means, or in `problem` why there is none."""

    view: View | None
    focus: Verdict | None
    exposure: Verdict | None
    codes: tuple[Verdict, ...]
    problem: str


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
            self._look(_FIRST_VIEW_SECONDS), self._archive.ask(self._zone_and_token)
        )
        text = render(
            request,
            "setup.html",
            seen=seen,
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
        seen = await self._look(_FIRST_VIEW_SECONDS)
        if seen.view is None:
            raise ProblemError(503, "There is no picture", seen.problem, {"Retry-After": "1"})
        return web.Response(
            body=seen.view.jpeg, content_type="image/jpeg", headers={"Cache-Control": "no-store"}
        )

    async def view(self, _request: web.Request) -> web.Response:
        """The same in words, for the page's script."""
        return web.json_response(
            _document(await self._look(_LOOK_SECONDS)), headers={"Cache-Control": "no-store"}
        )

    async def save(self, request: web.Request) -> web.StreamResponse:
        """Take a zone from the form. Raises ProblemError."""
        if not self._settings.web.setup or zone.is_fixed():
            raise ProblemError(
                404,
                "The zone is not saved here",
                "web.setup in the settings allows it, unless the environment sets the zone.",
            )
        form = await request.post()
        if not from_our_page(request) or self._signer.read(str(form.get("token", ""))) != _WHAT:
            raise ProblemError(
                403,
                "This form cannot be used any more",
                "Open the page again, and send the form from there.",
            )
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
        in_force = ZoneInForce(self._settings).look()
        if not self._settings.web.setup or zone.is_fixed():
            return in_force, None
        try:
            return in_force, self._signer.sign(_WHAT, _FORM_SECONDS)
        except OSError as error:
            log.warning("forms cannot be signed", problem=str(error))
            return in_force, None

    async def _look(self, patience_seconds: float) -> Seen:
        """Look through the camera, and wait a little if the station was not asked before."""
        try:
            deadline = time.monotonic() + patience_seconds
            while (view := await self._archive.ask(self._live.look)) is None:
                if time.monotonic() > deadline:
                    return _nothing("No picture yet. If none comes, 'recorderd status' says why.")
                await asyncio.sleep(_LOOK_SECONDS)
        except DeviceError as error:
            return _nothing(str(error))
        return Seen(
            view,
            words.focus(view.focus),
            words.exposure(view),
            tuple(map(words.code, view.codes)),
            "",
        )


def _nothing(problem: str) -> Seen:
    return Seen(None, None, None, (), problem)


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
    if view is None or seen.focus is None or seen.exposure is None:
        return {"problem": seen.problem}
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
