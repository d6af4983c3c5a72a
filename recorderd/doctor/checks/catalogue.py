"""Whether the catalogue can be read, and agrees with the videos on the disk."""

from __future__ import annotations

from collections import Counter

from recorderd.doctor.check import Finding, bad, good, warning
from recorderd.doctor.examination import Examination
from recorderd.store.consistency import Comparison, Kind, footage_id_of
from recorderd.store.database import sqlite_path
from recorderd.store.search import totals

_LOOK = "recorderd fsck names each and says what to do"
_HARMLESS = frozenset({Kind.LEFT_OVER, Kind.NOT_FINISHED, Kind.NOT_DELETED})


class CatalogueCheck:
    name = "catalogue"
    limit_seconds = 25.0
    slow = True

    def look(self, examination: Examination, /) -> Finding:
        settings = examination.settings
        file = sqlite_path(settings.database_url)
        if file is not None and not file.exists():
            if examination.status is None:
                return good("there is none yet: it is made when the station first starts")
            return bad(
                f"the catalogue {file} is gone while the station runs",
                "Put it back from a backup, and restart the station",
            )
        counted = totals(settings.database_url)
        comparison = Comparison(
            settings,
            footage_id_of(settings),
            examination.status is not None,
            lambda _done, _total: None,
        )
        found = Counter(finding.kind for finding in comparison)
        facts = tuple(
            (str(state), str(count)) for state, count in sorted(counted.by_state.items()) if count
        )
        size = f"{sum(counted.by_state.values())} recordings, {comparison.files} files"
        if not found:
            return good(f"{size}: all is in its place", *facts)
        listed = ", ".join(f"{kind.value} {count}" for kind, count in found.most_common())
        if set(found) <= _HARMLESS:
            return warning(f"{size}; {listed}", f"Start the station; {_LOOK}", *facts)
        return bad(f"{size}; {listed}", f"Run it by itself: {_LOOK}", *facts)
