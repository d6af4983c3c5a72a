"""The settings the station's behaviour depends on, in the machine's own units."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TypeAlias

from recorderd.core.model import Nanoseconds, OtherLabel, SameLabel, nanoseconds

Zone: TypeAlias = tuple[float, float, float, float]
"""Left, top, right, bottom as fractions of the picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelRules:
    """What counts as a label and for how long it must be shown.

    `held_gap` is the longest pause between two sightings that still is one unbroken view:
    the scanner does not read a label in every picture.
    """

    pattern: re.Pattern[str] = field(default=re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._/#+-]{1,63}"))
    maximum_length: int = 256
    zone: Zone | None = None
    confirm_frames: int = 2
    dwell: Nanoseconds = nanoseconds(0.6)
    rearm: Nanoseconds = nanoseconds(3)
    card_dwell: Nanoseconds = nanoseconds(1)
    stranger_dwell: Nanoseconds = nanoseconds(1)
    held_gap: Nanoseconds = nanoseconds(0.7)
    on_other_label: OtherLabel = OtherLabel.SWITCH
    on_same_label: SameLabel = SameLabel.STOP


@dataclass(frozen=True, slots=True, kw_only=True)
class PedalRules:
    debounce: Nanoseconds = nanoseconds(0.03)
    hold: Nanoseconds = nanoseconds(2)
    stuck: Nanoseconds = nanoseconds(15)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Everything the state machine is told once, at its birth."""

    labels: LabelRules = field(default_factory=LabelRules)
    pedal: PedalRules = field(default_factory=PedalRules)
    pre_roll: Nanoseconds = nanoseconds(3)
    minimum: Nanoseconds = nanoseconds(5)
    maximum: Nanoseconds = nanoseconds(900)
    warning: Nanoseconds = nanoseconds(60)
    resume: Nanoseconds = nanoseconds(60)
    retry: Nanoseconds = nanoseconds(2)
    announce_within: Nanoseconds = nanoseconds(0.3)
    minimum_free_bytes: int = 5_000_000_000
    reserve_bytes: int = 500_000_000
