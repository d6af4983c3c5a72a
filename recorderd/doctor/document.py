"""The results as JSON for programs, without pictures."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from recorderd import __version__
from recorderd.doctor.check import Result, total, worst
from recorderd.settings import Settings


def document_of(settings: Settings, results: Sequence[Result]) -> dict[str, Any]:
    return {
        "station": settings.station.name,
        "version": __version__,
        "looked_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "verdict": worst(results).value,
        "total": total(results),
        "results": [
            {
                "name": result.name,
                "verdict": result.finding.verdict.value,
                "seen": result.finding.seen,
                "remedy": result.finding.remedy or None,
                # A list: a camera has many formats, and all are called so.
                "facts": [list(fact) for fact in result.finding.facts],
                "seconds": round(result.seconds, 2),
            }
            for result in results
        ],
    }
