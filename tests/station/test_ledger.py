"""From the engine's report to the catalogue's row, and from an unfinished row back."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from recorderd.core.model import (
    Mode,
    Order,
    RecordingId,
    RecordingState,
    StopReason,
    Symbology,
)
from recorderd.engine.messages import Captured
from recorderd.settings import Settings, StationSettings
from recorderd.station.ledger import Entry, Stage, entry_after_power_cut
from recorderd.store.catalogue import Unfinished
from recorderd.store.footage import files_for

ID = RecordingId("0190a000-0000-7000-8000-000000000001")
START = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
SETTINGS = Settings(station=StationSettings(state_folder="/state"))
ORDER = Order("SO-1", "SO-1", Symbology.QR)
CAPTURED = Captured(
    ID, 1000, 90, 2, 57_000_000_000, 33_000_000_000, "mjpeg", "", "defer", 640, 480, False
)
ROW = Unfinished(
    id=ID,
    order=ORDER,
    take=1,
    part=1,
    continues=None,
    state=RecordingState.RECORDING,
    path="2026/03/01/SO-1_20260301T120000Z_x.mp4",
    started_at=START,
    monotonic_ns=60_000_000_000,
    boot_id="b",
    recovered=False,
    frames=None,
    duration_ms=None,
)


def _entry() -> Entry:
    files = files_for(SETTINGS, ID, "SO-1", START)
    return Entry(ID, ORDER, 1, files, START, 60_000_000_000, stop_reason=StopReason.LABEL)


@pytest.mark.parametrize(
    ("unwritten_ns", "missing_ms"), [(0, 0), (None, None), (400_000_000, 1400)]
)
def test_a_repaired_file_misses_at_most_what_was_not_synced(
    unwritten_ns: int | None, missing_ms: int | None
) -> None:
    captured = replace(CAPTURED, recovered=True, unwritten_ns=unwritten_ns)
    assert _entry().file_facts(captured, SETTINGS).missing_ms == missing_ms


def test_times_are_those_of_the_first_picture() -> None:
    """The label was read at 60 s; the pre-roll begins at 57 s of the same clock."""
    facts = _entry().file_facts(CAPTURED, SETTINGS)
    assert facts.started_at == START - timedelta(seconds=3)
    assert facts.ended_at - facts.started_at == timedelta(seconds=33)
    assert (facts.duration_ms, facts.frames, facts.dropped) == (33_000, 90, 2)
    assert (facts.stop_reason, facts.mode, facts.recovered) == (
        StopReason.LABEL,
        Mode.DEFER,
        False,
    )
    assert facts.path == f"2026/03/01/SO-1_20260301T120000Z_{ID}.mp4"


def test_file_that_does_not_know_when_it_began() -> None:
    facts = _entry().file_facts(replace(CAPTURED, first_ns=0, mode="", recovered=True), SETTINGS)
    assert facts.started_at == START
    assert facts.recovered


def test_recording_that_the_power_cut_short() -> None:
    entry = entry_after_power_cut(ROW, SETTINGS)
    assert (entry.stage, entry.stop_reason) == (Stage.SALVAGING, StopReason.POWER_LOST)
    assert entry.recovered
    assert entry.files.incoming_video == Path(f"/state/incoming/{ID}.mp4")


def test_file_in_place_only_has_to_be_verified() -> None:
    row = replace(ROW, state=RecordingState.CAPTURED, frames=90, duration_ms=33_000)
    entry = entry_after_power_cut(row, SETTINGS)
    assert (entry.stage, entry.recovered) == (Stage.IN_PLACE, False)
    assert (entry.frames, entry.duration_ns) == (90, 33_000_000_000)


def test_place_of_the_file_does_not_follow_corrected_times() -> None:
    entry = entry_after_power_cut(replace(ROW, started_at=START + timedelta(days=400)), SETTINGS)
    assert entry.files.video == Path("/state/footage") / ROW.path
    assert entry.files.still == entry.files.video.with_suffix(".jpg")
