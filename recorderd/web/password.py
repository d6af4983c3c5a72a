"""The optional password of the pages: kept as a hash, slow to guess."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from typing import Final
from urllib.parse import urlencode

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from recorderd.web.archive import Archive
from recorderd.web.guard import CLIENT, HTTPS, OPEN, Allowance, address_of, neighbourhood
from recorderd.web.keys import Signer
from recorderd.web.problems import ProblemError, wants_json
from recorderd.web.templates import PREFIX, place, render

COOKIE: Final = "recorderd"
SESSION_SECONDS: Final = 12 * 3600.0
LONGEST_PASSWORD: Final = 1024
_ATTEMPTS_PER_SECOND: Final = 0.2
_FREE_ATTEMPTS: Final = 6
_ATTEMPTS_OF_ALL_PER_SECOND: Final = 1.0
_FREE_ATTEMPTS_OF_ALL: Final = 60
"""Somebody with many addresses is slowed down, a whole office in the morning is not."""
_OPEN_PLACES: Final = ("/login", "/healthz")
_CHALLENGE: Final = 'Basic realm="recorderd", charset="UTF-8"'
_COST: Final = {"n": 1 << 14, "r": 8, "p": 1}
"""scrypt (RFC 7914): 16 MB and some 50 ms a guess."""


def hash_password(password: str) -> str:
    """What to write into web.password_hash."""
    salt = secrets.token_bytes(16)
    return f"scrypt:{salt.hex()}:{_hash(password, salt).hex()}"


def fits(password: str, hashed: str) -> bool:
    """Whether this is the password. Takes long on purpose: not for the event loop."""
    _, salt, expected = hashed.split(":")
    found = _hash(password, bytes.fromhex(salt))
    return hmac.compare_digest(found, bytes.fromhex(expected))


def _hash(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode("utf-8", "replace"), salt=salt, **_COST)


class Door:
    """Asks for the password, and knows who has given it: by a cookie, or HTTP Basic."""

    def __init__(self, hashed: str, archive: Archive, signer: Signer) -> None:
        self._hashed = hashed
        self._archive = archive
        self._signer = signer
        self._attempts = Allowance(_ATTEMPTS_PER_SECOND, burst=_FREE_ATTEMPTS)
        self._attempts_of_all = Allowance(_ATTEMPTS_OF_ALL_PER_SECOND, burst=_FREE_ATTEMPTS_OF_ALL)
        self._known: bytes | None = None

    def middleware(self) -> Middleware:
        @web.middleware
        async def locked(request: web.Request, handler: Handler) -> web.StreamResponse:
            path = place(request)
            open_to_all = request[OPEN] or path in _OPEN_PLACES or path.startswith("/static/")
            if not self._hashed or open_to_all or await self._may_enter(request):
                return await handler(request)
            if wants_json(request) or request.path.endswith(("/metrics", "/video", "/setup/view")):
                raise ProblemError(
                    401,
                    "A password is needed",
                    "Send it by HTTP Basic authentication, with any user name.",
                    # A page that is open already must not bring up the browser's own window.
                    {} if _by_script(request) else {"WWW-Authenticate": _CHALLENGE},
                )
            there = request.path_qs
            raise web.HTTPSeeOther(
                f"{request.config_dict[PREFIX]}/login?{urlencode({'to': there})}"
            )

        return locked

    async def page(self, request: web.Request) -> web.Response:
        """The form that asks for the password."""
        text = render(request, "login.html", to=request.query.get("to", ""), wrong=False)
        return web.Response(text=text, content_type="text/html")

    async def enter(self, request: web.Request) -> web.Response:
        """Look at the password that was given."""
        try:
            form = await request.post()
        except (ValueError, LookupError):
            raise ProblemError(400, "That was no password", "Use the form.") from None
        password, to = str(form.get("password", "")), str(form.get("to", ""))
        if not self._hashed or not await self._right(request, password):
            text = render(request, "login.html", to=to, wrong=True)
            return web.Response(text=text, status=403, content_type="text/html")
        prefix = request.config_dict[PREFIX]
        answer = web.HTTPSeeOther(_place_of_ours(to, prefix))
        answer.set_cookie(
            COOKIE,
            self._signer.sign(self._session, SESSION_SECONDS),
            max_age=int(SESSION_SECONDS),
            path=prefix or "/",
            httponly=True,
            secure=request[HTTPS],
            samesite="Lax",
        )
        raise answer

    @property
    def _session(self) -> str:
        """Changes with the password, so that a new one throws everybody out."""
        return "session-" + hashlib.sha256(self._hashed.encode()).hexdigest()[:16]

    async def _may_enter(self, request: web.Request) -> bool:
        cookie = request.cookies.get(COOKIE, "")
        if cookie and self._signer.read(cookie) == self._session:
            return True
        scheme, _, encoded = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return False
        try:
            given = base64.b64decode(encoded, validate=True).decode()
        except (binascii.Error, ValueError):
            return False
        return await self._right(request, given.partition(":")[2])

    async def _right(self, request: web.Request, password: str) -> bool:
        if len(password) > LONGEST_PASSWORD:
            return False
        digest = self._signer.digest(password)
        if self._known is not None and hmac.compare_digest(self._known, digest):
            return True
        address = address_of(request[CLIENT])
        if (
            address is None
            or not self._attempts.take(neighbourhood(address))
            or not self._attempts_of_all.take("")
        ):
            raise ProblemError(
                429, "Too many wrong passwords", "Wait a moment.", {"Retry-After": "10"}
            )
        if not await self._archive.ask(fits, password, self._hashed):
            return False
        self._known = digest
        return True


def _by_script(request: web.Request) -> bool:
    """Whether a script of our pages asks."""
    return request.headers.get("X-Requested-With") == "recorderd"


def _place_of_ours(to: str, prefix: str) -> str:
    """Where to go after the password: `to` if that is a page here.

    Browsers leave out tabs and line ends and take a backslash for a slash, so that what looks
    like a path may lead to another machine (WHATWG URL).
    """
    start = f"{prefix}/"
    plain = to.isprintable() and "\\" not in to
    return to if plain and to.startswith(start) and not to.startswith("//") else start
