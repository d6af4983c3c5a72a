"""The zone in which labels are read: where it is saved, and what is in force just now.

It is a settings file of its own in the state folder, because the staff pages, which save what was
drawn on /setup, may not write into /etc. `recorderd check-config` names it as the source. The
running station looks again and again, so nobody has to restart it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

import structlog

from recorderd.config import ZONE_VARIABLE, drawn_zone, toml_value
from recorderd.core.rules import Zone
from recorderd.errors import ConfigError
from recorderd.rules import zone_of
from recorderd.settings import Settings
from recorderd.store.footage import sync_folder, write_synced

_FILE_MODE = 0o644

log = structlog.get_logger("aim")


class ZoneInForce:
    """Looks at the file when asked. Used by one thread; may wait for the disk."""

    def __init__(self, settings: Settings, environment: Mapping[str, str] | None = None) -> None:
        self._file = settings.drawn_zone_file
        self._fixed = is_fixed(environment)
        self._seen: tuple[int, int] | None = None
        self._zone = settings.labels.zone

    def look(self) -> Zone | None:
        """The zone by now; None is the whole picture. What is no zone changes nothing."""
        if self._fixed:
            return zone_of(self._zone)
        try:
            status = self._file.stat()
            seen = (status.st_ino, status.st_mtime_ns)
            if seen != self._seen:
                self._seen = seen
                self._zone = drawn_zone(self._file)
        except FileNotFoundError:
            pass
        except (OSError, ConfigError) as error:
            log.warning("the zone that was drawn cannot be read", problem=str(error))
        return zone_of(self._zone)


def is_fixed(environment: Mapping[str, str] | None = None) -> bool:
    """Whether the environment says which zone it is, so that none can be drawn."""
    return ZONE_VARIABLE in (os.environ if environment is None else environment)


def save(settings: Settings, zone: Zone | None) -> None:
    """Put this zone in force; None is the whole picture. No power cut leaves half of it.

    Raises OSError.
    """
    file = settings.drawn_zone_file
    half_written = file.with_suffix(".tmp")
    text = f"# Drawn on the page /setup.\n[labels]\n{in_toml(zone)}\n"
    write_synced(half_written, text.encode(), replace=True, mode=_FILE_MODE)
    half_written.replace(file)
    sync_folder(file.parent)


def in_toml(zone: Zone | None) -> str:
    """The line that says the same in the settings file, below [labels]."""
    return f"zone = {toml_value(zone or ())}"
