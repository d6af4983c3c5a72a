"""What the benchmark of the scanner on made-up pictures makes of its measurements."""

from __future__ import annotations

import json

import pytest

from recorderd.bench import scanner_scenes
from recorderd.bench.scanner_scenes import Findings, Tally, shown
from recorderd.settings import LabelSettings

GOOD = Findings(
    singles=[Tally("recorderd", 95, 0, [5.0] * 100), Tally("zbar-py", 55, 0, [280.0] * 100)],
    presentations=50,
    by_picture=[0, 45, 48, 49, 50, 50, 50, 50],
    empty=500,
    empty_phantoms=0,
    idle_milliseconds=1.5,
)


def test_goals_that_are_met() -> None:
    assert GOOD.missed == []
    told = shown(GOOD)
    assert "95.0%" in told
    assert "0%, 90%, 96%, 98%, 100%" in told
    assert "Goals: all met" in told


@pytest.mark.parametrize(
    ("found", "missed"),
    [
        ({"singles": [Tally("recorderd", 87, 0, [5.0] * 100)]}, "88% of single pictures"),
        ({"singles": [Tally("recorderd", 95, 0, [10.5] * 100)]}, "10 ms a picture"),
        ({"singles": [Tally("recorderd", 95, 1, [5.0] * 100)]}, "no phantom"),
        ({"by_picture": [0, 45, 48, 48, 48, 50, 50, 50]}, "98% by picture 5"),
        ({"empty_phantoms": 1}, "no phantom"),
        ({"idle_milliseconds": 2.1}, "2 ms when idle"),
    ],
)
def test_goals_that_are_missed_are_named(found: dict[str, object], missed: str) -> None:
    findings = Findings(**({name: getattr(GOOD, name) for name in GOOD.__slots__} | found))
    assert findings.missed == [missed]
    assert f"missed: {missed}" in shown(findings)


@pytest.mark.slow
def test_a_short_run_reads_labels_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(scanner_scenes, "_STILL_PICTURES", 8)
    scanner_scenes.run(LabelSettings(), 4, 20, as_json=True)
    told = json.loads(capsys.readouterr().out)
    ours, *others = told["singles"]
    assert ours["name"] == "recorderd"
    assert {"zbar-py", "zxing-cpp", "OpenCV"} <= {other["name"] for other in others}
    assert ours["right"] >= 2
    assert told["by_picture"][-1] == 1
    assert (told["empty"], told["empty_phantoms"]) == (20, 0)
