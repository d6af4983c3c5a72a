"""Whether an order label is read where the packer shows it, and with how much to spare."""

from __future__ import annotations

from recorderd.aim.live import CodeInView, View
from recorderd.aim.words import GOOD_MODULE_PIXELS, LEAST_MODULE_PIXELS
from recorderd.doctor.check import Finding, Picture, Verdict, skipped
from recorderd.doctor.examination import NO_PICTURE, Examination

_LONGEST_TEXT = 40


class LabelCheck:
    name = "label"
    limit_seconds = 45.0
    slow = True

    def look(self, examination: Examination, /) -> Finding:
        if not examination.has_picture:
            return skipped(NO_PICTURE)
        views = examination.camera.views
        found = best_label(views)
        if found is None:
            return _without_label(views)
        view, code = found
        caption = f"The label of order {code.order or ''}, as it was read"
        pictures = (Picture(caption, view.jpeg, code.corners),)
        order = f"order {code.order or ''}"
        if not code.in_zone:
            return Finding(
                Verdict.BAD,
                f"{order} is read, but outside of the zone: it would not count",
                "Show it inside of the zone, or draw labels.zone anew on the page /setup",
                pictures=pictures,
            )
        pixels = code.module_pixels
        if pixels is None:
            return Finding(
                Verdict.GOOD, f"{order} is read; its size cannot be told", pictures=pictures
            )
        margin = pixels / LEAST_MODULE_PIXELS - 1
        facts = (("module", f"{pixels:.1f} pixels; {LEAST_MODULE_PIXELS:g} are the least"),)
        size = f"{order} is read, {pixels:.1f} pixels a module"
        if pixels >= GOOD_MODULE_PIXELS:
            return Finding(
                Verdict.GOOD, f"{size}: {margin:.0%} to spare", facts=facts, pictures=pictures
            )
        verdict = Verdict.WARNING if margin >= 0 else Verdict.BAD
        spare = f"only {margin:.0%} to spare" if margin >= 0 else "too small to be relied on"
        return Finding(
            verdict,
            f"{size}: {spare}",
            "Print the label larger, or bring the camera closer",
            facts,
            pictures,
        )


def best_label(views: tuple[View, ...]) -> tuple[View, CodeInView] | None:
    """The newest order label that was read; one in the zone and of known size before others."""
    seen = [(view, code) for view in views for code in view.codes if code.order is not None]
    return max(
        seen,
        key=lambda pair: (pair[1].in_zone, pair[1].module_pixels is not None, pair[0].monotonic_ns),
        default=None,
    )


def _without_label(views: tuple[View, ...]) -> Finding:
    others = {code.text: None for view in views for code in view.codes}
    if not others:
        return Finding(
            Verdict.WARNING,
            "no label was in view, so nothing can be said",
            "Lay an order label where the packer will show it, and run recorderd doctor again",
        )
    text = next(iter(others))[:_LONGEST_TEXT]
    return Finding(
        Verdict.BAD,
        f"a code is read, but it is no order label: {text}",
        "Lay an order label there; if this is one, set labels.pattern so that it fits",
    )
