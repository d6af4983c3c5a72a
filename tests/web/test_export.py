"""The button that hands an order on, with all that proves it."""

from __future__ import annotations

import io
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest

from recorderd.core.model import RecordingId
from recorderd.finisher.run import Finisher
from recorderd.store.catalogue import NewRecording
from recorderd.store.footage import prepare
from recorderd.store.visits import take_in

from .archive import HOSTILE, Archive, video
from .serving import Server


@pytest.fixture
def sealed(archive: Archive) -> NewRecording:
    """A second take of an order; both are sealed."""
    archive.catalogue.set_footage_id(prepare(archive.settings, None))
    archive.save(HOSTILE, content=video(2))
    again = archive.save(HOSTILE, after=60, content=video(3))
    Finisher(archive.settings, threading.Event()).look()
    return again


def test_it_proves_itself(sealed: NewRecording, server: Server, tmp_path: Path) -> None:
    answer = server.get(f"/recordings/{sealed.id}/export")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/zip"
    assert int(answer.headers["Content-Length"]) == len(answer.body)
    name = answer.headers["Content-Disposition"]
    assert name.endswith('-proof.zip"')
    assert "\n" not in name
    with zipfile.ZipFile(io.BytesIO(answer.body)) as packed:
        assert packed.testzip() is None
        packed.extractall(tmp_path / "proof")
    videos = sorted((tmp_path / "proof/videos").iterdir())
    assert [path.read_bytes() for path in videos] == [video(2), video(3)]
    verifier = [sys.executable, "-I", "-S", str(tmp_path / "proof/verify.py")]
    assert subprocess.run(verifier, capture_output=True, timeout=60).returncode == 0


def test_any_part_of_it_is_the_same_part(sealed: NewRecording, server: Server) -> None:
    path = f"/recordings/{sealed.id}/export"
    whole = server.get(path)
    size = len(whole.body)
    for start, end in ((0, 0), (3, size // 2), (size // 3, size - 1), (size - 5, size - 1)):
        answer = server.get(
            path, {"Range": f"bytes={start}-{end}", "If-Range": whole.headers["ETag"]}
        )
        assert answer.status == 206
        assert answer.body == whole.body[start : end + 1]
    head = server.get(path, method="HEAD")
    assert (head.headers["Content-Length"], head.body) == (str(size), b"")
    assert server.get(path, {"If-None-Match": whole.headers["ETag"]}).status == 304


def test_another_content_has_another_etag(
    archive: Archive, sealed: NewRecording, server: Server
) -> None:
    path = f"/recordings/{sealed.id}/export"
    before = server.get(path).headers["ETag"]
    archive.catalogue.flag(RecordingId(sealed.id))
    assert server.get(path).headers["ETag"] != before


def test_each_video_that_leaves_is_written_down(
    archive: Archive, sealed: NewRecording, server: Server
) -> None:
    path = f"/recordings/{sealed.id}/export"
    server.get(path, method="HEAD")
    server.get(path)
    server.get(path, {"Range": "bytes=100-"})
    take_in(archive.settings.visits_file, archive.catalogue)
    with archive.catalogue.transaction() as tables:
        events = [event.event for event in tables.events.select()]
    assert events == ["export", "export"]


def test_the_page_offers_it_once_it_is_sealed(
    archive: Archive, sealed: NewRecording, server: Server
) -> None:
    assert f"/recordings/{sealed.id}/export" in server.get(f"/recordings/{sealed.id}").text
    fresh = archive.save("SO-2")
    assert "/export" not in server.get(f"/recordings/{fresh.id}").text
    answer = server.get(f"/recordings/{fresh.id}/export")
    assert answer.status == 409
    assert "it is not sealed yet" in answer.text


def test_a_video_of_another_size_is_refused(
    archive: Archive, sealed: NewRecording, server: Server
) -> None:
    archive.path(sealed).write_bytes(b"cut off")
    answer = server.get(f"/recordings/{sealed.id}/export")
    assert answer.status == 409
    assert "another size than it was sealed with" in answer.text


def test_a_video_that_is_gone_is_left_out(
    archive: Archive, sealed: NewRecording, server: Server
) -> None:
    archive.path(sealed).unlink()
    with zipfile.ZipFile(io.BytesIO(server.get(f"/recordings/{sealed.id}/export").body)) as packed:
        assert b"not on this machine" in packed.read("summary.html")
        assert len([name for name in packed.namelist() if name.startswith("videos/")]) == 1


def test_there_is_no_such_recording(server: Server, sealed: NewRecording) -> None:
    assert server.get("/recordings/x/export").status == 404
