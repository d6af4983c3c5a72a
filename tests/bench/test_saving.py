"""How soon after the stop: the measuring, and what is told of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from recorderd.bench import saving
from recorderd.bench.saving import CAMERAS, Moment, measure, shown


def test_what_took_too_long_is_told() -> None:
    moments = [Moment("start to ready", 2.5, 3.0), Moment("stop to saved", 1.2, 1.0)]
    assert [moment.missed for moment in moments] == [False, True]
    first, second = shown(moments).splitlines()[-2:]
    assert "missed" not in first
    assert "1 s or less: missed" in second


@pytest.mark.slow
def test_a_short_recording_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saving, "RATE", 10)
    monkeypatch.setattr(saving, "_CLIP_SECONDS", 4.0)
    ready, saved = measure(CAMERAS[1], tmp_path, lengths=(2.0,))
    assert 0 < ready.seconds < 30
    assert 0 < saved.seconds < 30
    assert saved.name.endswith("after 2 s")
