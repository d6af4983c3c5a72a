"""What the station says of itself, if it runs."""

from __future__ import annotations

from recorderd.doctor.check import Finding, bad, good, warning
from recorderd.doctor.examination import Examination
from recorderd.errors import parted
from recorderd.status import NotRunning


class StationCheck:
    name = "station"
    limit_seconds = 3.0
    slow = False

    def look(self, examination: Examination, /) -> Finding:
        status = examination.station
        if isinstance(status, NotRunning):
            return warning(f"it is not running: {status.problem}", status.remedy)
        faults = status.get("faults") or {}
        facts = tuple(
            (str(name).replace("_", " "), str(count))
            for name, count in (status.get("counters") or {}).items()
        )
        if faults:
            told = [parted(str(fault)) for fault in faults.values()]
            remedies = dict.fromkeys(remedy for _, remedy in told if remedy)
            return bad(
                "; ".join(problem for problem, _ in told),
                ". ".join(remedies) or "See what it did with: journalctl -u recorderd -e",
                *facts,
            )
        pending = status.get("pending") or []
        if pending:
            return warning(
                f"it is starting and still waits for: {', '.join(map(str, pending))}",
                "Wait some seconds, then run recorderd doctor again",
                *facts,
            )
        doing = " ".join(str(status[key]) for key in ("phase", "order") if status.get(key))
        return good(f"{status.get('station')} is running: {doing}", *facts)
