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
from recorderd.web.figures import Figures
from recorderd.web.guard import Guard, guarded
from recorderd.web.keys import Signer
from recorderd.web.media import Media
from recorderd.web.metrics import Traffic
from recorderd.web.pages import Pages
from recorderd.web.password import Door
from recorderd.web.problems import problems_in_words
from recorderd.web.sharing import Sharing
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
    "Server": "recorderd",
}


def make_app(settings: Settings, guard: Guard | None = None) -> web.Application:
    """Build the application; it opens nothing before the first request."""
    prefix = settings.web.path_prefix
    archive, assets, traffic = Archive(), Assets(), Traffic()
    figures = Figures(settings, archive)
    pages = Pages(settings, archive, figures)
    signer = Signer(settings.state_folder / "web.key")
    media = Media(settings, archive, signer)
    sharing = Sharing(settings, archive, media)
    door = Door(settings.web.password_hash, archive, signer)
    api = Api(settings, archive, figures, traffic)

    app = web.Application(
        middlewares=[
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
    app.add_routes(
        [
            web.get(f"{prefix}/", pages.search),
            web.get(f"{prefix}/recordings/{{id}}", pages.player),
            web.get(f"{prefix}/recordings/{{id}}/video", media.video),
            web.get(f"{prefix}/recordings/{{id}}/label.jpg", media.label),
            web.get(f"{prefix}/recordings/{{id}}/thumb.jpg", media.thumbnail),
            web.get(f"{prefix}/recordings/{{id}}/share", sharing.offer),
            web.get(f"{prefix}/shared/{{token}}", sharing.page),
            web.get(f"{prefix}/shared/{{token}}/video", sharing.video),
            web.get(f"{prefix}/login", door.page),
            web.post(f"{prefix}/login", door.enter),
            web.get(f"{prefix}/api/recordings", api.recordings),
            web.get(f"{prefix}/api/recordings/{{id}}", api.recording),
            web.get(f"{prefix}/api/status", api.status),
            web.get(f"{prefix}/openapi.json", api.openapi),
            web.get(f"{prefix}/healthz", api.health),
            web.get(f"{prefix}/metrics", api.metrics),
            web.get(f"{prefix}/static/{{name}}", _asset),
        ]
    )
    if prefix:
        app.router.add_get(prefix, _to_the_start)
    app.on_response_prepare.append(_headers)

    async def threads(_app: web.Application) -> AsyncIterator[None]:
        yield
        archive.close()

    app.cleanup_ctx.append(threads)
    return app


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


async def _to_the_start(request: web.Request) -> web.Response:
    raise web.HTTPPermanentRedirect(request.app[PREFIX] + "/")


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
