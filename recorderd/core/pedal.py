"""The foot pedal: from a bouncing contact to press, hold and stuck."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from recorderd.core.model import Nanoseconds
from recorderd.core.rules import PedalRules


class PedalEvent(StrEnum):
    PRESSED = "pressed"
    HELD = "held"
    STUCK = "stuck"
    RELEASED = "released"


@dataclass(frozen=True, slots=True)
class Pedal:
    """`contact` is the raw level since `contact_since_ns`, `down` the debounced one."""

    contact: bool = False
    contact_since_ns: Nanoseconds = 0
    down: bool = False
    down_since_ns: Nanoseconds = 0
    held: bool = False
    stuck: bool = False


def contact_changed(pedal: Pedal, down: bool, now: Nanoseconds) -> Pedal:
    """The raw contact changed; a repeated level changes nothing."""
    if down == pedal.contact:
        return pedal
    return replace(pedal, contact=down, contact_since_ns=now)


def advance(
    pedal: Pedal, now: Nanoseconds, rules: PedalRules
) -> tuple[Pedal, tuple[PedalEvent, ...]]:
    """What the pedal has done until `now`. Call before and after each contact change."""
    events: list[PedalEvent] = []
    settled_ns = pedal.contact_since_ns + rules.debounce
    if pedal.contact != pedal.down and now >= settled_ns:
        if pedal.contact:
            pedal = replace(pedal, down=True, down_since_ns=pedal.contact_since_ns)
            events.append(PedalEvent.PRESSED)
        else:
            events.append(PedalEvent.RELEASED)
            pedal = replace(pedal, down=False, held=False, stuck=False)
    if pedal.down and pedal.contact:
        if not pedal.held and now >= pedal.down_since_ns + rules.hold:
            pedal = replace(pedal, held=True)
            events.append(PedalEvent.HELD)
        if not pedal.stuck and now >= pedal.down_since_ns + rules.stuck:
            pedal = replace(pedal, stuck=True)
            events.append(PedalEvent.STUCK)
    return pedal, tuple(events)


def next_deadline(pedal: Pedal, rules: PedalRules) -> Nanoseconds | None:
    """When `advance` may have something new to say, without any contact change."""
    if pedal.contact != pedal.down:
        return pedal.contact_since_ns + rules.debounce
    if not pedal.down or pedal.stuck:
        return None
    return pedal.down_since_ns + (rules.stuck if pedal.held else rules.hold)
