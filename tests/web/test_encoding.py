"""The page of a video that waits to be encoded, the line on the first page, the figures."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from recorderd.core.model import RecordingId
from recorderd.finisher.progress import Progress
from recorderd.store.catalogue import NewRecording
from recorderd.store.chores import Chores, Finished
from recorderd.web.live import FINISHER
from recorderd.web.metrics import exposition
from recorderd.web.schema import description

from .archive import Archive, video
from .serving import Server
from .test_api import publish as publish_station
from .test_metrics import QUIET, read


def publish(archive: Archive, **changes: object) -> dict[str, Any]:
    """What a finisher would have published just now."""
    progress = Progress(archive.settings)
    progress.begins("transcode", Finished(RecordingId("some-id"), "SO-9", "", datetime.now(UTC)))
    progress.moves(0.45)
    progress.counted({"thumbnail": 1, "transcode": 4, "fingerprint": 7}, 0, None)
    document = progress.document() | changes
    archive.settings.run_folder.mkdir(parents=True, exist_ok=True)
    archive.settings.finisher_file.write_text(json.dumps(document))
    return document


def doing(new: NewRecording, percent: int | None = 45) -> dict[str, object]:
    order_id = new.order.order_id
    return {"job": "transcode", "recording_id": new.id, "order": order_id, "percent": percent}


@pytest.fixture
def deferred(archive: Archive) -> NewRecording:
    return archive.save("SO-1", content=video(codec="mjpeg"), codec="mjpeg")


def asked(server: Server, new: NewRecording) -> Any:
    return server.get(f"/api/recordings/{new.id}").json["encoding"]


def test_per_cent_on_the_page_and_for_its_script(
    archive: Archive, server: Server, deferred: NewRecording
) -> None:
    publish(archive, doing=doing(deferred))
    text = "It is being encoded: 45 % are done."
    assert asked(server, deferred) == {"state": "running", "percent": 45, "text": text}
    page = server.get(f"/recordings/{deferred.id}").text
    assert f'<p id="encoding-text">{text}</p>' in page
    assert 'max="100" value="45" aria-label="Encoded so far"></progress>' in page
    assert "encoding.js" in page
    publish(archive, doing=doing(deferred), resting=True)
    assert "It rests while an order is recorded" in server.get(f"/recordings/{deferred.id}").text


def test_others_are_encoded_first(archive: Archive, server: Server, deferred: NewRecording) -> None:
    publish(archive)
    assert asked(server, deferred) == {
        "state": "waiting",
        "percent": None,
        "text": "It waits for its turn. 3 more wait, too.",
    }
    page = server.get(f"/recordings/{deferred.id}").text
    assert 'aria-label="Encoded so far" hidden></progress>' in page
    publish(archive, hindrance="The disk is full")
    assert "The disk is full" in server.get(f"/recordings/{deferred.id}").text


def test_nobody_encodes(server: Server, deferred: NewRecording) -> None:
    assert asked(server, deferred)["state"] == "stopped"
    assert "tell the technician" in server.get(f"/recordings/{deferred.id}").text


def test_why_it_failed_is_shown(archive: Archive, server: Server, deferred: NewRecording) -> None:
    publish(archive)
    chores = Chores(archive.catalogue)
    now = datetime.now(UTC)
    chores.failed(deferred.id, "transcode", "<b>The encoder failed", "Try another", now)
    found = asked(server, deferred)
    assert found["state"] == "failed"
    assert "The encoder failed. It is tried again: " in found["text"]
    assert "&lt;b&gt;The encoder failed" in server.get(f"/recordings/{deferred.id}").text
    for _ in range(20):
        chores.failed(deferred.id, "transcode", "It failed", "Try another", now)
    assert "not tried again by itself" in asked(server, deferred)["text"]
    publish(archive, doing=doing(deferred))
    assert asked(server, deferred)["state"] == "running", "it is being tried again"


def test_videos_that_play_say_nothing(archive: Archive, server: Server) -> None:
    publish(archive)
    new, running = archive.save("SO-1"), archive.begin("SO-2")
    for each in (new, running):
        assert asked(server, each) is None
        assert "encoding.js" not in server.get(f"/recordings/{each.id}").text


def test_line_on_the_first_page_only_when_it_matters(archive: Archive, server: Server) -> None:
    def line() -> str:
        status = server.get("/api/status").json
        text = " · ".join(status["words"]["details"])
        assert text in server.get("/").text
        return text

    publish_station(archive.settings, phase="ready", order=None)
    assert line() == "camera ok"
    publish(archive)
    assert line() == "camera ok · encoding SO-9, 45 %, 3 wait"
    hashing = {"job": "fingerprint", "recording_id": "x", "order": "SO-9", "percent": 4}
    publish(archive, doing=hashing)
    assert line() == "camera ok · 4 wait to be encoded"
    publish(archive, doing=hashing, waiting={"fingerprint": 70, "transcode": 0})
    assert line() == "camera ok"
    publish(archive, doing=None, waiting={}, failing=1)
    assert "could be finished" in line()
    archive.settings.status_file.unlink()
    publish(archive)
    assert "encoding SO-9, 45 %, 3 wait" in line()


@pytest.mark.parametrize("broken", ["{}", "[]", "null", '{"monotonic_ns": 1}', "x" * 10])
def test_a_broken_file_breaks_no_page(
    archive: Archive, server: Server, deferred: NewRecording, broken: str
) -> None:
    publish(archive)
    archive.settings.finisher_file.write_text(broken)
    assert server.get("/").status == server.get(f"/recordings/{deferred.id}").status == 200
    assert server.get("/api/status").json["finisher"] is None
    assert server.get("/metrics").status == 200


@pytest.mark.parametrize("junk", [None, 3, "text", [], {}, [[]], {"transcode": []}])
def test_a_file_of_another_version_breaks_no_page(
    archive: Archive, server: Server, deferred: NewRecording, junk: object
) -> None:
    publish(archive, **dict.fromkeys(FINISHER, junk))
    assert server.get("/").status == server.get(f"/recordings/{deferred.id}").status == 200
    assert server.get("/metrics").status == 200


def test_status_has_just_the_described_fields(archive: Archive, server: Server) -> None:
    document = publish(archive)
    chores = Chores(archive.catalogue)
    chores.failed(archive.save("SO-1").id, "transcode", "It failed", "Mend it", datetime.now(UTC))
    status = server.get("/api/status").json
    schema = description("")["paths"]["/api/status"]["get"]["responses"]["200"]
    described = schema["content"]["application/json"]["schema"]["properties"]["finisher"]
    assert set(status["finisher"]) == set(described["properties"]) == set(FINISHER)
    assert set(status["finisher"]["doing"]) == set(described["properties"]["doing"]["properties"])
    assert status["finisher"].items() <= document.items()


def test_figures_of_the_finisher(archive: Archive, server: Server, tmp_path: Path) -> None:
    assert read(exposition(None, None, QUIET))["finisher_up"] == 0
    found = read(exposition(None, None, QUIET, publish(archive, done={"transcode": 2}, failing=1)))
    assert found["finisher_up"] == 1
    assert found["finisher_waiting{job=transcode}"] == 4
    assert found["finisher_waiting{job=fingerprint}"] == 7
    assert found["finisher_done_total{job=transcode}"] == 2
    assert found["finisher_failing"] == 1
    assert found["finisher_progress_ratio{job=transcode}"] == 0.45
    assert read(server.get("/metrics").text)["finisher_up"] == 1
    idle = read(exposition(None, None, QUIET, publish(archive, doing=None)))
    assert not any(name.startswith("finisher_progress") for name in idle)
    publish(archive, monotonic_ns=time.monotonic_ns() - 60 * 10**9)
    assert read(server.get("/metrics").text)["finisher_up"] == 0
