"""The commissioning sheet: one HTML file with everything in it, to be printed and handed over."""

from __future__ import annotations

import base64
import platform
import socket
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from recorderd import __version__
from recorderd.doctor.check import Finding, Result, total, worst
from recorderd.doctor.machine import Machine
from recorderd.errors import StorageError
from recorderd.settings import Settings
from recorderd.terminal import escaped

_MOST_FACTS: Final = 8
_LONGEST_FACT: Final = 100


def write_report(
    file: Path, settings: Settings, results: Sequence[Result], machine: Machine
) -> None:
    """Raises StorageError."""
    environment = Environment(
        loader=PackageLoader("recorderd.doctor"),
        autoescape=True,
        # HTML itself knows no form for what cannot be printed or turns the text around.
        finalize=lambda value: escaped(value) if isinstance(value, str) else value,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    now = datetime.now().astimezone()
    page = environment.get_template("report.html").render(
        station=settings.station.name,
        version=__version__,
        host=socket.gethostname(),
        date=f"{now:%Y-%m-%d %H:%M} {now.tzname()}",
        model=machine.model() or platform.machine(),
        system=f"{_system()}, Linux {platform.release()}",
        verdict=worst(results).value,
        total=total(results),
        results=results,
        facts=_shown_facts,
        pictures=[
            (picture.caption, base64.b64encode(picture.jpeg).decode(), _points(picture.outline))
            for result in results
            for picture in result.finding.pictures
        ],
    )
    try:
        file.write_text(page, encoding="utf-8")
    except OSError as error:
        raise StorageError(
            f"The report {file} cannot be written: {error.strerror}",
            "Choose a file in a folder that you may write to",
        ) from error


def _points(outline: Sequence[tuple[float, float]]) -> str:
    """For an SVG polygon in a picture of 100 by 100."""
    return " ".join(f"{x * 100:.2f},{y * 100:.2f}" for x, y in outline)


def _system() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    except OSError:
        return "Linux"


def _shown_facts(finding: Finding) -> list[tuple[str, str]]:
    """A sheet of paper does not take all of a camera's formats."""
    shown = [(name, text[:_LONGEST_FACT]) for name, text in finding.facts[:_MOST_FACTS]]
    left = len(finding.facts) - len(shown)
    return [*shown, ("and", f"{left} more")] if left > 0 else shown
