"""From codes in pictures to what the packer means by them.

A label acts once per appearance. An appearance begins when the label comes into view and
ends when it was out of view for `rearm`: a label that lies on the parcel for minutes, with
hands passing over it, is one appearance.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeAlias

from recorderd.core.model import Code, Nanoseconds, Order
from recorderd.core.rules import LabelRules

CARD_PREFIX = "recorderd:"
"""Texts that begin with this are control labels, never orders."""

MOST_SIGHTINGS = 32
"""More different codes than this in view at once are not remembered (posters, catalogues)."""


class Card(StrEnum):
    """Control labels, printed by `recorderd cards`; the text is the prefix and this value."""

    STOP = "stop"
    FLAG = "flag"
    VOID = "void"
    END_SHIFT = "end-shift"


@dataclass(frozen=True, slots=True)
class Stranger:
    """A readable code that is no label of ours, and why: products have codes too."""

    why: str


Meaning: TypeAlias = Order | Card | Stranger


def meaning_of(code: Code, rules: LabelRules) -> Meaning:
    """What this code says. Text is taken exactly as read; nothing is stripped or folded."""
    text = code.text
    if not text:
        return Stranger("it is empty")
    if len(text) > rules.maximum_length:
        return Stranger(f"it has {len(text)} characters, more than labels.maximum_length")
    if text.lower().startswith(CARD_PREFIX):
        try:
            return Card(text[len(CARD_PREFIX) :].lower())
        except ValueError:
            return Stranger("it is no control label of this version")
    match = rules.pattern.fullmatch(text)
    if match is None:
        return Stranger("it does not match labels.pattern")
    order_id = match.group("order") if "order" in rules.pattern.groupindex else text
    if not order_id:
        return Stranger("the order id in it is empty")
    return Order(order_id=order_id, label_text=text, symbology=code.symbology)


@dataclass(frozen=True, slots=True)
class Sighting:
    """One label's present appearance.

    `held_since_ns` and `frames` belong to the unbroken view that lasts until `last_ns`.
    `acted`: it has already started or stopped something. `refused`: it was already answered
    with the refused tone; it may still act later, once what stood against it is gone.
    """

    meaning: Meaning
    text: str
    held_since_ns: Nanoseconds
    last_ns: Nanoseconds
    sequence: int
    frames: int = 1
    acted: bool = False
    refused: bool = False

    @property
    def order(self) -> Order | None:
        return self.meaning if isinstance(self.meaning, Order) else None

    @property
    def key(self) -> str:
        """Two stickers of one order are one label."""
        return _order_key(self.meaning) if isinstance(self.meaning, Order) else f"text {self.text}"

    @property
    def held(self) -> Nanoseconds:
        """How long the label has been in unbroken view."""
        return self.last_ns - self.held_since_ns


def _order_key(order: Order) -> str:
    return f"order {order.order_id}"


@dataclass(frozen=True, slots=True)
class View:
    """The labels whose appearance lasts, and when the station last looked."""

    sightings: tuple[Sighting, ...] = ()
    looked_ns: Nanoseconds | None = None


def look(
    view: View, codes: Iterable[Code], captured_ns: Nanoseconds, sequence: int, rules: LabelRules
) -> View:
    """The view after one more scanned picture."""
    known = {sighting.key: sighting for sighting in _without_blind_time(view, captured_ns, rules)}
    for code in codes:
        if not in_zone(code, rules):
            continue
        fresh = Sighting(meaning_of(code, rules), code.text, captured_ns, captured_ns, sequence)
        before = known.get(fresh.key)
        if before is None:
            known[fresh.key] = fresh
        elif before.last_ns < captured_ns or not before.frames:
            known[fresh.key] = _seen_again(before, fresh, rules)
    lasting = [s for s in known.values() if captured_ns - s.last_ns < rules.rearm]
    # A label that has acted would act twice if a sheet full of codes made it forgotten.
    lasting.sort(key=lambda sighting: (sighting.acted, sighting.last_ns), reverse=True)
    return View(tuple(lasting[:MOST_SIGHTINGS]), captured_ns)


def _without_blind_time(view: View, captured_ns: Nanoseconds, rules: LabelRules) -> list[Sighting]:
    """While nobody looked (camera or engine lost), no label can have left the view.

    The same goes for a leap of the capture clock; a later picture is always a little later.
    """
    blind = 0
    if view.looked_ns is not None:
        elapsed = captured_ns - view.looked_ns
        blind = elapsed - min(max(elapsed, 1), rules.held_gap)
    return [
        replace(
            sighting,
            held_since_ns=sighting.held_since_ns + blind,
            last_ns=sighting.last_ns + blind,
        )
        for sighting in view.sightings
    ]


def _seen_again(before: Sighting, fresh: Sighting, rules: LabelRules) -> Sighting:
    gap = fresh.last_ns - before.last_ns
    if gap >= rules.rearm:
        return fresh
    if gap > rules.held_gap:
        return replace(fresh, acted=before.acted, refused=before.refused)
    return replace(before, last_ns=fresh.last_ns, sequence=fresh.sequence, frames=before.frames + 1)


def in_zone(code: Code, rules: LabelRules) -> bool:
    """Whether a code lies where labels are read: its middle counts."""
    centre = code.centre
    if rules.zone is None or centre is None:
        return True
    left, top, right, bottom = rules.zone
    return left <= centre[0] <= right and top <= centre[1] <= bottom


def just_read(view: View) -> tuple[Sighting, ...]:
    """The labels that were read in the very last picture."""
    return tuple(s for s in view.sightings if s.frames and s.last_ns == view.looked_ns)


def waiting_orders(view: View, rules: LabelRules) -> tuple[tuple[Sighting, Order], ...]:
    """Order labels that are there right now and have not acted yet.

    A label need not have been read in the very last picture to be there: no scanner reads
    each label in each picture.
    """
    if view.looked_ns is None:
        return ()
    return tuple(
        (sighting, sighting.order)
        for sighting in view.sightings
        if sighting.order
        and not sighting.acted
        and view.looked_ns - sighting.last_ns <= rules.held_gap
    )


def may_act(sighting: Sighting, view: View, rules: LabelRules) -> bool:
    """Whether an order label has been read often enough, and was read in the last picture.

    The second keeps a label from acting after it was taken away while the camera was lost.
    """
    return sighting.frames >= rules.confirm_frames and sighting.last_ns == view.looked_ns


def marked(
    view: View, sightings: Iterable[Sighting], *, acted: bool = False, refused: bool = False
) -> View:
    """The view with these labels marked as having acted or having been refused."""
    keys = {sighting.key for sighting in sightings}
    return replace(
        view,
        sightings=tuple(
            replace(s, acted=s.acted or acted, refused=s.refused or refused) if s.key in keys else s
            for s in view.sightings
        ),
    )


def spent(view: View, order: Order) -> View:
    """The view in which this order's label, seen or hidden by a hand, has to go away first."""
    if view.looked_ns is None:
        return view
    others = tuple(s for s in view.sightings if s.key != _order_key(order))
    hidden = Sighting(
        order, order.label_text, view.looked_ns, view.looked_ns, sequence=0, frames=0, acted=True
    )
    return replace(view, sightings=(hidden, *others))
