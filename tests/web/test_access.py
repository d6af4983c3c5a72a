"""The optional password, and links for customers."""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest

from recorderd.store.identity import new_recording_id
from recorderd.web import password
from recorderd.web.keys import Signer
from recorderd.web.password import fits, hash_password

from .archive import Archive, settings_in
from .serving import Answer, Server

PASSWORD = "Päckchen: 1, 2, 3"  # noqa: S105


def basic(password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"any:{password}".encode()).decode()}


def login(server: Server, password: str, to: str = "/") -> Answer:
    return server.get(
        "/login",
        {"Content-Type": "application/x-www-form-urlencoded"},
        "POST",
        body=f"password={quote(password)}&to={quote(to)}",
    )


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[tuple[Archive, Server]]:
    archive = Archive(settings_in(tmp_path, password_hash=hash_password(PASSWORD), share_days=7))
    server = Server(archive.settings)
    yield archive, server
    server.close()
    archive.catalogue.close()


def test_a_hash_fits_its_password_alone() -> None:
    hashed = hash_password(PASSWORD)
    assert PASSWORD not in hashed
    assert hashed != hash_password(PASSWORD)
    assert fits(PASSWORD, hashed)
    assert not fits(PASSWORD + " ", hashed)


def test_nothing_is_shown_without_the_password(locked: tuple[Archive, Server]) -> None:
    archive, server = locked
    new = archive.save("SO-1")
    for path in ("/", "/?q=SO-1", f"/recordings/{new.id}", f"/recordings/{new.id}/label.jpg"):
        answer = server.get(path)
        assert answer.status == 303
        assert answer.headers["Location"].startswith("/login?to=/")
    assert "q=a%26list=1" in server.get("/?q=a&list=1").headers["Location"].replace("%3D", "=")
    for path in ("/api/recordings", "/api/status", "/metrics", f"/recordings/{new.id}/video"):
        answer = server.get(path)
        assert (answer.status, "SO-1" in answer.text) == (401, False)
        assert answer.headers["WWW-Authenticate"].startswith("Basic ")


def test_the_password_opens(locked: tuple[Archive, Server]) -> None:
    _, server = locked
    answer = login(server, PASSWORD, "/?q=SO-1&list=1")
    assert (answer.status, answer.headers["Location"]) == (303, "/?q=SO-1&list=1")
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    session = cookie.partition(";")[0]
    forged = session[:-1] + ("y" if session.endswith("x") else "x")
    assert server.get("/", {"Cookie": session}).status == 200
    assert server.get("/api/recordings", basic(PASSWORD)).status == 200
    assert server.get("/", {"Cookie": forged}).status == 303


@pytest.mark.parametrize(
    "to",
    ["https://evil.example/", "//evil.example", "/\\evil.example", "/\t/evil.example",
     "/\n/evil.example", "/\r//evil.example", "\t//evil.example", ""],
)  # fmt: skip
def test_the_login_leads_nowhere_else(locked: tuple[Archive, Server], to: str) -> None:
    _, server = locked
    assert login(server, PASSWORD, to).headers["Location"] == "/"


def test_a_form_that_is_broken_is_refused(locked: tuple[Archive, Server]) -> None:
    _, server = locked
    for kind in ("multipart/form-data", "application/x-www-form-urlencoded; charset=nonsense"):
        answer = server.get("/login", {"Content-Type": kind}, "POST", body="password=x")
        assert answer.status == 400


def test_whether_it_works_may_be_asked_without_the_password(
    locked: tuple[Archive, Server],
) -> None:
    _, server = locked
    assert server.get("/healthz").text == "ok\n"


def test_a_page_that_is_open_is_not_asked_by_the_browser_s_own_window(
    locked: tuple[Archive, Server],
) -> None:
    _, server = locked
    answer = server.get("/api/status", {"X-Requested-With": "recorderd"})
    assert (answer.status, "WWW-Authenticate" in answer.headers) == (401, False)


