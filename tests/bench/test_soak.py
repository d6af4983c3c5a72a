"""Thousands of orders: the measuring, and what is told of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from recorderd.bench import soak
from recorderd.bench.soak import Run, Soaked, measure, shown

FLAT = Soaked("12 orders", 12, 12, 0, 0, 0, [100.0, 200.0, 250.0, 250.0, 251.0, 250.0])


def test_memory_that_has_settled_is_as_it_should_be() -> None:
    assert FLAT.growth == pytest.approx(250.5 / 250)
    assert FLAT.missed == []
    assert "all met" in shown(FLAT)


@pytest.mark.parametrize(
    ("found", "missed"),
    [
        (replace(FLAT, megabytes=[100.0, 150.0, 200.0, 250.0, 300.0, 350.0]), "memory grows"),
        (replace(FLAT, recordings=11), "every order recorded"),
        (replace(FLAT, unsaved=1), "every recording saved"),
        (replace(FLAT, scanner_deaths=1), "no process died"),
        (replace(FLAT, engine_restarts=1), "no process died"),
    ],
)
def test_what_is_not_as_it_should_be_is_named(found: Soaked, missed: str) -> None:
    assert len(found.missed) == 1
    assert found.missed[0].startswith(missed)
    assert missed in shown(found)


@pytest.mark.slow
def test_a_few_orders_are_all_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soak, "_LABELS", 5)
    monkeypatch.setattr(soak, "_SETTLE_SECONDS", 2.0)
    result = measure(Run("a few", 6), tmp_path)
    assert result.recordings >= 6
    assert result.unsaved == 0
    assert result.megabytes
    assert min(result.megabytes) > 20
