"""Shown under a path of a proxy, whether that passes the path on or takes it off."""

from __future__ import annotations

from collections.abc import Iterable

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from aiohttp.web_urldispatcher import AbstractResource
from yarl import URL


class Prefix:
    """Answers under the prefix and without it, and lets all that follows see the prefix.

    So there is one form of a path to be judged: by the guard, by the password, and in links.
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._bare: set[AbstractResource | None] = set()

    def add_routes(self, app: web.Application, places: Iterable[web.RouteDef]) -> None:
        """Let the application answer at these places. Where the two forms meet, the prefix wins."""
        places = list(places)
        app.add_routes(
            web.route(place.method, self._prefix + place.path, place.handler, **place.kwargs)
            for place in places
        )
        if self._prefix:
            app.router.add_get(self._prefix, self._to_the_start)
            self._bare = {route.resource for route in app.add_routes(places)}

    def middleware(self) -> Middleware:
        """The first of all."""

        @web.middleware
        async def with_prefix(request: web.Request, handler: Handler) -> web.StreamResponse:
            if self._bare and request.match_info.route.resource in self._bare:
                path, query = request.rel_url.raw_path, request.rel_url.raw_query_string
                request = request.clone(
                    rel_url=URL.build(path=self._prefix + path, query_string=query, encoded=True)
                )
            return await handler(request)

        return with_prefix

    async def _to_the_start(self, _request: web.Request) -> web.Response:
        raise web.HTTPPermanentRedirect(f"{self._prefix}/")
