"""Whether systemd starts the station with the computer, and again when it hangs."""

from __future__ import annotations

from collections.abc import Mapping

from recorderd.doctor.check import Finding, bad, good, skipped, warning
from recorderd.doctor.examination import Examination
from recorderd.doctor.units import FINISHER, STATION, WEB, WEB_SOCKET, is_installed

_OTHERS = (WEB_SOCKET, WEB, FINISHER)
_MANY_RESTARTS = 3
_NO_WATCHDOG = ("", "0", "infinity")


class ServicesCheck:
    name = "services"
    limit_seconds = 8.0
    slow = False

    def look(self, examination: Examination, /) -> Finding:
        machine = examination.machine
        station = machine.unit(STATION)
        if station is None:
            return skipped("systemd does not run here")
        if not is_installed(station):
            if examination.status is not None:
                return warning(
                    "the station runs, but it was started by hand: no service is installed",
                    "Install it with scripts/install, so that it starts with the computer",
                )
            return warning(
                "no service is installed: nothing starts with the computer",
                "Install it with scripts/install",
            )
        units = {STATION: station}
        units.update((name, found) for name in _OTHERS if (found := machine.unit(name)))
        facts = tuple((name, _in_words(unit)) for name, unit in units.items())
        for name, unit in units.items():
            if unit.get("ActiveState") == "failed":
                return bad(
                    f"{name} has failed ({unit.get('Result', 'unknown')})",
                    f"See why with: journalctl -u {name.partition('.')[0]} -e",
                    *facts,
                )
        if station.get("ActiveState") != "active":
            return warning(
                f"the station's service is {_state(station)}",
                "Start it with: sudo systemctl start recorderd",
                *facts,
            )
        if station.get("UnitFileState") == "disabled":
            return warning(
                "the station runs, but would not start with the computer",
                f"sudo systemctl enable recorderd.target {STATION} {WEB_SOCKET} {FINISHER}",
                *facts,
            )
        if station.get("WatchdogUSec", "") in _NO_WATCHDOG:
            return warning(
                "nothing restarts the station if it hangs: the watchdog is off",
                "Install the units of this version again with scripts/install",
                *facts,
            )
        restarts = int(station.get("NRestarts") or 0)
        if restarts > _MANY_RESTARTS:
            return warning(
                f"the station had to be started again {restarts} times",
                "Read why with: journalctl -u recorderd -p warning -e",
                *facts,
            )
        silent = [name for name in _OTHERS if _is_down(units.get(name))]
        if silent:
            return warning(
                f"{' and '.join(silent)} does not run",
                f"sudo systemctl start {' '.join(silent)}",
                *facts,
            )
        return good(
            f"{_state(station)}, started again {restarts} times, "
            f"watchdog after {station['WatchdogUSec']}",
            *facts,
        )


def _is_down(unit: Mapping[str, str] | None) -> bool:
    """The staff pages' service is started by the first who asks: only its socket counts."""
    if unit is None or not is_installed(unit) or unit.get("TriggeredBy"):
        return False
    return unit.get("ActiveState") != "active"


def _state(unit: Mapping[str, str]) -> str:
    return f"{unit.get('ActiveState', 'unknown')} ({unit.get('SubState', 'unknown')})"


def _in_words(unit: Mapping[str, str]) -> str:
    if not is_installed(unit):
        return "not installed"
    text = unit.get("StatusText", "")
    return _state(unit) + (f", {text}" if text else "")
