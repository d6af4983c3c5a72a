"""Making pages: templates, the words of dates and lengths, and where things lie."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from aiohttp import web
from jinja2 import Environment, PackageLoader, StrictUndefined

from recorderd.web import words
from recorderd.web.assets import Assets

PREFIX = web.AppKey("prefix", str)
ASSETS = web.AppKey("assets", Assets)
TEMPLATES = web.AppKey("templates", Environment)


def place(request: web.Request) -> str:
    """What is asked for, as a path without the proxy's prefix."""
    return request.path.removeprefix(request.config_dict[PREFIX])


def environment(prefix: str, assets: Assets) -> Environment:
    """The templates of the pages. All text is escaped; what is missing is an error."""
    made = Environment(
        loader=PackageLoader("recorderd.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals["url"] = lambda path: prefix + path
    made.globals["asset"] = lambda name: f"{prefix}/static/{name}?v={assets.version(name)}"
    made.filters.update(
        in_address=lambda text: quote(text, safe="", errors="replace"),
        when=words.when,
        moment=words.moment,
        lasting=words.length,
        at_most=words.at_most,
        size=words.size,
        codec=words.codec,
        state=words.state,
        stop_reason=words.stop_reason,
        clock=words.clock,
        visible=words.visible,
    )
    return made


def render(request: web.Request, template: str, **values: Any) -> str:
    """The text of a page."""
    return request.config_dict[TEMPLATES].get_template(template).render(**values)
