"""Forms that change something: sent by a page of ours, and by nobody else's."""

from __future__ import annotations

from urllib.parse import urlsplit

from aiohttp import web


def from_our_page(request: web.Request) -> bool:
    """Whether the browser says that a page of ours has sent this.

    Over HTTPS it says so in Sec-Fetch-Site, else in Origin, which all browsers add to a POST.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site == "same-origin"
    try:
        origin = urlsplit(request.headers.get("Origin", ""))
        names = {origin.netloc, origin.hostname}
    except ValueError:
        return False
    # Some proxies pass the name on without its port.
    return bool(origin.netloc) and request.headers.get("Host", "").lower() in names
