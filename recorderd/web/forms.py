"""Forms that change something: sent by a page of ours, and by nobody else's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

import structlog
from aiohttp import web

from recorderd.web.keys import Signer
from recorderd.web.problems import ProblemError

_FORM_SECONDS: Final = 12 * 3600.0

log = structlog.get_logger("web")


def token_for(what: str, signer: Signer) -> str | None:
    """What a form of ours about `what` sends back; None while none can be signed."""
    try:
        return signer.sign(what, _FORM_SECONDS)
    except OSError as error:
        log.warning("forms cannot be signed", problem=str(error))
        return None


async def form_of(
    request: web.Request, what: str, signer: Signer, page: str
) -> Mapping[str, object]:
    """The fields of a form about `what` that a page of ours has sent.

    `page` is what to open again if it was not, or long ago. Raises ProblemError.
    """
    form = await request.post()
    if not _from_our_page(request) or signer.read(str(form.get("token", ""))) != what:
        raise ProblemError(
            403,
            "This form cannot be used any more",
            f"Open {page} again, and send the form from there.",
        )
    return form


def _from_our_page(request: web.Request) -> bool:
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
