"""Whether an order label is read where the packer shows it, and with how much to spare."""

from __future__ import annotations

from recorderd.aim import words
from recorderd.aim.live import CodeInView, View
from recorderd.doctor.check import Finding, Picture, Verdict, as_sentence, skipped
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
        size = words.margin(pixels)
        return Finding(
            _verdict_on(pixels),
            f"{order} is read, {size.seen}",
            as_sentence(size.remedy),
            (("module", f"{pixels:.1f} pixels; {words.LEAST_MODULE_PIXELS:g} are the least"),),
            pictures,
        )


def _verdict_on(module_pixels: float) -> Verdict:
    """As the README has it: from 5 on there is a good margin, below 3 nothing is reliable."""
    if module_pixels >= words.GOOD_MODULE_PIXELS:
        return Verdict.GOOD
    return Verdict.WARNING if module_pixels >= words.LEAST_MODULE_PIXELS else Verdict.BAD


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
