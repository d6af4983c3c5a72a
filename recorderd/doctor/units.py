"""The units of systemd that the doctor looks after."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

STATION: Final = "recorderd.service"
WEB_SOCKET: Final = "recorderd-web.socket"
WEB: Final = "recorderd-web.service"
FINISHER: Final = "recorderd-finisher.service"


def is_installed(unit: Mapping[str, str] | None) -> bool:
    """Whether there is such a unit: systemctl(1) shows properties of those that do not exist."""
    return unit is not None and unit.get("LoadState") == "loaded"