def test_guessing_from_many_addresses_is_slowed_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(password, "_FREE_ATTEMPTS_OF_ALL", 8)
    monkeypatch.setattr(password, "_ATTEMPTS_OF_ALL_PER_SECOND", 1e-6)
    settings = settings_in(
        tmp_path, password_hash=hash_password(PASSWORD), trusted_proxies=("127.0.0.1/32",)
    )
    Archive(settings).catalogue.close()
    server = Server(settings)
    try:
        statuses = [
            server.get(
                "/api/status", {"X-Forwarded-For": f"10.0.{n}.1", **basic(f"guess {n}")}
            ).status
            for n in range(10)
        ]
        assert statuses == [401] * 8 + [429] * 2
    finally:
        server.close()


def test_guessing_is_slowed_down(locked: tuple[Archive, Server]) -> None:
    _, server = locked
    answers = [login(server, f"guess {n}").status for n in range(5)]
    answers += [server.get("/api/status", basic(f"guess {n}")).status for n in range(5)]
    assert answers[:5] == [403] * 5
    assert answers[-3:] == [429] * 3
    assert login(server, PASSWORD).status == 429


def test_a_new_password_throws_everybody_out(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, password_hash=hash_password("one"))
    Archive(settings).catalogue.close()
    server = Server(settings)
    cookie = login(server, "one").headers["Set-Cookie"].partition(";")[0]
    server.close()
    changed = replace(settings.web, password_hash=hash_password("two"))
    server = Server(replace(settings, web=changed))
    try:
        assert server.get("/", {"Cookie": cookie}).status == 303
    finally:
        server.close()


def test_a_link_shows_one_video_to_a_stranger_and_nothing_else(tmp_path: Path) -> None:
    hashed = hash_password(PASSWORD)
    inside = settings_in(tmp_path, password_hash=hashed, share_days=7)
    archive = Archive(inside)
    new, other = archive.save("SO-1"), archive.save("SO-2")
    server = Server(inside)
    text = server.get(f"/recordings/{new.id}/share", basic(PASSWORD)).text
    server.close()
    found = re.search(r'href="(/shared/[^"]+)"', text)
    assert found is not None
    link = found[1]
    outside = settings_in(
        tmp_path, password_hash=hashed, share_days=7, allowed_networks=("10.0.0.0/8",)
    )
    server = Server(outside)
    try:
        page = server.get(link)
        assert page.status == 200
        assert "SO-1" in page.text
        assert other.id not in page.text
        assert "Label" not in page.text
        assert server.get(f"{link}/video", {"Range": "bytes=0-9"}).status == 206
        assert server.get(f"{link}/video?download").status == 200
        for path in ("/", f"/recordings/{new.id}", f"/recordings/{new.id}/video"):
            assert server.get(path).status == 403
        for path in (f"{link}x", link.replace(new.id, other.id), f"{link}x/video"):
            answer = server.get(path)
            assert (answer.status, "This link has expired" in answer.text) == (404, True)
        assert "by a shared link" in outside.visits_file.read_text()
    finally:
        server.close()
        archive.catalogue.close()


def test_links_are_off_unless_allowed(archive: Archive, server: Server) -> None:
    new = archive.save("SO-1")
    assert server.get(f"/recordings/{new.id}/share").status == 404
    token = Signer(archive.settings.state_folder / "web.key").sign(f"share-{new.id}", 60)
    assert server.get(f"/shared/{token}").status == 404
    assert "customer" not in server.get(f"/recordings/{new.id}").text


def test_what_was_signed_expires_and_cannot_be_changed(tmp_path: Path) -> None:
    file = tmp_path / "web.key"
    signer = Signer(file)
    text = f"share-{new_recording_id()}"
    signed = signer.sign(text, 60)
    assert Signer(file).read(signed) == text
    assert file.stat().st_mode & 0o777 == 0o600
    assert signer.read(signer.sign(text, -1)) is None
    assert Signer(tmp_path / "other.key").read(signed) is None
    later = signed.replace(f".{signed.split('.')[1]}.", f".{int(time.time()) + 9999}.")
    for wrong in (later, signed[:-1], "", ".", "..", "x.9.y", "é.9.é", "x" * 5000):
        assert signer.read(wrong) is None
