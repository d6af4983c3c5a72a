"""What the finisher publishes: true, fresh, whole at any instant, and gone when it has ended."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from recorderd.core.model import RecordingId
from recorderd.finisher import progress as module
from recorderd.finisher.progress import Progress, Publisher, cut_short
from recorderd.settings import Settings, StationSettings
from recorderd.status import read_finisher
from recorderd.store.chores import Finished
from recorderd.store.identity import boot_id
from recorderd.store.records import Failure

NOW = datetime(2026, 7, 4, 12, tzinfo=UTC)
ONE = Finished(RecordingId("id-1"), "SO-1", "x.mp4", NOW)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(station=StationSettings(name="bench-1", run_folder=str(tmp_path / "run")))


def test_job_at_hand(settings: Settings) -> None:
    progress = Progress(settings)
    assert progress.document()["doing"] is None
    progress.begins("transcode", ONE)
    assert progress.document()["doing"]["percent"] is None
    progress.moves(0.459)
    doing = progress.document()["doing"]
    expected = {"job": "transcode", "recording_id": "id-1", "order": "SO-1", "percent": 45}
    assert expected.items() <= doing.items()
    assert doing["seconds"] >= 0
    assert abs(datetime.now(UTC) - datetime.fromisoformat(doing["since"])) < timedelta(minutes=1)
    progress.moves(7.0)
    assert progress.document()["doing"]["percent"] == 100
    progress.ends(done=True)
    document = progress.document()
    assert (document["doing"], document["done"]) == (None, {"transcode": 1})
    progress.begins("transcode", ONE)
    progress.ends(done=False)
    assert progress.document()["done"] == {"transcode": 1}


def test_rests_only_with_a_job_at_hand(settings: Settings) -> None:
    progress = Progress(settings, lambda: True)
    assert progress.document()["resting"] is False
    progress.begins("transcode", ONE)
    assert progress.document()["resting"] is True


def test_what_waits_and_what_failed(settings: Settings) -> None:
    progress = Progress(settings)
    retry_at = NOW + timedelta(minutes=4)
    failure = Failure(ONE.id, "transcode", 2, NOW, retry_at, "It failed", "Mend it")
    progress.counted({"transcode": 3}, 1, failure)
    progress.hindered("The disk is full")
    document = progress.document()
    assert document["waiting"] == {"transcode": 3}
    assert (document["failing"], document["hindrance"]) == (1, "The disk is full")
    assert document["last_failure"] == {
        "job": "transcode",
        "recording_id": "id-1",
        "at": "2026-07-04T12:00:00.000+00:00",
        "tries": 2,
        "retry_at": "2026-07-04T12:04:00+00:00",
        "problem": "It failed",
        "remedy": "Mend it",
    }
    json.dumps(document)


def test_published_again_and_again_until_it_ends(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PUBLISH_SECONDS", 0.001)
    progress = Progress(settings)
    publisher = Publisher(settings.finisher_file, progress)
    try:
        deadline = time.monotonic() + 10
        progress.begins("fingerprint", ONE)
        document = None
        while document is None or document["doing"] is None:
            assert time.monotonic() < deadline
            # Never half a document: it is replaced as a whole.
            document = read_finisher(settings.finisher_file, time.monotonic_ns(), boot_id())
        assert document["station"] == "bench-1"
    finally:
        publisher.close(take_away=True)
    assert not settings.finisher_file.exists()


def test_run_folder_that_cannot_be_made_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "run").touch()
    settings = Settings(station=StationSettings(run_folder=str(tmp_path / "run" / "below")))
    publisher = Publisher(settings.finisher_file, Progress(settings))
    publisher.close(take_away=True)


def test_what_a_finisher_died_with(settings: Settings) -> None:
    assert cut_short(settings.finisher_file) is None
    progress = Progress(settings)
    progress.begins("transcode", ONE)
    Publisher(settings.finisher_file, progress).close(take_away=False)
    assert cut_short(settings.finisher_file) == ("transcode", "id-1")
    document = json.loads(settings.finisher_file.read_text())
    settings.finisher_file.write_text(json.dumps(document | {"boot_id": "before the power failed"}))
    assert cut_short(settings.finisher_file) is None
    settings.finisher_file.write_text(json.dumps(document | {"doing": None}))
    assert cut_short(settings.finisher_file) is None
    settings.finisher_file.write_text("[]")
    assert cut_short(settings.finisher_file) is None
