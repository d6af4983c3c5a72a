"""Taking old entries out of the event log."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from recorderd.store.catalogue import Catalogue
from recorderd.store.schema import microseconds

AT_ONCE: Final = 1000
"""So many entries go in one transaction: the station's writer must not wait for long."""


def prune(catalogue: Catalogue, now: datetime, days: int) -> bool:
    """Delete this station's entries that are older than `days`; True if there may be more.

    What is old is told by the order of the entries, for dates may be those of a clock that was
    not set: all that stands before the first entry of the last `days`. Entries about held
    recordings stay. Raises CatalogueError.
    """
    oldest_us, now_us = microseconds(now - timedelta(days=days)), microseconds(now)
    with catalogue.transaction() as tables:
        event, row = tables.events, tables.recordings
        mine = event.station == catalogue.station
        first_kept = (
            event.select(event.id)
            .where(mine, event.at >= oldest_us, event.at <= now_us)
            .order_by(event.id)
            .limit(1)
            .scalar()
        )
        if first_kept is None:
            return False
        held = row.select(row.id).where(row.held)
        about_held = event.recording_id.is_null(False) & event.recording_id.in_(held)
        old = (
            event.select(event.id)
            .where(mine, event.id < first_kept, ~about_held)
            .order_by(event.id)
            .limit(AT_ONCE)
        )
        ids = [each.id for each in old]
        event.delete().where(event.id.in_(ids)).execute()
        return len(ids) == AT_ONCE
