"""Who may ask, how often, and under which name: looked at before anything else is done."""

from __future__ import annotations

import ipaddress
import socket
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Final, TypeAlias

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from recorderd.settings import WebSettings
from recorderd.web.archive import ASKER
from recorderd.web.problems import ProblemError, link_has_expired
from recorderd.web.templates import place

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
CLIENT: Final = web.RequestKey("client", str)
"""The address for whom is asked."""
HTTPS: Final = web.RequestKey("https", bool)
"""Whether the browser speaks HTTPS, to a proxy that can be believed."""
OPEN: Final = web.RequestKey("open", bool)
"""Set for what everybody may see who has the link."""
LONGEST_ADDRESS_LINE: Final = 16_384
"""Bytes of path and query; a search of 512 characters may take 6144, percent-encoded."""
_REMEMBERED_CLIENTS: Final = 4096
_BURST_SECONDS: Final = 4

log = structlog.get_logger("web")


class Networks:
    """A set of networks; addresses of IPv4 written as IPv6 count as what they are."""

    def __init__(self, networks: Iterable[str]) -> None:
        self._networks = [ipaddress.ip_network(network) for network in networks]

    def __contains__(self, address: Address) -> bool:
        return any(address in network for network in self._networks)


def address_of(text: str) -> Address | None:
    """Read an address as sockets and proxies write it; None if it is none."""
    try:
        address = ipaddress.ip_address(text.strip().partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def neighbourhood(address: Address) -> str:
    """What counts as one client: with IPv6 a network of 2**64 addresses, as one machine has."""
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


class Allowance:
    """So many requests a second from each client, after a short burst (token bucket)."""

    def __init__(
        self,
        per_second: float,
        clock: Callable[[], float] = time.monotonic,
        burst: float | None = None,
    ) -> None:
        self._per_second = per_second
        self._burst = per_second * _BURST_SECONDS if burst is None else burst
        self._clock = clock
        self._clients: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, client: str) -> bool:
        """Whether one more request of this client is answered now."""
        now = self._clock()
        tokens, since = self._clients.pop(client, (self._burst, now))
        tokens = min(self._burst, tokens + (now - since) * self._per_second)
        allowed = tokens >= 1
        self._clients[client] = (tokens - 1 if allowed else tokens, now)
        if len(self._clients) > _REMEMBERED_CLIENTS:
            self._clients.popitem(last=False)
        return allowed


class Guard:
    """Decides on each request; used by the event loop only."""

    def __init__(
        self,
        settings: WebSettings,
        clock: Callable[[], float] = time.monotonic,
        machine_name: str | None = None,
    ) -> None:
        self._allowed = Networks(settings.allowed_networks)
        self._proxies = Networks(settings.trusted_proxies)
        own_name = socket.gethostname() if machine_name is None else machine_name
        self._names = {name.lower().rstrip(".") for name in (own_name, *settings.host_names)}
        self._allowance = Allowance(settings.requests_per_second, clock)

    def client(self, peer: str | None, forwarded: list[str]) -> Address | None:
        """For whom a connection from `peer` asks; None if that cannot be told.

        `forwarded` are the X-Forwarded-For headers. Only what a trusted proxy wrote counts:
        from the right, up to the first address that is not one of them.
        """
        address = address_of(peer or "")
        hops = [hop for header in forwarded for hop in header.split(",")]
        while address is not None and address in self._proxies and hops:
            address = address_of(hops.pop())
        return address

    def is_https(self, peer: str | None, forwarded: str) -> bool:
        """Whether a trusted proxy says in `forwarded`, X-Forwarded-Proto, that HTTPS was spoken.

        With several proxies in a row the first of their words is that of the outermost one.
        """
        address = address_of(peer or "")
        said = forwarded.partition(",")[0].strip().lower()
        return address is not None and address in self._proxies and said == "https"

    def admits(self, address: Address) -> bool:
        return address in self._allowed

    def knows_name(self, host: str) -> bool:
        """Whether these pages are reached under this Host header.

        A stranger's web site could give its name this machine's address (DNS rebinding) and
        read the pages through the browser of somebody in the office.
        """
        name = host.rpartition("]")[0][1:] if host.startswith("[") else host.partition(":")[0]
        name = name.lower().rstrip(".")
        if not name or not all(character.isalnum() or character in ".:-_" for character in name):
            return False
        return (
            address_of(name) is not None
            or "." not in name
            or name.endswith(".local")
            or name in self._names
        )

    def allows_another(self, address: Address) -> bool:
        return self._allowance.take(neighbourhood(address))


def guarded(guard: Guard, is_open: Callable[[str], bool]) -> Middleware:
    """Refuse what must not be answered, before any handler sees it.

    `is_open` says of a path, without the prefix, that strangers may see it.
    """

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        peer_name = request.transport.get_extra_info("peername") if request.transport else None
        peer = str(peer_name[0]) if peer_name else None
        address = guard.client(peer, request.headers.getall("X-Forwarded-For", []))
        request[HTTPS] = guard.is_https(peer, request.headers.get("X-Forwarded-Proto", ""))
        if address is not None and not guard.allows_another(address):
            raise ProblemError(
                429,
                "Too many requests",
                "This computer asks faster than the station wants to answer. Wait a moment.",
                {"Retry-After": "1"},
            )
        path = place(request)
        request[OPEN] = is_open(path)
        if address is None or not (request[OPEN] or guard.admits(address)):
            if path.startswith("/shared/"):
                raise link_has_expired()
            log.warning("a stranger was refused", address=str(address))
            raise ProblemError(
                403,
                "These pages are for the office only",
                "This computer's network is not among web.allowed_networks in the settings.",
            )
        if not guard.knows_name(request.headers.get("Host", "")):
            raise ProblemError(
                421,
                "These pages are not known under this name",
                "Use the station's address, or ask the technician to add the name to "
                "web.host_names in the settings.",
            )
        if len(request.raw_path) > LONGEST_ADDRESS_LINE:
            raise ProblemError(
                414, "That is too long to search for", "Give a part of the order number."
            )
        request[CLIENT] = str(address)
        ASKER.set(neighbourhood(address))
        return await handler(request)

    return middleware
