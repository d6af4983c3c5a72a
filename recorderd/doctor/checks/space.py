"""How long the disk lasts: in gigabytes, hours and orders."""

from __future__ import annotations

from recorderd.doctor.check import Finding, bad, good, warning
from recorderd.doctor.checks.disk_speed import bytes_per_second
from recorderd.doctor.examination import Examination
from recorderd.errors import CatalogueError
from recorderd.status import about, orders_left
from recorderd.store.search import typical_bytes

_A_SHIFT_HOURS = 8


class SpaceCheck:
    name = "space"
    limit_seconds = 45.0
    slow = True

    def look(self, examination: Examination, /) -> Finding:
        settings = examination.settings
        free = examination.free_bytes
        minimum = settings.storage.minimum_free_gigabytes * 1e9
        rate, why = bytes_per_second(examination)
        hours = max(0.0, free - minimum) / rate / 3600
        try:
            typical = typical_bytes(settings.database_url)
        except CatalogueError:
            typical = None
        orders = orders_left(settings, free, typical)
        room = f"{free / 1e9:.0f} GB free: {_hours(hours)} of recording"
        if orders is not None:
            room += f", or about {about(orders)} orders like the newest"
        facts = (
            ("counted with", f"{rate / 1e6:.1f} MB a second, {why}"),
            ("kept free", f"{minimum / 1e9:.0f} GB (storage.minimum_free_gigabytes)"),
        )
        if free < minimum:
            return bad(
                f"only {free / 1e9:.1f} GB are free: no order is recorded "
                f"with less than {minimum / 1e9:g}",
                "Make room, or say in [retention] of the settings how long videos are kept",
                *facts,
            )
        retention = settings.retention
        deletes = retention.days or retention.maximum_gigabytes or retention.free_gigabytes
        if deletes:
            return good(f"{room}; then the oldest videos make room", *facts)
        if hours < _A_SHIFT_HOURS:
            return warning(
                f"{room}, less than a shift",
                "Use a larger disk, or say in [retention] how long videos are kept",
                *facts,
            )
        return warning(
            f"{room}; after that it would stop recording: no video is ever deleted",
            "Set retention.free_gigabytes = 20, and the oldest videos make room",
            *facts,
        )


def _hours(hours: float) -> str:
    return f"{hours / 24:.0f} days and nights" if hours >= 72 else f"{hours:.0f} hours"
