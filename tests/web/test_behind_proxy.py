"""The pages behind a reverse proxy: nginx, which keeps the path's prefix or takes it off."""

from __future__ import annotations

import http.client
import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from http.cookies import SimpleCookie
from pathlib import Path
from urllib.parse import quote, unquote

import pytest

from recorderd.web.password import hash_password
from tests.mp4.growing import written

from .archive import Archive, settings_in, video
from .reverse_proxy import INSTALLED, PREFIX, TRUSTED, ReverseProxy
from .serving import Answer, Server

pytestmark = pytest.mark.skipif(not INSTALLED, reason="needs Debian's nginx and openssl")

INSIDE, OUTSIDE = "127.0.0.9", "127.0.0.8"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@dataclass(frozen=True, slots=True)
class Bench:
    """An archive, its server and the proxy before it."""

    archive: Archive
    server: Server
    proxy: ReverseProxy

    def get(self, path: str, headers: dict[str, str] | None = None, **more: object) -> Answer:
        """Ask the proxy for what lies under the prefix."""
        return self.proxy.get(PREFIX + path, headers, **more)  # type: ignore[arg-type]

    def login(self, password: str, to: str, *, tls: bool = False) -> Answer:
        body = f"password={quote(password)}&to={quote(to)}"
        return self.get("/login", FORM, method="POST", body=body, tls=tls)


MakeBench = Callable[..., Bench]


@pytest.fixture(params=["kept", "stripped"])
def behind(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeBench]:
    """Makes the bench with the settings that are asked for."""
    with ExitStack() as ending:

        def make(address: str = TRUSTED, **web: object) -> Bench:
            web = {"path_prefix": PREFIX, "trusted_proxies": (TRUSTED,)} | web
            archive = Archive(settings_in(tmp_path, **web))
            ending.callback(archive.catalogue.close)
            server = Server(archive.settings)
            ending.callback(server.close)
            strips = request.param == "stripped"
            proxy = ReverseProxy(tmp_path / "nginx", server.port, strips=strips, address=address)
            ending.callback(proxy.close)
            return Bench(archive, server, proxy)

        yield make


def links_in(page: str) -> set[str]:
    """All that a browser would load or could be led to."""
    seen = re.sub(r"<[^>]* hidden>", "", page)
    found = set(re.findall(r' (?:href|src|poster|action)="([^"#?]+)', seen))
    assert found
    return found


def test_every_link_leads_to_its_place(behind: MakeBench) -> None:
    bench = behind(share_days=7)
    new = bench.archive.save("SO-1")
    bench.archive.save("SO-1", after=60)
    assert f'data-url="{PREFIX}/api/status"' in bench.get("/").text
    pages = [bench.get(path) for path in ("/", f"/recordings/{new.id}", "/recordings/x")]
    assert [page.status for page in pages] == [200, 200, 404]
    for link in {link for page in pages for link in links_in(page.text)}:
        assert link.startswith(f"{PREFIX}/")
        assert bench.proxy.get(link).status == 200, link
    found = bench.get("/?q=SO-1")
    assert found.headers["Location"].startswith(f"{PREFIX}/recordings/")
    assert bench.proxy.get(found.headers["Location"]).status == 200
    assert bench.proxy.get(PREFIX).headers["Location"].endswith(f"{PREFIX}/")
    described = bench.get("/openapi.json").json
    assert described["servers"] == [{"url": PREFIX}]
    for link in bench.get(f"/api/recordings/{new.id}").json["links"].values():
        assert bench.proxy.get(link).status == 200, link
    assert bench.get("/nowhere").status == 404
    assert bench.get("/api/nowhere").json["status"] == 404
    assert bench.get(f"{PREFIX}{PREFIX}/").status == 404


def test_the_password_is_asked_for_and_leads_back(behind: MakeBench) -> None:
    bench = behind(password_hash=hash_password("one"))
    new = bench.archive.save("SO-1")
    there = f"{PREFIX}/recordings/{new.id}?t=2"
    refused = bench.proxy.get(there)
    assert unquote(refused.headers["Location"]) == f"{PREFIX}/login?to={there}"
    assert bench.get("/metrics").status == bench.get("/api/status").status == 401
    assert f'action="{PREFIX}/login"' in bench.proxy.get(refused.headers["Location"]).text
    entered = bench.login("one", there)
    assert (entered.status, entered.headers["Location"]) == (303, there)
    cookie = SimpleCookie(entered.headers["Set-Cookie"])["recorderd"]
    assert (cookie["path"], cookie["secure"], cookie["httponly"]) == (PREFIX, "", True)
    assert bench.proxy.get(there, {"Cookie": f"recorderd={cookie.value}"}).status == 200
    for elsewhere in ("/", "//evil.example/", f"{PREFIX}x", "https://evil.example", "/%09/evil"):
        assert bench.login("one", elsewhere).headers["Location"] == f"{PREFIX}/"


def test_over_https_the_cookie_never_travels_without(behind: MakeBench) -> None:
    bench = behind(password_hash=hash_password("one"))
    assert bench.get("/login", tls=True).status == 200
    entered = bench.login("one", f"{PREFIX}/", tls=True)
    assert SimpleCookie(entered.headers["Set-Cookie"])["recorderd"]["secure"] is True
    # Somebody who is no proxy says so himself.
    headers = {**FORM, "X-Forwarded-Proto": "https"}
    direct = bench.server.get(f"{PREFIX}/login", headers, "POST", body="password=one&to=")
    assert direct.status == 303
    assert "secure" not in direct.headers["Set-Cookie"].lower()


