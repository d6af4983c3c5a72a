"""The catalogue after SIGKILL at any instant: whole, and with every promise that was made."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from recorderd.store.catalogue import Catalogue
from recorderd.store.reader import find

from .rows import new

BUSY_STATION = """
import sys
from datetime import UTC, datetime, timedelta
from recorderd.core.model import Mode, Order, StopReason, Symbology
from recorderd.store.catalogue import CapturedFile, Catalogue, NewRecording
from recorderd.store.identity import new_recording_id

catalogue = Catalogue.open(sys.argv[1], "bench-1")
catalogue.footage_id or catalogue.set_footage_id("disk-1")
while True:
    id, now = new_recording_id(), datetime.now(UTC)
    order = Order("SO-1", "SO-1", Symbology.QR)
    path = f"2026/07/04/x_{id}.mp4"
    catalogue.register(
        NewRecording(id, order, 1, None, "bench-1", path, now, 0, "boot", "synchronised")
    )
    print("registered", id, flush=True)
    catalogue.captured(id, CapturedFile(
        path, 1, 1, 0, 1000, now, now + timedelta(seconds=1), "h264", "libx264", Mode.ENCODE,
        3840, 2160, StopReason.LABEL, False))
    print("captured", id, flush=True)
    catalogue.saved(id)
    print("saved", id, flush=True)
"""
ORDER_OF_STATES = ["registered", "captured", "saved"]


@pytest.mark.slow
def test_a_killed_station_leaves_a_whole_catalogue(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'catalogue.db'}"
    chance = random.Random(7)
    promised: dict[str, str] = {}
    for _ in range(10):
        station = subprocess.Popen(
            [sys.executable, "-c", BUSY_STATION, url], stdout=subprocess.PIPE, text=True
        )
        assert station.stdout is not None
        for _ in range(chance.randrange(1, 60)):
            state, recording_id = station.stdout.readline().split()
            promised[recording_id] = state
        station.kill()
        for line in station.stdout.read().splitlines():
            if len(words := line.split()) == 2:
                promised[words[1]] = words[0]
        station.wait(20)
        station.stdout.close()

        with sqlite3.connect(tmp_path / "catalogue.db") as database:
            assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        database.close()
        rows = {row.id: row for row in find(url, "SO-1", 10_000)}
        assert sorted(row.take for row in rows.values()) == list(range(1, len(rows) + 1))
        states = {"recording": "registered", "captured": "captured", "saved": "saved"}
        for promised_id, state in promised.items():
            kept = states[{str(id): row.state for id, row in rows.items()}[promised_id]]
            assert ORDER_OF_STATES.index(kept) >= ORDER_OF_STATES.index(state)
    assert promised
    catalogue = Catalogue.open(url, "bench-1")
    unfinished = {each.id for each in catalogue.unfinished()}
    assert unfinished == {row.id for row in rows.values() if row.state != "saved"}
    assert catalogue.register(new("SO-1")) == len(rows) + 1
    catalogue.close()
