"""What a station says that was running when the doctor began."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from recorderd.errors import DeviceError
from recorderd.settings import Settings
from recorderd.status import NotRunning, status_now


def status_of_running(settings: Settings) -> Mapping[str, Any]:
    """Its status at this moment. Raises DeviceError if it has ended meanwhile."""
    found = status_now(settings)
    if isinstance(found, NotRunning):
        raise DeviceError(f"The station has ended: {found.problem}", found.remedy)
    return found
