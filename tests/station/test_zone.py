"""The zone of labels is drawn anew while the station runs."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from recorderd.aim import zone
from recorderd.core.events import FrameScanned
from recorderd.core.model import Code, Symbology
from recorderd.core.signals import Signal
from recorderd.engine.messages import Start
from recorderd.station import station as station_module
from tests.station.bench import Bench


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr(station_module, "STATUS_SECONDS", 0.05)
    with Bench(tmp_path, monkeypatch) as running:
        running.start_engine()
        running.panel.wait_for(Signal.READY)
        yield running


def show(bench: Bench, order: str, x: float) -> None:
    """A label in two pictures, as far from the left as `x` says."""
    code = Code(order, Symbology.QR, ((x, 0.5),) * 4)
    for sequence in (1, 2):
        bench.station.post(FrameScanned(time.monotonic_ns(), sequence, (code,)))


def changes(bench: Bench) -> list[str]:
    with sqlite3.connect(bench.settings.state_folder / "catalogue.db") as database:
        found = database.execute("SELECT detail FROM events WHERE event = 'zone changed'")
        return [detail for (detail,) in found]


def test_what_lies_outside_starts_nothing_any_more(bench: Bench) -> None:
    zone.save(bench.settings, (0.5, 0.0, 1.0, 1.0))
    bench.wait_until(lambda: changes(bench) == ["zone = [0.5, 0.0, 1.0, 1.0]"])
    show(bench, "SO-1", 0.2)
    show(bench, "SO-2", 0.8)
    assert bench.asked(Start).tags["order_id"] == "SO-2"
    assert changes(bench) == ["zone = [0.5, 0.0, 1.0, 1.0]"]