def test_only_what_the_named_proxy_says_of_a_client_counts(behind: MakeBench) -> None:
    bench = behind(allowed_networks=(f"{INSIDE}/32",))
    new = bench.archive.save("SO-1")
    assert bench.get("/", client=INSIDE).status == 200
    assert bench.get("/", client=OUTSIDE).status == 403
    for claimed in (INSIDE, f"{INSIDE}, {INSIDE}", f"{INSIDE}, {TRUSTED}"):
        spoofed = {"X-Forwarded-For": claimed, "X-Real-IP": INSIDE, "Forwarded": f"for={INSIDE}"}
        assert bench.get("/", spoofed, client=OUTSIDE).status == 403
        assert bench.server.get(f"{PREFIX}/", spoofed).status == 403
    assert bench.get(f"/recordings/{new.id}/video", client=INSIDE).status == 200
    visits = bench.archive.settings.visits_file.read_text()
    assert INSIDE in visits
    assert TRUSTED not in visits


def test_a_proxy_that_is_not_named_is_a_client_like_any_other(behind: MakeBench) -> None:
    bench = behind("127.0.0.4", allowed_networks=(f"{INSIDE}/32",))
    assert bench.get("/", client=INSIDE).status == 403


def test_a_shared_link_opens_one_video_and_no_other_door(behind: MakeBench) -> None:
    bench = behind(
        share_days=7, password_hash=hash_password("one"), allowed_networks=(f"{INSIDE}/32",)
    )
    new, other = bench.archive.save("SO-1"), bench.archive.save("SO-2")
    entered = bench.proxy.get(
        f"{PREFIX}/login", FORM, "POST", body="password=one&to=", client=INSIDE
    )
    cookie = {"Cookie": entered.headers["Set-Cookie"].partition(";")[0]}
    offered = bench.get(f"/recordings/{new.id}/share", cookie, client=INSIDE).text
    (link,) = [link for link in links_in(offered) if "/shared/" in link]
    page = bench.proxy.get(link, client=OUTSIDE)
    assert (page.status, "SO-1" in page.text) == (200, True)
    for inner in links_in(page.text):
        assert bench.proxy.get(inner, client=OUTSIDE).status == 200, inner
    shared = link.removeprefix(PREFIX)
    for path in (
        "/",
        "/metrics",
        "/login",
        f"/recordings/{new.id}/video",
        f"{shared}x",
        shared.replace(new.id, other.id),
        f"{shared}/../../recordings/{other.id}/video",
        f"{shared}/..%2f..%2fmetrics",
        f"/static/../recordings/{other.id}/video",
        "/static/..%2fmetrics",
        f"{PREFIX}/metrics",
        "/shared/../metrics",
    ):
        answer = bench.get(path, client=OUTSIDE)
        assert answer.status in (400, 403, 404), path
        assert b"SO-" not in answer.body
        assert b"recorderd_" not in answer.body


def test_parts_of_a_video(behind: MakeBench) -> None:
    bench = behind()
    new = bench.archive.save("Müller 1")
    place, content = f"/recordings/{new.id}/video", video()
    whole = bench.get(place)
    assert whole.body == content
    etag, modified = whole.headers["ETag"], whole.headers["Last-Modified"]
    for if_range in ({}, {"If-Range": etag}, {"If-Range": modified}):
        part = bench.get(place, {"Range": "bytes=100-199", **if_range})
        assert (part.status, part.body) == (206, content[100:200])
        assert part.headers["Content-Range"] == f"bytes 100-199/{len(content)}"
        assert part.headers["ETag"] == etag
    changed = bench.get(place, {"Range": "bytes=100-199", "If-Range": '"another"'})
    assert (changed.status, changed.body) == (200, content)
    several = bench.get(place, {"Range": "bytes=0-9,20-29"})
    assert several.status == 206
    assert several.headers["Content-Type"].startswith("multipart/byteranges")
    assert content[20:30] in several.body
    assert bench.get(place, {"Range": f"bytes={len(content)}-"}).status == 416
    assert bench.get(place, {"If-None-Match": etag}).status == 304
    head = bench.get(place, method="HEAD")
    assert (head.headers["Content-Length"], head.body) == (str(len(content)), b"")
    download = bench.get(f"{place}?download")
    assert "M%C3%BCller%201" in download.headers["Content-Disposition"]


def test_a_recording_that_runs_is_watched(behind: MakeBench) -> None:
    bench = behind()
    new = bench.archive.begin("SO-1")
    growing = written().growing
    bench.archive.incoming(new).write_bytes(growing[: len(growing) // 2])
    led_to = bench.get(f"/recordings/{new.id}/video").headers["Location"]
    assert led_to.startswith(f"{PREFIX}/recordings/{new.id}/video?until=")
    assert bench.proxy.get(led_to, {"Range": "bytes=0-9"}).status == 206
    page = bench.get(f"/recordings/{new.id}").text
    assert f'src="{led_to}"' in page


def test_a_large_download_is_not_collected_on_the_proxys_disk(behind: MakeBench) -> None:
    """What changes in the file while the client pauses reaches the client: nobody read ahead."""
    bench = behind()
    before, after = os.urandom(1 << 20), os.urandom(1 << 20)
    new = bench.archive.save("SO-1", content=before * 128)
    connection = http.client.HTTPConnection("127.0.0.1", bench.proxy.plain_port, timeout=30)
    connection.request("GET", f"{PREFIX}/recordings/{new.id}/video")
    response = connection.getresponse()
    assert response.read(1 << 20) == before
    # Another client gets it all meanwhile: there was time to read ahead.
    assert len(bench.get(f"/recordings/{new.id}/video").body) == 128 << 20
    with bench.archive.path(new).open("r+b") as file:
        file.seek(64 << 20)
        file.write(after * 64)
    for number in range(1, 128):
        assert response.read(1 << 20) == (before if number < 64 else after), number
    assert response.read() == b""
    connection.close()
