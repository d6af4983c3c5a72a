"""Answers that say no: a page in plain words for people, problem+json (RFC 9457) for programs."""

from __future__ import annotations

import html
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from recorderd.errors import CatalogueError
from recorderd.store.database import CatalogueTooSlowError, CatalogueUnavailableError
from recorderd.web.templates import place, render

RETRY_SECONDS: Final = 2
_TITLES: Final = {
    404: ("Nothing is here", "Check the address, or search for the order."),
    405: ("That cannot be done here", "The pages can only be read."),
}

log = structlog.get_logger("web")


class ProblemError(Exception):
    """A request that cannot be answered: what is wrong and what to do, in plain words."""

    def __init__(
        self, status: int, title: str, detail: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(title)
        self.status = status
        self.title = title
        self.detail = detail
        self.headers = dict(headers or {})


def wants_json(request: web.Request) -> bool:
    """Whether a program asks, not a person's browser."""
    path = place(request)
    accept = request.headers.get("Accept", "")
    return path.startswith(("/api/", "/openapi.json")) or (
        "json" in accept and "text/html" not in accept
    )


def answer(request: web.Request, problem: ProblemError) -> web.Response:
    """Put a problem into words for whoever asks."""
    if wants_json(request):
        document: dict[str, Any] = {
            "type": "about:blank",
            "title": problem.title,
            "status": problem.status,
            "detail": problem.detail,
        }
        return web.json_response(
            document,
            status=problem.status,
            headers=problem.headers,
            content_type="application/problem+json",
        )
    try:
        page = render(request, "problem.html", problem=problem, outside=_is_outside(request))
    except Exception:
        log.exception("the page of a problem cannot be made")
        page = f"<!doctype html><title>recorderd</title><p>{html.escape(problem.title)}"
    return web.Response(
        text=page, status=problem.status, headers=problem.headers, content_type="text/html"
    )


def _is_outside(request: web.Request) -> bool:
    """Whether somebody without access asks, to whom the search would be refused as well."""
    return place(request).startswith("/shared/")


@web.middleware
async def problems_in_words(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn whatever goes wrong into an answer; details go to the journal, not to the client."""
    try:
        return await handler(request)
    except ProblemError as problem:
        found = problem
    except web.HTTPException as error:
        if error.status < 400:
            raise
        fallback = (HTTPStatus(error.status).phrase, "The request was not understood.")
        title, detail = _TITLES.get(error.status, fallback)
        kept = {name: error.headers[name] for name in ("Allow",) if name in error.headers}
        found = ProblemError(error.status, title, detail, kept)
    except CatalogueTooSlowError:
        found = busy()
    except CatalogueUnavailableError as error:
        log.warning("the catalogue is unavailable", problem=str(error))
        found = ProblemError(
            503,
            "The list of recordings is not to be had just now",
            "Try again in a moment. If it stays, tell the technician: "
            "the journal of recorderd-web says why.",
            {"Retry-After": str(RETRY_SECONDS)},
        )
    except CatalogueError as error:
        log.warning("the catalogue cannot be read", problem=str(error))
        found = ProblemError(
            503,
            "The list of recordings cannot be read",
            "If the station was never started, start it once. "
            "Else tell the technician: the journal of recorderd-web says why.",
            {"Retry-After": "30"},
        )
    except ConnectionError:
        # The client left in the middle of an answer: there is nobody to tell.
        raise
    except Exception:
        log.exception("a request failed", path=request.path)
        found = ProblemError(
            500,
            "Something went wrong here",
            "It is written in the journal. Try again; if it stays, tell the technician.",
        )
    return answer(request, found)


def link_has_expired() -> ProblemError:
    """The answer for a customer's link that is no longer good, or never was."""
    return ProblemError(404, "This link has expired", "Ask for a new one.")


def busy() -> ProblemError:
    """The answer while the catalogue or this server has too much to do."""
    return ProblemError(
        503,
        "Back in a moment",
        "The list of recordings is busy, or the search matched too much. "
        "Try again, or give more of the order number.",
        {"Retry-After": str(RETRY_SECONDS)},
    )
