"""What a live view means for whoever aims the camera, in plain words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from recorderd.aim.live import CodeInView, View
from recorderd.core.labels import CARD_PREFIX
from recorderd.terminal import escaped

SHARP: Final = 0.6
NEARLY_SHARP: Final = 0.4
GOOD_MODULE_PIXELS: Final = 5.0
ENOUGH_MODULE_PIXELS: Final = 4.0
LEAST_MODULE_PIXELS: Final = 3.0
"""Smaller modules are read now and then only."""

_DARK: Final = 0.15
_MUCH_BLACK: Final = 0.5
_LIGHT: Final = 0.85
_MUCH_WHITE: Final = 0.05
_LONGEST_TEXT: Final = 60
_SAFER: Final = "a larger label or a closer camera is safer"
_LESS_LIGHT: Final = "less light, or a shorter exposure"


@dataclass(frozen=True, slots=True)
class Verdict:
    """`good`: nothing needs to be done. `seen` is what is so, `remedy` what would make it better;
    it is empty if nothing would. Neither has a capital letter or a full stop.
    """

    good: bool
    seen: str
    remedy: str = ""

    @property
    def text(self) -> str:
        """All of it."""
        return f"{self.seen}: {self.remedy}" if self.remedy else self.seen


def focus(score: float) -> Verdict:
    """What a focus score (`engine.picture_quality`) says."""
    if score >= SHARP:
        return Verdict(True, "sharp")
    if score >= NEARLY_SHARP:
        return Verdict(True, "nearly sharp", "try whether it rises further")
    if score > 0:
        return Verdict(False, "blurred", "turn the focus ring until it rises no more")
    return Verdict(False, "nothing to focus on", "lay a label or the focus chart on the bench")


def exposure(view: View) -> Verdict:
    """Whether there is too much or too little light."""
    if view.overexposed > _MUCH_WHITE:
        share = f"{view.overexposed:.0%} of it is only white"
        return Verdict(False, f"too bright, {share}", _LESS_LIGHT)
    if view.brightness > _LIGHT:
        return Verdict(False, "too bright", _LESS_LIGHT)
    if view.brightness < _DARK or view.underexposed > _MUCH_BLACK:
        return Verdict(False, "too dark", "more light on the bench, or a longer exposure")
    return Verdict(True, "good light")


def margin(module_pixels: float) -> Verdict:
    """Whether a code's modules are large enough in the picture."""
    size = f"{module_pixels:.1f} pixels a module"
    if module_pixels >= GOOD_MODULE_PIXELS:
        return Verdict(True, f"{size}: good margin")
    if module_pixels >= ENOUGH_MODULE_PIXELS:
        return Verdict(True, f"{size}, enough", _SAFER)
    if module_pixels >= LEAST_MODULE_PIXELS:
        return Verdict(False, f"{size}, just enough", _SAFER)
    return Verdict(
        False, f"{size}, too small", "print the label larger, or bring the camera closer"
    )


def code(seen: CodeInView) -> Verdict:
    """What is read right now, and whether it counts."""
    shown = escaped(seen.text[:_LONGEST_TEXT]) + ("..." if len(seen.text) > _LONGEST_TEXT else "")
    if seen.order is not None:
        what, ours = f"order {escaped(seen.order)}", True
    elif seen.text.lower().startswith(CARD_PREFIX):
        what, ours = f"control card {shown[len(CARD_PREFIX) :].upper()}", True
    else:
        what, ours = f"no order label, it says {shown}", False
    if not seen.in_zone:
        return Verdict(False, f"{what}, outside the zone: it does not count")
    if seen.module_pixels is None:
        return Verdict(ours, what)
    size = margin(seen.module_pixels)
    return Verdict(ours and size.good, f"{what}, {size.seen}", size.remedy)
