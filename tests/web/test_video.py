"""Video over HTTP, as RFC 9110 has it."""

from __future__ import annotations

import email.parser
import http.client
import json
import os
import socket
from contextlib import ExitStack
from email.utils import formatdate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorderd.core.model import RecordingId
from recorderd.store.identity import boot_id
from recorderd.store.visits import take_in
from recorderd.web import sending
from recorderd.web.ranges import Part, parts

from .archive import HOSTILE, Archive, video
from .serving import Server


@pytest.fixture
def content() -> bytes:
    return video()


@pytest.fixture
def path(archive: Archive) -> str:
    return f"/recordings/{archive.save('SO-1').id}/video"


def test_the_whole_file(server: Server, path: str, content: bytes) -> None:
    answer = server.get(path)
    assert (answer.status, answer.body) == (200, content)
    assert answer.headers["Content-Type"] == "video/mp4"
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert "Content-Disposition" not in answer.headers


def test_head_has_the_same_headers_and_no_body(server: Server, path: str) -> None:
    full, head = server.get(path), server.get(path, {"Range": "bytes=0-9"}, "HEAD")
    assert (head.status, head.body) == (200, b"")
    different = {"Date"}
    assert {k: v for k, v in head.headers.items() if k not in different} == {
        k: v for k, v in full.headers.items() if k not in different
    }


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=10-19", 10, 19),
        ("bytes=100-", 100, -1),
        ("bytes=-7", -7, -1),
        ("bytes=-99999999", 0, -1),
        ("bytes=5-99999999", 5, -1),
        ("BYTES = 5-6", 5, 6),
        ("bytes=1-2, 99999999-", 1, 2),
    ],
)
def test_a_part(
    server: Server, path: str, content: bytes, asked: str, first: int, last: int
) -> None:
    answer = server.get(path, {"Range": asked})
    size = len(content)
    start, end = first % size, last % size
    assert answer.status == 206
    assert answer.headers["Content-Range"] == f"bytes {start}-{end}/{size}"
    assert answer.headers["Content-Length"] == str(end - start + 1)
    assert answer.body == content[start : end + 1]


@pytest.mark.parametrize("asked", ["bytes=99999999-", "bytes=-0", "bytes=99999999-,88888888-"])
def test_a_part_that_is_not_there(server: Server, path: str, content: bytes, asked: str) -> None:
    answer = server.get(path, {"Range": asked})
    assert answer.status == 416
    assert answer.headers["Content-Range"] == f"bytes */{len(content)}"


@pytest.mark.parametrize(
    "asked",
    ["bytes=9-3", "bytes=a-b", "bytes=", "bytes=-", "pages=1-2", "bytes 0-1", "bytes=0-,0-",
     "bytes=" + ",".join(f"{n}-{n}" for n in range(17)), "bytes=1-" + "9" * 40],
)  # fmt: skip
def test_what_is_no_range_is_ignored(server: Server, path: str, content: bytes, asked: str) -> None:
    answer = server.get(path, {"Range": asked})
    assert (answer.status, answer.body) == (200, content)


def test_several_parts_in_one_answer(server: Server, path: str, content: bytes) -> None:
    answer = server.get(path, {"Range": "bytes=0-3, 10-11, -5"})
    assert answer.status == 206
    assert len(answer.body) == int(answer.headers["Content-Length"])
    head = f"Content-Type: {answer.headers['Content-Type']}\r\n\r\n".encode()
    message = email.parser.BytesParser().parsebytes(head + answer.body)
    size = len(content)
    payload: Any = message.get_payload()
    got = [(part["Content-Range"], part["Content-Type"]) for part in payload]
    assert got == [
        (f"bytes 0-3/{size}", "video/mp4"),
        (f"bytes 10-11/{size}", "video/mp4"),
        (f"bytes {size - 5}-{size - 1}/{size}", "video/mp4"),
    ]
    for piece in (content[:4], content[10:12], content[-5:]):
        assert b"\r\n\r\n" + piece + b"\r\n--" in answer.body


def test_a_part_only_of_the_file_that_the_client_knows(
    server: Server, path: str, content: bytes
) -> None:
    known = server.get(path, method="HEAD").headers

    def status(if_range: str) -> int:
        return server.get(path, {"Range": "bytes=0-3", "If-Range": if_range}).status

    assert status(known["ETag"]) == 206
    assert status(known["Last-Modified"]) == 206
    assert status('"other"') == 200
    assert status("W/" + known["ETag"]) == 200
    assert status(formatdate(0, usegmt=True)) == 200
    assert status("nonsense") == 200


