"""The page /setup: what it shows, and that a zone is saved by a page of ours only."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlencode

import pytest

from recorderd.aim.live import CodeInView, LiveOutlet, View
from recorderd.aim.zone import ZoneInForce
from recorderd.core.rules import Zone
from recorderd.settings import Settings
from recorderd.web.password import hash_password

from .archive import HOSTILE, Archive, picture, settings_in
from .serving import Answer, Server

WRONG = "x.1.y"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
ZONE = {"left": "10", "top": "20.5", "right": "90", "bottom": "80"}
CORNERS = ((0.4, 0.4), (0.6, 0.4), (0.6, 0.6), (0.4, 0.6))
LABEL = CodeInView("SO-4711", CORNERS, 6.2, "SO-4711", True)
SEEN = View(0, 3840, 2160, 0.72, 0.45, 0.0, 0.01, (LABEL,), picture())


class FakeEngine:
    """Shows one view again and again, as young as the engine's, to whoever asks."""

    def __init__(self, settings: Settings) -> None:
        self.seen = SEEN
        self._outlet = LiveOutlet(settings.run_folder)
        self._outlet.open()
        self._leaving = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._leaving.wait(0.01):
            if self._outlet.asked():
                self._outlet.publish(replace(self.seen, monotonic_ns=time.monotonic_ns()))

    def close(self) -> None:
        self._leaving.set()
        self._thread.join(10)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_in(tmp_path, setup=True)


@pytest.fixture
def engine(archive: Archive) -> Iterator[FakeEngine]:
    running = FakeEngine(archive.settings)
    yield running
    running.close()


def token(server: Server) -> str:
    found = re.search(r'name="token" value="([^"]+)"', server.get("/setup").text)
    assert found
    return found[1]


def send(server: Server, headers: Mapping[str, str] | None = None, **fields: str) -> Answer:
    form = {**ZONE, **fields}
    if "token" not in form:
        form["token"] = token(server)
    ours = {"Origin": server.url} if headers is None else headers
    return server.get("/setup/zone", {**FORM, **ours}, "POST", urlencode(form))


def in_force(archive: Archive) -> Zone | None:
    return ZoneInForce(archive.settings, environment={}).look()


def test_the_page_says_what_is_seen(engine: FakeEngine, server: Server) -> None:
    page = server.get("/setup").text
    for words in ("sharp", "good light", "order SO-4711, 6.2 pixels a module: good margin"):
        assert words in page
    # Without JavaScript it comes again by itself, but not under the fingers of whoever writes.
    assert '<noscript><meta http-equiv="refresh"' in page
    assert "http-equiv" not in server.get("/setup?edit").text


def test_the_script_gets_the_same(engine: FakeEngine, server: Server) -> None:
    server.get("/setup")
    view = server.get("/setup/view").json
    assert view["focus"] == 0.72
    assert view["focus_words"] == "sharp"
    (code,) = view["codes"]
    assert code["good"] is True
    assert [tuple(corner) for corner in code["corners"]] == list(CORNERS)


def test_the_picture(engine: FakeEngine, server: Server) -> None:
    answer = server.get("/setup/picture.jpg")
    assert answer.headers["Content-Type"] == "image/jpeg"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.body == picture()


def test_a_hostile_label_is_only_text(engine: FakeEngine, server: Server) -> None:
    engine.seen = replace(SEEN, codes=(replace(LABEL, text=HOSTILE, order=HOSTILE),))
    page = server.get("/setup").text
    assert "<script>document" not in page
    assert "&lt;script&gt;document" in page


def test_without_a_station_it_says_so(archive: Archive, server: Server) -> None:
    answer = server.get("/setup")
    assert answer.status == 200
    assert "The station is not running" in answer.text
    assert "is not running" in server.get("/setup/view").json["problem"]
    assert server.get("/setup/picture.jpg").status == 503


def test_a_zone_is_saved_and_shown(archive: Archive, engine: FakeEngine, server: Server) -> None:
    answer = send(server)
    assert (answer.status, answer.headers["Location"]) == (303, "/setup?saved")
    assert in_force(archive) == (0.1, 0.205, 0.9, 0.8)
    page = server.get("/setup?saved").text
    assert "zone = [0.1, 0.205, 0.9, 0.8]" in page
    assert 'name="top" min="0" max="100" step="0.1" value="20.5"' in page
    assert "Saved." in page
    send(server, whole="1")
    assert in_force(archive) is None


def test_all_of_the_picture_is_no_zone(archive: Archive, server: Server) -> None:
    send(server, left="0", top="0", right="100", bottom="100")
    assert in_force(archive) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"left": "95"},
        {"top": "-1"},
        {"right": "101"},
        {"bottom": ""},
        {"left": "nan"},
        {"right": "1e999"},
        {"left": "zehn"},
    ],
)
def test_what_is_no_zone_is_refused(
    archive: Archive, server: Server, wrong: Mapping[str, str]
) -> None:
    assert send(server, None, **wrong).status == 400
    assert not archive.settings.drawn_zone_file.exists()


def test_no_other_web_site_can_send_it(archive: Archive, server: Server) -> None:
    for headers in ({"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {}):
        assert send(server, headers).status == 403
    assert send(server, token=WRONG).status == 403
    assert not archive.settings.drawn_zone_file.exists()


def test_it_is_refused_unless_allowed(tmp_path: Path) -> None:
    archive = Archive(settings_in(tmp_path))
    server = Server(archive.settings)
    try:
        page = server.get("/setup").text
        assert "web.setup" in page
        assert "token" not in page
        assert send(server, token=WRONG).status == 404
    finally:
        server.close()
        archive.catalogue.close()
    assert not archive.settings.drawn_zone_file.exists()


def test_what_the_environment_says_cannot_be_drawn(
    archive: Archive, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = token(server)
    monkeypatch.setenv("RECORDERD__LABELS__ZONE", "[]")
    assert "environment" in server.get("/setup").text
    assert send(server, token=given).status == 404


def test_a_full_disk_is_told(
    archive: Archive, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("recorderd.aim.zone.save", full)
    answer = send(server)
    assert answer.status == 503
    assert "The zone could not be saved" in answer.text


def test_behind_the_password_like_all_pages(tmp_path: Path) -> None:
    archive = Archive(settings_in(tmp_path, setup=True, password_hash=hash_password("one")))
    server = Server(archive.settings)
    try:
        assert server.get("/setup").headers["Location"] == "/login?to=/setup"
        assert server.get("/setup/picture.jpg").status == 303
        # The script must learn that it is locked out, not get the login page.
        assert server.get("/setup/view", {"X-Requested-With": "recorderd"}).status == 401
        assert send(server, token=WRONG).status == 303
    finally:
        server.close()
        archive.catalogue.close()
