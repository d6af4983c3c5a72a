from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from recorderd.core.model import Order, RecordingId, Symbology
from recorderd.settings import Settings, StationSettings
from recorderd.station.orphans import candidates, entry_of, row_for, tags_of
from recorderd.store.catalogue import NewRecording

ID = RecordingId("01a208bd-8fc8-7069-84ae-0ec449e6d8f7")
SETTINGS = Settings(station=StationSettings(name="bench 7"))
NEW = NewRecording(
    id=ID,
    order=Order("4711", "order:4711", Symbology.CODE_128),
    part=1,
    continues=None,
    station="bench 7",
    path="2026/11/23/4711_20261123T140000Z_01a208bd-8fc8-7069-84ae-0ec449e6d8f7.mp4",
    started_at=datetime(2026, 11, 23, 14, tzinfo=UTC),
    monotonic_ns=123,
    boot_id="boot",
    clock="synchronised",
)


def test_a_file_tells_its_whole_row() -> None:
    assert row_for(ID, tags_of(NEW), SETTINGS) == NEW


def test_a_later_part_becomes_a_take_of_its_own() -> None:
    later = replace(NEW, part=2, continues=RecordingId("before"))
    assert row_for(ID, tags_of(later), SETTINGS) == NEW


@pytest.mark.parametrize(
    "change",
    [
        {"order_id": None},
        {"label_text": None},
        {"symbology": "hologram"},
        {"started_at": "yesterday"},
        {"started_at": "2026-11-23T14:00:00"},
        {"started_monotonic_ns": "soon"},
        {"recording_id": "another"},
    ],
)
def test_a_foreign_file_is_left_alone(change: dict[str, str | None]) -> None:
    tags = {**tags_of(NEW), **{key: value for key, value in change.items() if value is not None}}
    for key in [key for key, value in change.items() if value is None]:
        del tags[key]
    assert row_for(ID, tags, SETTINGS) is None


def test_only_videos_named_after_a_recording_nobody_works_on(tmp_path: Path) -> None:
    for name in (f"{ID}.mp4", f"{ID}.jpg", "holiday.mp4", f"{ID}.transcode.mp4", f"{{{ID}}}.mp4"):
        (tmp_path / name).touch()
    assert candidates(tmp_path, []) == [tmp_path / f"{ID}.mp4"]
    assert candidates(tmp_path, [ID]) == []


def test_an_orphan_is_salvaged_to_where_its_row_says() -> None:
    entry = entry_of(NEW, SETTINGS)
    assert str(entry.files.video).endswith(NEW.path)
    assert entry.recovered
