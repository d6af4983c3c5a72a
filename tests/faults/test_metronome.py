from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.faults import metronome as room
from tests.faults.metronome import Metronome


def test_only_what_was_late_before_the_moment_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room.Metronome, "_beat", lambda _: None)
    metronome = Metronome(tmp_path)
    start = metronome._beats[0]
    beats = [start + round(number * 0.05e9) for number in range(200)]
    # For 0.4 s nothing was done, from 4.95 s on.
    metronome._beats[:] = beats[:100] + [beat + round(0.4e9) for beat in beats[100:]]
    assert metronome.late_seconds(start + round(4.5e9)) == 0.0
    assert metronome.late_seconds(start + round(5.5e9)) == pytest.approx(3 * 0.375)
    assert metronome.late_seconds(start + round(5.1e9)) == pytest.approx(3 * 0.375)
    assert metronome.late_seconds(start + round(8.0e9)) == 0.0
    metronome.close()


def test_it_beats(tmp_path: Path) -> None:
    metronome = Metronome(tmp_path)
    before = len(metronome._beats)
    deadline = time.monotonic() + 30
    while len(metronome._beats) < before + 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(metronome._beats) >= before + 3
    metronome.close()