def test_what_the_client_has_is_not_sent_again(server: Server, path: str) -> None:
    known = server.get(path, method="HEAD").headers
    old, new = formatdate(0, usegmt=True), known["Last-Modified"]

    def status(**headers: str) -> int:
        return server.get(path, {k.replace("_", "-"): v for k, v in headers.items()}).status

    assert status(If_None_Match=known["ETag"]) == 304
    assert status(If_None_Match=f'"x", W/{known["ETag"]}') == 304
    assert status(If_None_Match="*") == 304
    assert status(If_None_Match='"x"', If_Modified_Since=new) == 200
    assert status(If_Modified_Since=new) == 304
    assert status(If_Modified_Since=old) == 200
    assert status(If_Match='"x"') == 412
    assert status(If_Match=known["ETag"]) == 200
    assert status(If_Unmodified_Since=old) == 412
    answer = server.get(path, {"If-None-Match": known["ETag"]})
    assert (answer.body, answer.headers["ETag"]) == (b"", known["ETag"])


def test_another_file_has_another_etag(archive: Archive, server: Server) -> None:
    new = archive.save("SO-1")
    before = server.get(f"/recordings/{new.id}/video").headers["ETag"]
    other = archive.path(new).with_suffix(".new")
    other.write_bytes(archive.path(new).read_bytes())
    other.rename(archive.path(new))
    assert server.get(f"/recordings/{new.id}/video").headers["ETag"] != before


def test_a_download_is_named_after_the_order(archive: Archive, server: Server) -> None:
    def name(order: str) -> str:
        new = archive.save(order)
        answer = server.get(f"/recordings/{new.id}/video?download", method="HEAD")
        return answer.headers["Content-Disposition"]

    assert name("SO-1") == (
        "attachment; filename=\"SO-1 take 1 2026-07-04.mp4\"; "
        "filename*=UTF-8''SO-1%20take%201%202026-07-04.mp4"
    )  # fmt: skip
    assert "UTF-8''M%C3%BCller%20%E7%AE%B1%20take%201" in name("Müller 箱")
    assert "UTF-8''.._.._etc_passwd" not in name("../../etc/passwd")
    hostile = name(HOSTILE)
    assert "\r" not in hostile
    assert "\n" not in hostile
    assert "<" not in hostile


def test_an_order_id_cannot_add_a_header(archive: Archive, server: Server) -> None:
    new = archive.save("SO-1\r\nSet-Cookie: a=b")
    answer = server.get(f"/recordings/{new.id}/video?download")
    assert answer.status == 200
    assert "Set-Cookie" not in answer.headers


def test_pictures(archive: Archive, server: Server) -> None:
    new = archive.save("SO-1")
    for name in ("label.jpg", "thumb.jpg"):
        answer = server.get(f"/recordings/{new.id}/{name}")
        assert (answer.status, answer.headers["Content-Type"]) == (200, "image/jpeg")
        assert answer.body.startswith(b"\xff\xd8")
    archive.path(new).with_suffix(".thumb.jpg").unlink()
    assert server.get(f"/recordings/{new.id}/thumb.jpg").status == 404


@pytest.mark.parametrize("place", ["../../secret.mp4", "link.mp4"])
def test_nothing_outside_the_footage_folder_is_sent(
    archive: Archive, server: Server, place: str
) -> None:
    new = archive.save("SO-1")
    secret = archive.settings.state_folder.parent / "secret.mp4"
    secret.write_bytes(b"secret")
    (archive.settings.footage_folder / "link.mp4").symlink_to(secret)
    with archive.catalogue.transaction() as tables:
        tables.recordings.update(path=place).execute()
    answer = server.get(f"/recordings/{new.id}/video")
    assert (answer.status, b"secret" in answer.body) == (404, False)


def test_a_pipe_in_the_footage_folder_is_not_read(archive: Archive, server: Server) -> None:
    new = archive.save("SO-1")
    archive.path(new).unlink()
    os.mkfifo(archive.path(new))
    assert server.get(f"/recordings/{new.id}/video").status == 404


