"""The API says what its description says."""

from __future__ import annotations

import gzip
import json
import re
import time
from typing import Any

import pytest

from recorderd.settings import Settings
from recorderd.store.identity import boot_id
from recorderd.web.app import make_app

from .archive import HOSTILE, Archive
from .serving import Server


def publish(settings: Settings, **changes: object) -> None:
    """What a living station would have published just now."""
    document: dict[str, object] = {
        "updated_at": "2026-07-04T12:00:00.000+00:00",
        "monotonic_ns": time.monotonic_ns(),
        "boot_id": boot_id(),
        "pid": 4711,
        "station": "bench-1",
        "phase": "recording",
        "order": "SO-9",
        "signal": "recording",
        "recording_seconds": 12.5,
        "faults": {},
        "camera": {"source": "rtsp://***@cam/1", "codec": "mjpeg", "width": 3840, "height": 2160,
                   "rate": 30.0, "pixel_format": "yuvj422p"},
        "mode": {"mode": "encode", "encoder": "libx264", "reason": "it is quick enough"},
        "disk": {"free_bytes": 105_000_000_000},
        "recordings": [{"id": "x", "order": "SO-9", "part": 1, "stage": "writing"}],
        "counters": {"pictures": 100, "scans": 7},
    }  # fmt: skip
    settings.run_folder.mkdir(parents=True, exist_ok=True)
    settings.status_file.write_text(json.dumps(document | changes))


def test_recordings_page_by_page(archive: Archive, server: Server) -> None:
    made = [archive.begin(f"SO-{n}", after=n).id for n in range(12)]
    seen: list[str] = []
    cursor = ""
    while True:
        page = server.get(f"/api/recordings?q=so-&limit=5&cursor={cursor}").json
        seen += [row["id"] for row in page["recordings"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == made[::-1]


def test_one_recording_with_all_of_its_order(archive: Archive, server: Server) -> None:
    first = archive.save("SO-1")
    second = archive.save("SO-1", after=60)
    document = server.get(f"/api/recordings/{second.id}").json
    assert [row["id"] for row in document["order_recordings"]] == [first.id, second.id]
    assert document["started_at"] == "2026-07-04T12:01:00.123456+00:00"
    assert server.get(document["links"]["download"]).status == 200
    assert [row["id"] for row in server.get("/api/recordings?order=SO-1").json["recordings"]] == [
        second.id,
        first.id,
    ]


def test_a_hostile_label_comes_back_exactly(archive: Archive, server: Server) -> None:
    new = archive.save("SO-1", HOSTILE + "\0\ud800")
    assert server.get(f"/api/recordings/{new.id}").json["label_text"] == HOSTILE + "\0\ud800"
    assert server.get(f"/recordings/{new.id}").status == 200


def test_problems_are_problem_json(server: Server) -> None:
    answer = server.get("/api/recordings/x")
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    assert answer.json["status"] == answer.status == 404
    assert set(answer.json) == {"type", "title", "status", "detail"}
    assert server.get("/nowhere", {"Accept": "application/json"}).json["status"] == 404


def test_the_description_names_every_route(settings: Settings) -> None:
    app = make_app(settings)
    routes = {route.resource.canonical for route in app.router.routes() if route.resource}
    pages = {
        "/",
        "/recordings/{id}",
        "/recordings/{id}/share",
        "/recordings/{id}/hold",
        "/setup",
        "/setup/picture.jpg",
        "/setup/view",
        "/setup/zone",
        "/shared/{token}",
        "/shared/{token}/video",
        "/login",
        "/static/{name}",
        "/openapi.json",
    }
    server_description = description_of(settings)
    assert set(server_description["paths"]) == routes - pages


def description_of(settings: Settings) -> dict[str, Any]:
    from recorderd.web.schema import description

    return description(settings.web.path_prefix)


def test_answers_have_just_the_described_fields(archive: Archive, server: Server) -> None:
    description = server.get("/openapi.json").json
    described = description["components"]["schemas"]["Recording"]
    archive.save("SO-1")
    archive.begin("SO-2")
    kinds: dict[str, type | tuple[type, ...]] = {
        "string": str,
        "integer": int,
        "boolean": bool,
        "object": dict,
        "null": type(None),
    }
    for row in server.get("/api/recordings").json["recordings"]:
        assert set(row) == set(described["properties"]) == set(described["required"])
        for name, value in row.items():
            allowed = described["properties"][name]["type"]
            allowed = allowed if isinstance(allowed, list) else [allowed]
            assert any(isinstance(value, kinds[kind]) for kind in allowed), name


def test_status_in_figures_and_words(archive: Archive, server: Server) -> None:
    archive.save("SO-1", content=bytes(50_000_000))
    publish(archive.settings)
    status = server.get("/api/status").json
    assert status["running"] is True
    assert status["orders_left"] == 2000
    assert status["words"]["headline"] == "bench-1 is recording SO-9"
    assert status["words"]["details"] == ["camera ok", "about 2,000 orders of space left"]
    assert "rtsp" not in json.dumps(status)
    assert "pid" not in status
    assert "bench-1 is recording SO-9" in server.get("/").text


def test_faults_are_shown(archive: Archive, server: Server) -> None:
    publish(archive.settings, phase="ready", order=None, faults={"camera": "<b>unplugged</b>"})
    text = server.get("/").text
    assert "&lt;b&gt;unplugged" in text
    assert "camera ok" not in text


@pytest.mark.parametrize("broken", ["{}", "[]", "null", '{"monotonic_ns": 1}', "x" * 10])
def test_a_broken_status_does_not_break_the_page(
    archive: Archive, server: Server, broken: str
) -> None:
    publish(archive.settings)
    archive.settings.status_file.write_text(broken)
    assert server.get("/").status == 200
    assert server.get("/api/status").json["running"] is False


def test_text_is_compressed_and_files_are_kept(archive: Archive, server: Server) -> None:
    archive.save("SO-1")
    packed = server.get("/", {"Accept-Encoding": "gzip, br"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert packed.headers["Vary"] == "Accept-Encoding"
    assert b"SO-1" in gzip.decompress(packed.body)
    style = re.search(r'href="(/static/style.css\?v=\w+)"', server.get("/").text)
    assert style is not None
    answer = server.get(style[1])
    assert "immutable" in answer.headers["Cache-Control"]
    assert server.get(style[1], {"If-None-Match": answer.headers["ETag"]}).status == 304
    assert server.get("/static/style.css").headers["Cache-Control"] == "no-cache"
    assert server.get("/healthz").text == "ok\n"
