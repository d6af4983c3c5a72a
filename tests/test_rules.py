"""Settings become the state machine's rules."""

from __future__ import annotations

import dataclasses

import pytest

from recorderd.core.model import OtherLabel, SameLabel
from recorderd.core.rules import Rules
from recorderd.rules import rules_of
from recorderd.settings import LabelSettings, PanelSettings, RecordingSettings, Settings


def test_default_settings_are_the_default_rules() -> None:
    rules, defaults = rules_of(Settings()), Rules()
    labels = dataclasses.replace(rules.labels, pattern=defaults.labels.pattern)
    assert dataclasses.replace(rules, labels=labels) == defaults
    match = rules.labels.pattern.fullmatch("SO-4711")
    assert match is not None
    assert match.group("order") == "SO-4711"


def test_every_setting_arrives_in_its_own_unit() -> None:
    rules = rules_of(
        Settings(
            labels=LabelSettings(
                zone=(0.1, 0.2, 0.3, 0.4),
                confirm_frames=1,
                dwell_seconds=1.5,
                rearm_seconds=4.0,
                on_other_label="refuse",
                on_same_label="ignore",
            ),
            panel=PanelSettings(debounce_seconds=0.05, hold_seconds=3.0, stuck_seconds=20.0),
            recording=RecordingSettings(pre_roll_seconds=2.0, maximum_seconds=60.0),
        )
    )
    assert rules.labels.zone == (0.1, 0.2, 0.3, 0.4)
    assert (rules.labels.confirm_frames, rules.labels.dwell) == (1, 1_500_000_000)
    assert (rules.labels.on_other_label, rules.labels.on_same_label) == (
        OtherLabel.REFUSE,
        SameLabel.IGNORE,
    )
    assert (rules.pedal.debounce, rules.pedal.hold) == (50_000_000, 3_000_000_000)
    assert (rules.pre_roll, rules.maximum) == (2_000_000_000, 60_000_000_000)


@pytest.mark.parametrize(
    ("scans", "rearm", "seconds"), [(6.0, 3.0, 0.7), (1.0, 3.0, 3.0), (2.0, 3.0, 1.5)]
)
def test_slow_scanner_may_miss_a_label_for_longer(
    scans: float, rearm: float, seconds: float
) -> None:
    labels = LabelSettings(scans_per_second=scans, rearm_seconds=rearm)
    assert rules_of(Settings(labels=labels)).labels.held_gap == round(seconds * 1e9)
