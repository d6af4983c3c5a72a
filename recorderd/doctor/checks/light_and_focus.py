"""Whether the picture is sharp and well lit, and stays so."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from recorderd.aim import words
from recorderd.aim.live import View
from recorderd.doctor.check import Finding, as_sentence, bad, good, skipped, warning
from recorderd.doctor.examination import NO_PICTURE, Examination
from recorderd.engine.sources.v4l2 import device_of
from recorderd.engine.sources.v4l2_controls import offered
from recorderd.errors import DeviceError

_LENS_CAP = 0.02
_FEWEST_VIEWS = 6
_BRIGHTNESS_HUNTS, _FOCUS_HUNTS = 0.12, 0.2
"""Difference between the greatest and the least of a few seconds at an unchanged bench."""

_FIXED = {
    "focus": ("focus_automatic_continuous", "focus_absolute"),
    "exposure": ("auto_exposure", "exposure_time_absolute"),
}
"""The automatic of each, and what holds it when that is off, by the kernel's names for them."""

_OFF = {"focus_automatic_continuous": 0, "auto_exposure": 1}
"""V4L2_EXPOSURE_MANUAL is 1."""


class LightAndFocusCheck:
    name = "light and focus"
    limit_seconds = 45.0
    slow = True

    def look(self, examination: Examination, /) -> Finding:
        if not examination.has_picture:
            return skipped(NO_PICTURE)
        views = examination.camera.views
        if not views:
            return skipped("no picture could be looked at closely")
        view = views[-1]
        focus, exposure = words.focus(view.focus), words.exposure(view)
        facts = (
            ("focus", f"{view.focus:.2f} of 1"),
            ("brightness", f"{view.brightness:.0%}"),
            ("only white", f"{view.overexposed:.1%}"),
            ("only black", f"{view.underexposed:.1%}"),
        )
        if view.brightness < _LENS_CAP:
            return bad(
                "the picture is black", "Take the cap off the lens; switch the light on", *facts
            )
        hunting = unsteady(views)
        if hunting:
            return warning(
                f"the camera's automatic {' and '.join(hunting)} will not rest",
                _how_to_fix(examination, hunting),
                *facts,
            )
        for verdict in (exposure, focus):
            if not verdict.good:
                return warning(verdict.seen, as_sentence(verdict.remedy), *facts)
        return good(f"{focus.seen} ({view.focus:.2f}), {exposure.seen}", *facts)


def unsteady(views: Sequence[View]) -> list[str]:
    """What went up and down while nobody touched the camera: "focus", "exposure".

    A hand in the picture changes both once; to and fro is what an automatic does.
    """
    if len(views) < _FEWEST_VIEWS:
        return []
    found = []
    if _goes_to_and_fro([view.focus for view in views], _FOCUS_HUNTS):
        found.append("focus")
    if _goes_to_and_fro([view.brightness for view in views], _BRIGHTNESS_HUNTS):
        found.append("exposure")
    return found


def _goes_to_and_fro(values: Iterable[float], least: float) -> bool:
    """At least three moves of this size, each against the one before."""
    turns, extreme, direction = 0, None, 0
    for value in values:
        if extreme is None:
            extreme = value
        elif abs(value - extreme) >= least:
            moved = 1 if value > extreme else -1
            turns += moved != direction
            direction, extreme = moved, value
        elif direction and (value - extreme) * direction > 0:
            extreme = value
    return turns >= 3


def _how_to_fix(examination: Examination, hunting: Sequence[str]) -> str:
    """The line for the settings, with the values that the camera has at this moment."""
    held = _held(examination)
    values: dict[str, int] = {}
    for what in hunting:
        automatic, fixed = _FIXED[what]
        if automatic in held and fixed in held:
            values[automatic], values[fixed] = _OFF[automatic], held[fixed]
    if not values:
        return "Switch the automatic off at the camera, or lay something with print on the bench"
    listed = ", ".join(f"{name} = {value}" for name, value in values.items())
    return f"Hold it: write into [camera] of the settings: controls = {{ {listed} }}"


def _held(examination: Examination) -> dict[str, int]:
    """The camera's controls as they are now; none if it cannot be asked: another check tells."""
    kind, _, name = examination.settings.camera.source.partition(":")
    if kind != "v4l2":
        return {}
    try:
        found = offered(device_of(name, examination.machine.root / "dev"))
    except (OSError, DeviceError):
        return {}
    return {control.name: value for control, value in found if value is not None}
