"""Lamps, buzzer and pedal: what the computer can tell, and what only a person can."""

from __future__ import annotations

import time
from typing import Final

from recorderd.core.model import Fault
from recorderd.doctor.check import Finding, bad, good, skipped
from recorderd.doctor.examination import Examination
from recorderd.errors import DeviceError, parted
from recorderd.settings import PanelSettings

PRESS_SECONDS: Final = 15.0
END_SECONDS: Final = 30.0
"""So long an order that is being recorded is waited for, its saving included."""

_POLL_SECONDS: Final = 0.2
_NOBODY: Final = "it can be used; nobody was asked"
_WIRING: Final = "Check the wiring against the table in the README, and the pins in [panel]"


class LampsCheck:
    name = "lamps"

    def look(self, examination: Examination, /) -> Finding:
        panel = examination.settings.panel
        if panel.driver == "none":
            return skipped("this station has none (panel.driver is none)")
        _wait_for_the_end_of_an_order(examination)
        way = _problem(examination) or _in_the_way(examination)
        if way is not None:
            return way
        person = examination.person
        if person is None:
            return skipped(_NOBODY, *_pins(panel, "green_pin", "red_pin"))
        person.tell("Look at the lamps: first green, then red, a second each.")
        examination.panel.play_test()
        if person.confirms("Did the green lamp light, then the red one?"):
            return good("green and red light up")
        return bad("a lamp does not light as it should", _WIRING)


class BuzzerCheck:
    name = "buzzer"

    def look(self, examination: Examination, /) -> Finding:
        panel = examination.settings.panel
        if panel.driver == "none" or panel.buzzer == "none":
            return skipped("this station has none")
        way = _in_the_way(examination)
        if way is not None:
            return way
        person = examination.person
        if person is None:
            return skipped(_NOBODY, *_pins(panel, "buzzer_pin"))
        person.tell("Listen to the buzzer: a short tone, then a long one.")
        examination.panel.play_test()
        if person.confirms("Did you hear both?"):
            return good("it is heard")
        return bad(
            "it was not heard", f"{_WIRING}; a buzzer that only clicks is passive: set panel.buzzer"
        )


class PedalCheck:
    name = "pedal"

    def look(self, examination: Examination, /) -> Finding:
        panel = examination.settings.panel
        wired = panel.driver == "simulated" or (panel.driver == "gpio" and panel.pedal_pin >= 0)
        if not wired and not panel.usb_pedal:
            return skipped("this station has none")
        way = _fault(examination, Fault.PEDAL_STUCK) or _in_the_way(examination)
        if way is not None:
            return way
        person = examination.person
        if person is None:
            return skipped(_NOBODY, *_pins(panel, "pedal_pin"))
        person.tell(
            f"Step on the pedal now, within {PRESS_SECONDS:.0f} seconds. (A low tone answers: "
            "there is nothing to stop.)"
        )
        if examination.panel.wait_for_press(PRESS_SECONDS):
            return good("it was pressed")
        return bad("no press arrived", _WIRING)


def _wait_for_the_end_of_an_order(examination: Examination) -> None:
    """The label that was shown to the doctor has begun an order at the running station."""
    if examination.person is None or not examination.at_work:
        return
    examination.person.tell(
        "The station records. If that is your label: take it away and step on the pedal."
    )
    deadline = time.monotonic() + END_SECONDS
    while examination.at_work and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)


def _in_the_way(examination: Examination) -> Finding | None:
    """Why nothing can be tried now; what is broken is told by the lamps' check, once."""
    if _problem(examination) is not None:
        return skipped("the panel cannot be used: see lamps")
    if examination.person is not None and examination.status is not None and examination.at_work:
        return skipped("an order is being recorded: run recorderd doctor between two orders")
    return None


def _problem(examination: Examination) -> Finding | None:
    """What the computer itself knows to be wrong with the panel."""
    if examination.status is not None:
        return _fault(examination, Fault.PANEL)
    try:
        _ = examination.panel  # Opens the pins.
    except DeviceError as error:
        return bad(error.problem, error.remedy or _WIRING)
    return None


def _fault(examination: Examination, fault: Fault) -> Finding | None:
    """A fault that the station has, in its own words."""
    faults = (examination.status or {}).get("faults") or {}
    if fault not in faults:
        return None
    problem, remedy = parted(str(faults[fault]))
    return bad(problem, remedy or _WIRING)


def _pins(panel: PanelSettings, *names: str) -> tuple[tuple[str, str], ...]:
    if panel.driver != "gpio":
        return ()
    return tuple((name.replace("_", " "), f"GPIO {getattr(panel, name)}") for name in names)
