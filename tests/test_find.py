"""`recorderd find`: a table for people, JSON for programs, and an honest exit code."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from recorderd.core.model import RecordingId
from recorderd.errors import CatalogueError
from recorderd.find import run_find
from recorderd.settings import Settings, StationSettings
from recorderd.store.catalogue import Catalogue

from .store.rows import captured, new


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(station=StationSettings(state_folder=str(tmp_path / "state")))


@pytest.fixture
def catalogue(settings: Settings) -> Catalogue:
    return Catalogue.open(settings.database_url, "bench-1")


@pytest.fixture(autouse=True)
def in_berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def finished(catalogue: Catalogue, settings: Settings, order_id: str = "SO-1") -> RecordingId:
    entry = new(order_id)
    catalogue.register(entry)
    catalogue.captured(entry.id, captured(entry, seconds=3725))
    catalogue.saved(entry.id)
    video = settings.footage_folder / entry.path
    video.parent.mkdir(parents=True, exist_ok=True)
    video.touch()
    return entry.id


def test_the_table_tells_everything_at_a_glance(
    catalogue: Catalogue, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    recording_id = finished(catalogue, settings)
    catalogue.flag(recording_id)
    second = new(part=2, continues=recording_id, after=60)
    catalogue.register(second)
    catalogue.lost(second.id, "nothing was written")
    assert run_find(settings, "so-1", json=False) == 0
    heading, lost, saved = capsys.readouterr().out.splitlines()
    assert re.split("  +", heading) == [
        "order",
        "take",
        "when",
        "length",
        "why it stopped",
        "state",
        "flags",
        "file",
    ]
    for piece in ("SO-1", "1, part 2", "14:01:00", "lost: nothing was written", "not on this disk"):
        assert piece in lost
    video = settings.footage_folder / f"2026/07/04/x_{recording_id}.mp4"
    for piece in ("SO-1", "13:59:57", "1:02:05", "label", "saved", "flagged", str(video)):
        assert piece in saved
    assert lost.index("not on") == saved.index(str(video)) == heading.index("file")


def test_what_a_crash_has_cost_is_said(
    catalogue: Catalogue, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    for missing_ms in (1400, None, 0):
        entry = new()
        catalogue.register(entry)
        file = replace(captured(entry, recovered=True), missing_ms=missing_ms)
        catalogue.captured(entry.id, file)
        catalogue.saved(entry.id)
    run_find(settings, "SO-1", json=False)
    text = capsys.readouterr().out
    assert text.count("at most 1.4 s missing at the end") == 1
    assert text.count("missing at the end") == 2
    assert "an unknown time missing at the end" in text


def test_nothing_found_is_said_and_is_exit_code_1(
    catalogue: Catalogue, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_find(settings, "\x1b[2Jx", json=False) == 1
    assert capsys.readouterr().out == ("No recording has '\\x1b[2Jx' in its order id or label.\n")
    assert run_find(settings, "x", json=True) == 1
    assert json.loads(capsys.readouterr().out) == []


def test_json_carries_the_exact_texts(
    catalogue: Catalogue, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    hostile = "SO-1\x1b]0;x\x07\nfake line\0\ud800 包裹"
    recording_id = finished(catalogue, settings, hostile)
    assert run_find(settings, "so-1", json=True) == 0
    (document,) = json.loads(capsys.readouterr().out)
    assert document["order_id"] == hostile
    assert document["id"] == recording_id
    assert document["started_at"] == "2026-07-04T11:59:57.123456+00:00"
    assert document["file"] == str(settings.footage_folder / document["path"])


def test_a_hostile_label_cannot_play_with_the_terminal(
    catalogue: Catalogue, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    finished(catalogue, settings, "SO-1\x1b]0;x\x07\nfake line\0\ud800\u202e")
    finished(catalogue, settings, "SO-1 包裹" + "x" * 500)
    assert run_find(settings, "so-1", json=False) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert all(line.isprintable() for line in lines)
    assert max(map(len, lines)) < 400


def test_a_long_answer_says_that_there_is_more(
    catalogue: Catalogue, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(51):
        catalogue.register(new(f"SO-{number}"))
    assert run_find(settings, "so", json=False) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 52
    assert "first 50" in lines[-1]


def test_no_catalogue_is_an_error_with_a_remedy(settings: Settings) -> None:
    with pytest.raises(CatalogueError, match="no catalogue"):
        run_find(settings, "x", json=False)
    assert not settings.state_folder.exists()