@pytest.mark.parametrize("asked", ["bytes=1-", "bytes=-99999999", "bytes=5-5"])
def test_no_way_of_asking_goes_unseen(
    archive: Archive, server: Server, path: str, asked: str
) -> None:
    assert server.get(path, {"Range": asked}).status == 206
    assert archive.settings.visits_file.read_text().count('"view"') == 1


def test_a_video_that_is_missing_was_not_viewed(archive: Archive, server: Server) -> None:
    new = archive.save("SO-1")
    archive.path(new).unlink()
    assert server.get(f"/recordings/{new.id}/video").status == 404
    assert not archive.settings.visits_file.exists()


def test_a_disk_that_fails_while_it_sends_ends_the_answer(
    archive: Archive, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What would come instead of the video must not look like its next bytes."""
    new = archive.save("SO-1", content=os.urandom(9_000_000))

    def failing(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(sending, "_read_ahead", failing)
    monkeypatch.setattr(sending, "_is_in_memory", lambda _file, position, _count: position == 0)
    with pytest.raises((http.client.IncompleteRead, ConnectionError)) as caught:
        server.get(f"/recordings/{new.id}/video")
    if isinstance(caught.value, http.client.IncompleteRead):
        assert b"<html" not in caught.value.partial
        assert len(caught.value.partial) <= 4 << 20


def test_a_file_that_the_disk_must_fetch_comes_whole(
    archive: Archive, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = os.urandom(9_000_000)
    new = archive.save("SO-1", content=content)
    monkeypatch.setattr(sending, "_is_in_memory", lambda *_: False)
    assert server.get(f"/recordings/{new.id}/video").body == content


def test_views_and_downloads_reach_the_event_log(archive: Archive, server: Server) -> None:
    new = archive.save("SO-1")
    path = f"/recordings/{new.id}/video"
    for headers in ({}, {"Range": "bytes=0-"}, {"Range": "bytes=100-"}):
        server.get(path, headers)
    server.get(path + "?download")
    server.get(path, method="HEAD")
    written = archive.settings.visits_file.read_text().splitlines()
    assert [json.loads(line)["event"] for line in written] == ["view", "download"]
    with archive.settings.visits_file.open("a") as file:
        file.write('{"at_us": 1, "ev')
    assert take_in(archive.settings.visits_file, archive.catalogue) == 2
    assert take_in(archive.settings.visits_file, archive.catalogue) == 0
    with archive.catalogue.transaction() as tables:
        events = [(e.event, e.detail, e.recording_id) for e in tables.events.select()]
        assert {e.boot_id for e in tables.events.select()} == {boot_id()}
        assert {e.clock for e in tables.events.select()} <= {"synchronised", "unsynchronised"}
    assert events == [("view", "127.0.0.1", new.id), ("download", "127.0.0.1", new.id)]
    assert os.listdir(archive.settings.state_folder).count("visits.taken") == 0  # noqa: PTH208


def test_watching_goes_on_while_the_writer_holds_the_database(
    archive: Archive, server: Server, path: str
) -> None:
    with archive.catalogue.transaction() as tables:
        tables.events.insert(at=0, station="x", event="x", detail="").execute()
        assert server.get(path).status == 200
        assert server.get("/").status == 200


def test_the_writer_goes_on_while_many_download(archive: Archive, server: Server) -> None:
    new = archive.save("SO-1", content=os.urandom(8_000_000))
    address = f"GET /recordings/{new.id}/video HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    with ExitStack() as downloads:
        for _ in range(20):
            client = socket.create_connection(("127.0.0.1", server.port), 10)
            downloads.enter_context(client)
            client.sendall(address)
            # It has begun, and stands still now, for nobody takes the rest.
            assert client.recv(1000)
        archive.catalogue.flag(RecordingId(new.id))
        assert archive.catalogue.knows(RecordingId(new.id))


@given(st.text("bytes=0123456789-, ", max_size=40), st.integers(0, 50))
def test_any_range_header_gives_parts_of_the_file(header: str, size: int) -> None:
    for part in parts(header, size) or []:
        assert 0 <= part.start <= part.end < size


@given(st.integers(1, 100), st.data())
def test_ranges_mean_what_they_say(size: int, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, size - 1))
    end = data.draw(st.integers(start, size + 10))
    assert parts(f"bytes={start}-{end}", size) == [Part(start, min(end, size - 1))]
