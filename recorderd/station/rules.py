"""Settings in the state machine's own words."""

from __future__ import annotations

import re

from recorderd.core.model import OtherLabel, SameLabel, nanoseconds
from recorderd.core.rules import LabelRules, PedalRules, Rules
from recorderd.settings import Settings

_SHORTEST_HELD_GAP_SECONDS = 0.7
_SCANS_MISSED = 3
"""A label that is not read in two pictures between two others is still there."""


def rules_of(settings: Settings) -> Rules:
    labels, recording, panel = settings.labels, settings.recording, settings.panel
    zone = labels.zone
    held_gap_seconds = max(_SHORTEST_HELD_GAP_SECONDS, _SCANS_MISSED / labels.scans_per_second)
    return Rules(
        labels=LabelRules(
            pattern=re.compile(labels.pattern),
            maximum_length=labels.maximum_length,
            zone=(zone[0], zone[1], zone[2], zone[3]) if zone else None,
            confirm_frames=labels.confirm_frames,
            dwell=nanoseconds(labels.dwell_seconds),
            rearm=nanoseconds(labels.rearm_seconds),
            held_gap=nanoseconds(min(held_gap_seconds, labels.rearm_seconds)),
            on_other_label=OtherLabel(labels.on_other_label),
            on_same_label=SameLabel(labels.on_same_label),
        ),
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
