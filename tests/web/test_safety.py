"""Strangers, tricks and floods are refused, and nothing is given away."""

from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path

import pytest

from recorderd.settings import Settings, WebSettings
from recorderd.store.database import CatalogueTooSlowError, CatalogueUnavailableError
from recorderd.web.guard import Allowance, Guard, address_of, neighbourhood

from .archive import HOSTILE, Archive, settings_in
from .serving import Server

SECURITY = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
}


def guard(**web: object) -> Guard:
    return Guard(replace(WebSettings(), **web), machine_name="packing-1")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("address", "admitted"),
    [
        ("127.0.0.1", True),
        ("192.168.1.7", True),
        ("10.0.0.1", True),
        ("172.31.255.255", True),
        ("::ffff:192.168.1.7", True),
        ("fe80::1%eth0", True),
        ("172.32.0.1", False),
        ("8.8.8.8", False),
        ("::ffff:8.8.8.8", False),
        ("2001:db8::1", False),
    ],
)
def test_private_networks_only(address: str, admitted: bool) -> None:
    read = address_of(address)
    assert read is not None
    assert guard().admits(read) is admitted


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("192.168.1.9", ["8.8.8.8"], "192.168.1.9"),
        ("10.0.0.2", [], "10.0.0.2"),
        ("10.0.0.2", ["8.8.8.8"], "8.8.8.8"),
        ("10.0.0.2", ["192.168.1.1, 8.8.8.8"], "8.8.8.8"),
        ("10.0.0.2", ["8.8.8.8, 10.0.0.2"], "8.8.8.8"),
        ("10.0.0.2", ["192.168.1.1", "8.8.8.8"], "8.8.8.8"),
        ("10.0.0.2", ["nonsense"], "None"),
        ("10.0.0.2", ["192.168.1.1,"], "None"),
    ],
)
def test_only_a_trusted_proxy_may_say_for_whom_it_asks(
    peer: str, forwarded: list[str], client: str
) -> None:
    assert str(guard(trusted_proxies=("10.0.0.2",)).client(peer, forwarded)) == client


@pytest.mark.parametrize(
    ("peer", "forwarded", "https"),
    [
        ("10.0.0.2", "https", True),
        ("::ffff:10.0.0.2", "HTTPS", True),
        ("10.0.0.2", "https, http", True),
        ("10.0.0.2", "http, https", False),
        ("10.0.0.2", "", False),
        ("10.0.0.3", "https", False),
    ],
)
def test_only_a_trusted_proxy_may_say_how_it_was_asked(
    peer: str, forwarded: str, https: bool
) -> None:
    assert guard(trusted_proxies=("10.0.0.2",)).is_https(peer, forwarded) is https


@pytest.mark.parametrize(
    ("host", "known"),
    [
        ("192.168.1.5:8080", True),
        ("[fe80::1]:8080", True),
        ("localhost:8080", True),
        ("packing-1", True),
        ("packing-1.local", True),
        ("videos.example.com", True),
        ("VIDEOS.example.com.:443", True),
        ("evil.example", False),
        ("localhost.evil.example", False),
        ("evil.example#.local", False),
        ("a b", False),
        ("", False),
    ],
)
def test_only_under_its_own_names(host: str, known: bool) -> None:
    assert guard(host_names=("videos.example.com",)).knows_name(host) is known


def test_a_flood_is_refused_and_forgiven() -> None:
    now = [0.0]
    allowance = Allowance(5, lambda: now[0])
    one, other = address_of("10.0.0.1"), address_of("10.0.0.2")
    assert one is not None
    assert other is not None
    assert [allowance.take(str(one)) for _ in range(25)].count(True) == 20
    assert allowance.take(str(other))
    now[0] = 1.0
    assert [allowance.take(str(one)) for _ in range(10)].count(True) == 5


def test_the_addresses_of_one_machine_count_as_one_client() -> None:
    def client(text: str) -> str:
        address = address_of(text)
        assert address is not None
        return neighbourhood(address)

    assert client("2001:db8::1") == client("2001:db8::ffff:1")
    assert client("2001:db8:0:1::1") != client("2001:db8::1")
    assert client("10.0.0.1") != client("10.0.0.2")
    assert client("::ffff:10.0.0.1") == client("10.0.0.1")


def test_strangers_that_flood_are_no_longer_answered_one_by_one(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, allowed_networks=("10.0.0.0/8",))
    web = replace(settings.web, requests_per_second=1.0)
    server = Server(replace(settings, web=web))
    try:
        statuses = [server.get("/").status for _ in range(6)]
        assert statuses == [403] * 4 + [429] * 2
    finally:
        server.close()


def test_a_stranger_sees_nothing(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, allowed_networks=("10.0.0.0/8",))
    archive = Archive(settings)
    new = archive.save("SO-1")
    server = Server(settings)
    try:
        for path in ("/", f"/recordings/{new.id}/video", "/api/recordings", "/metrics", "/x"):
            answer = server.get(path, {"X-Forwarded-For": "10.0.0.1"})
            assert answer.status == 403
            assert b"SO-1" not in answer.body
    finally:
        server.close()
        archive.catalogue.close()


