"""The web application: what answers where, and what holds for every answer."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from recorderd.settings import Settings
from recorderd.web.api import Api
from recorderd.web.archive import Archive
from recorderd.web.assets import Assets
from recorderd.web.export import Export
from recorderd.web.figures import Figures
from recorderd.web.guard import Guard, guarded
from recorderd.web.holding import Holding
from recorderd.web.keys import Signer
from recorderd.web.live import recorded_now
from recorderd.web.media import Media
from recorderd.web.metrics import Traffic
from recorderd.web.pacing import Pace
from recorderd.web.pages import Pages
from recorderd.web.password import Door
from recorderd.web.prefix import Prefix
from recorderd.web.problems import ProblemError, problems_in_words
from recorderd.web.sending import Sender
from recorderd.web.setup import Setup
from recorderd.web.sharing import Sharing
from recorderd.web.so_far import SoFar
from recorderd.web.templates import ASSETS, PREFIX, TEMPLATES, environment

LARGEST_BODY_BYTES: Final = 16_384
_WORTH_COMPRESSING: Final = 1000
_TEXT_TYPES: Final = ("text/", "application/json", "application/problem+json", "image/svg+xml")
_ALWAYS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; media-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Robots-Tag": "noindex",
    # nginx would else write what a slow client has not yet taken to its own disk.
    "X-Accel-Buffering": "no",
    "Server": "recorderd",
}


def make_app(settings: Settings, guard: Guard | None = None) -> web.Application:
    """Build the application; it opens nothing before the first request."""
    prefix = settings.web.path_prefix
    places = Prefix(prefix)
    archive, assets, traffic = Archive(), Assets(), Traffic()
    figures = Figures(settings, archive)
    signer = Signer(settings.state_folder / "web.key")
    so_far = SoFar(settings, archive)
    sender = Sender(archive, _pace(settings, archive))
    media = Media(settings, archive, sender, so_far)
    export = Export(settings, archive, sender, media)
    holding = Holding(settings, archive, signer)
    pages = Pages(settings, archive, figures, so_far, holding)
    setup = Setup(settings, archive, signer)
    sharing = Sharing(settings, archive, media, signer)
    door = Door(settings.web.password_hash, archive, signer)
    api = Api(settings, archive, figures, so_far, traffic)

    app = web.Application(
        middlewares=[
            places.middleware(),
            _counted(traffic),
            _compressed,
            problems_in_words,
            guarded(guard or Guard(settings.web), sharing.opens),
            door.middleware(),
        ],
        client_max_size=LARGEST_BODY_BYTES,
    )
    app[PREFIX] = prefix
    app[ASSETS] = assets
    app[TEMPLATES] = environment(prefix, assets)
    places.add_routes(
        app,
        [
            web.get("/", pages.search),
            web.get("/recordings/{id}", pages.player),
            web.get("/recordings/{id}/video", media.video),
            web.get("/recordings/{id}/label.jpg", media.label),
            web.get("/recordings/{id}/thumb.jpg", media.thumbnail),
            web.get("/recordings/{id}/export", export.order),
            web.get("/recordings/{id}/share", sharing.offer),
            web.post("/recordings/{id}/hold", holding.change),
            web.get("/shared/{token}", sharing.page),
            web.get("/shared/{token}/video", sharing.video),
            web.get("/setup", setup.page),
            web.get("/setup/picture.jpg", setup.picture),
            web.get("/setup/view", setup.view),
            web.post("/setup/zone", setup.save),
            web.get("/login", door.page),
            web.post("/login", door.enter),
            web.get("/api/recordings", api.recordings),
            web.get("/api/recordings/{id}", api.recording),
            web.get("/api/status", api.status),
            web.get("/openapi.json", api.openapi),
            web.get("/healthz", api.health),
            web.get("/metrics", api.metrics),
            web.get("/static/{name}", _asset),
        ],
    )
    app.on_response_prepare.append(_headers)

    async def threads(_app: web.Application) -> AsyncIterator[None]:
        yield
        archive.close()

    app.cleanup_ctx.append(threads)
    return app


def _pace(settings: Settings, archive: Archive) -> Pace:
    async def is_recording() -> bool:
        try:
            return bool(await archive.ask(recorded_now, settings))
        except ProblemError:
            # Too much is asked to look at all.
            return True

    return Pace(settings.web.megabytes_per_second_while_recording * 1e6, is_recording)


async def _asset(request: web.Request) -> web.Response:
    asset = request.app[ASSETS].get(request.match_info["name"])
    if asset is None:
        raise web.HTTPNotFound
    forever = request.query.get("v") == asset.version
    headers = {
        "Content-Type": f"{asset.content_type}; charset=utf-8",
        "ETag": f'"{asset.version}"',
        "Cache-Control": "public, max-age=31536000, immutable" if forever else "no-cache",
    }
    if f'"{asset.version}"' in request.headers.get("If-None-Match", ""):
        return web.Response(status=304, headers=headers)
    return web.Response(body=asset.content, headers=headers)


async def _headers(_request: web.Request, response: web.StreamResponse) -> None:
    for name, value in _ALWAYS.items():
        response.headers[name] = value
    response.headers.setdefault("Cache-Control", "private, no-cache")


@web.middleware
async def _compressed(request: web.Request, handler: Handler) -> web.StreamResponse:
    response = await handler(request)
    if (
        isinstance(response, web.Response)
        and response.headers.get("Content-Type", "").startswith(_TEXT_TYPES)
        and isinstance(response.body, bytes)
        and len(response.body) >= _WORTH_COMPRESSING
    ):
        response.headers["Vary"] = "Accept-Encoding"
        if "gzip" in request.headers.get("Accept-Encoding", "").lower():
            response.enable_compression(web.ContentCoding.gzip)
    return response


def _counted(traffic: Traffic) -> Middleware:
    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        traffic.running += 1
        began, status = time.monotonic(), 499
        try:
            response = await handler(request)
            status = response.status
            return response
        except web.HTTPException as redirect:
            status = redirect.status
            raise
        finally:
            traffic.running -= 1
            traffic.answers[status] += 1
            traffic.seconds += time.monotonic() - began

    return middleware
