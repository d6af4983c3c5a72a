"""The pages that go with an export: one for people, and how to check it."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from recorderd.web import words

if TYPE_CHECKING:
    from recorderd.proof.package import Package


def summary(package: Package) -> str:
    """One page in HTML: what was recorded when, and the seals. All text is escaped."""
    return _templates().get_template("summary.html").render(package=package)


def readme(package: Package) -> str:
    """How to check the export, with our verifier and with openssl alone."""
    newest = package.recordings[-1]
    return (
        _templates()
        .get_template("README.txt")
        .render(
            number=newest.seals[-1].number,
            key=newest.document["key"],
            stamped=newest.seals[-1].seal in package.time_stamps,
            cut=any(recording.pieces for recording in package.recordings),
        )
    )


@cache
def _templates() -> Environment:
    made = Environment(
        loader=PackageLoader("recorderd.proof"),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters.update(
        when=words.when,
        lasting=words.length,
        size=words.size,
        codec=words.codec,
        state=words.state,
        stop_reason=words.stop_reason,
        clock=words.clock,
        visible=words.visible,
    )
    return made