def test_a_flood_of_requests_is_answered_with_429(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    settings = replace(settings, web=replace(settings.web, requests_per_second=1.0))
    server = Server(settings)
    try:
        answers = [server.get("/healthz") for _ in range(20)]
        refused = [answer for answer in answers if answer.status == 429]
        assert len(refused) >= 15
        assert refused[0].headers["Retry-After"] == "1"
    finally:
        server.close()


def test_a_name_that_is_not_ours_is_refused(server: Server) -> None:
    answer = server.get("/", {"Host": "evil.example"})
    assert answer.status == 421
    assert "evil.example" not in answer.text


@pytest.mark.parametrize("path", ["/", "/nowhere", "/recordings/x", "/api/recordings", "/metrics"])
def test_every_answer_is_armoured(archive: Archive, server: Server, path: str) -> None:
    archive.save(HOSTILE)
    headers = server.get(path).headers
    assert {name: headers[name] for name in SECURITY} == SECURITY
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["Server"] == "recorderd"
    assert "X-Evil" not in headers


def test_pages_hold_no_script_of_their_own_and_nothing_from_elsewhere(
    archive: Archive, server: Server
) -> None:
    new = archive.save("SO-1")
    for path in ("/", f"/recordings/{new.id}", "/nowhere"):
        text = server.get(path).text
        assert "style=" not in text
        assert "onclick" not in text
        assert "//" not in text.replace("<!doctype html>", "")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/?q=" + "x" * 600, 400),
        ("/?q=" + "x" * 3000, 400),
        ("/?q=" + "%F0%9F%93%A6" * 512, 200),
        ("/?q=" + "x" * 20_000, 414),
        ("/?q=" + "x" * 100_000, 400),
        ("/?cursor=1%20OR%201", 400),
        ("/?cursor=99999999999999999999.00000000-0000-0000-0000-000000000000", 400),
        ("/?from=yesterday", 400),
        ("/?from=0001-01-01&to=9999-12-31", 400),
        ("/?state=x", 400),
        ("/api/recordings?limit=0", 400),
        ("/api/recordings?limit=1000", 400),
        ("/static/../app.py", 404),
        ("/static/%2e%2e%2fapp.py", 404),
        ("//etc/passwd", 404),
        ("/?q=%00%ff%ed%a0%80", 200),
        ("/?from=2026-07-04T10:00:00Z&to=2026-07-04T12:00:00%2B02:00", 200),
    ],
)
def test_odd_requests_get_a_clear_no(server: Server, path: str, status: int) -> None:
    answer = server.get(path)
    assert answer.status == status
    assert b"Traceback" not in answer.body
    assert b"/site-packages/" not in answer.body


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "TRACE", "PATCH", "OPTIONS"])
def test_nothing_can_be_changed(archive: Archive, server: Server, method: str) -> None:
    new = archive.save("SO-1")
    assert server.get(f"/recordings/{new.id}", method=method).status == 405


def test_a_huge_body_is_not_read(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), 10) as connection:
        connection.sendall(
            b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\nxxx"
        )
        assert connection.recv(100).startswith(b"HTTP/1.1 405 ")


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 20_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET / HTTP/1.1\nHost : localhost\n\n",
    ],
)
def test_what_is_no_request_is_refused(server: Server, request_bytes: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port), 10) as connection:
        connection.sendall(request_bytes)
        assert connection.recv(100).split(b" ")[1] == b"400"
    assert server.get("/healthz").status == 200


def test_a_proxy_may_show_the_pages_under_a_path(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, path_prefix="/packing/videos")
    archive = Archive(settings)
    new = archive.save("SO-1")
    server = Server(settings)
    try:
        text = server.get("/packing/videos/").text
        assert f'href="/packing/videos/recordings/{new.id}"' in text
        assert 'action="/packing/videos/"' in text
        assert 'href="/packing/videos/static/style.css' in text
        answer = server.get("/packing/videos/?q=SO-1")
        assert answer.headers["Location"] == f"/packing/videos/recordings/{new.id}"
        assert server.get("/packing/videos").headers["Location"] == "/packing/videos/"
        video = server.get(f"/packing/videos/api/recordings/{new.id}").json["links"]["video"]
        assert server.get(video).status == 200
        missing = server.get("/packing/videos/api/nothing")
        assert missing.headers["Content-Type"].startswith("application/problem+json")
        # A proxy that takes the path off: links are the same.
        assert server.get("/").text == text
        assert server.get("/?q=SO-1").headers["Location"] == answer.headers["Location"]
        assert server.get("/packing/videosx/").status == 404
        assert server.get("/packing/").status == 404
    finally:
        server.close()
        archive.catalogue.close()


def test_a_catalogue_that_cannot_be_read_is_said_without_details(settings: Settings) -> None:
    server = Server(settings)
    try:
        for path in ("/", "/recordings/01a208f0-c82d-7278-a6cc-54bfb6d5481e", "/healthz"):
            answer = server.get(path)
            assert answer.status == 503
            assert "Retry-After" in answer.headers
            assert str(settings.state_folder) not in answer.text
        assert server.get("/metrics").status == 200
    finally:
        server.close()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            CatalogueTooSlowError("It took too long", "Ask for less"),
            "give more of the order number",
        ),
        (CatalogueUnavailableError("It is locked", "Close it"), "tell the technician"),
    ],
)
def test_a_catalogue_that_is_away_is_not_called_a_search_for_too_much(
    archive: Archive,
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    error: CatalogueUnavailableError,
    words: str,
) -> None:
    def failing(*_: object) -> None:
        raise error

    monkeypatch.setattr("recorderd.web.pages.search", failing)
    answer = server.get("/")
    assert (answer.status, words in answer.text) == (503, True)
    assert "Retry-After" in answer.headers
    assert error.problem not in answer.text


def test_a_catalogue_of_a_newer_program_is_not_touched(archive: Archive, server: Server) -> None:
    with archive.catalogue.transaction() as tables:
        tables.meta.update(value="99").where(tables.meta.key == "schema_version").execute()
    assert server.get("/").status == 503
