"""Settings in the core's own words. No room of its own: station and engine both read labels."""

from __future__ import annotations

import re

from recorderd.core.model import OtherLabel, SameLabel, nanoseconds
from recorderd.core.rules import LabelRules, PedalRules, Rules, Zone
from recorderd.settings import LabelSettings, Settings

_SHORTEST_HELD_GAP_SECONDS = 0.7
_SCANS_MISSED = 3
"""A label that is not read in two pictures between two others is still there."""


def zone_of(corners: tuple[float, ...]) -> Zone | None:
    """A zone as the settings have it, checked: left, top, right, bottom, or nothing."""
    return (corners[0], corners[1], corners[2], corners[3]) if corners else None


def label_rules_of(labels: LabelSettings) -> LabelRules:
    """What is an order label, and when it counts."""
    held_gap_seconds = max(_SHORTEST_HELD_GAP_SECONDS, _SCANS_MISSED / labels.scans_per_second)
    return LabelRules(
        pattern=re.compile(labels.pattern),
        maximum_length=labels.maximum_length,
        zone=zone_of(labels.zone),
        confirm_frames=labels.confirm_frames,
        dwell=nanoseconds(labels.dwell_seconds),
        rearm=nanoseconds(labels.rearm_seconds),
        held_gap=nanoseconds(min(held_gap_seconds, labels.rearm_seconds)),
        on_other_label=OtherLabel(labels.on_other_label),
        on_same_label=SameLabel(labels.on_same_label),
    )


def rules_of(settings: Settings) -> Rules:
    """All by which the state machine decides."""
    recording, panel = settings.recording, settings.panel
    return Rules(
        labels=label_rules_of(settings.labels),
        pedal=PedalRules(
            debounce=nanoseconds(panel.debounce_seconds),
            hold=nanoseconds(panel.hold_seconds),
            stuck=nanoseconds(panel.stuck_seconds),
        ),
        pre_roll=nanoseconds(recording.pre_roll_seconds),
        minimum=nanoseconds(recording.minimum_seconds),
        maximum=nanoseconds(recording.maximum_seconds),
        warning=nanoseconds(recording.warning_seconds),
        resume=nanoseconds(recording.resume_seconds),
        minimum_free_bytes=round(settings.storage.minimum_free_gigabytes * 1e9),
        reserve_bytes=settings.storage.reserve_megabytes * 1_000_000,
    )
