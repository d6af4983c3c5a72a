"""Holding an order from its page: who may, what is promised, and that nobody else can do it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlencode

import pytest

from recorderd.core.retention import Reason
from recorderd.store import footage, holds
from recorderd.store.catalogue import NewRecording
from recorderd.store.removal import Removal
from recorderd.web.password import hash_password

from .archive import HOSTILE, Archive, settings_in
from .serving import Answer, Server

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
WRONG = "x"
KEPT = "This order is being kept"


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    made = Archive(settings_in(tmp_path, holding=True))
    yield made
    made.catalogue.close()


def token(server: Server, new: NewRecording) -> str:
    found = re.search(r'name="token" value="([^"]+)"', server.get(f"/recordings/{new.id}").text)
    assert found
    return found[1]


def send(
    server: Server,
    new: NewRecording,
    headers: Mapping[str, str] | None = None,
    fields: Mapping[str, str] | None = None,
    **more: str,
) -> Answer:
    form = {
        "action": "hold",
        "who": "Anna",
        "reason": "empty",
        **(fields or {}),
        **more,
    }
    if "token" not in form:
        form["token"] = token(server, new)
    ours = {"Origin": server.url} if headers is None else headers
    return server.get(f"/recordings/{new.id}/hold", {**FORM, **ours}, "POST", urlencode(form))


def take_in(archive: Archive) -> int:
    return holds.take_in(archive.settings, archive.catalogue)


def test_kept_from_the_first_moment_and_released(archive: Archive, server: Server) -> None:
    new, other_take = archive.save("SO-1"), archive.save("SO-1", after=60)
    page = f"/recordings/{new.id}"
    assert KEPT not in server.get(page).text
    answer = send(server, new)
    assert (answer.status, answer.headers["Location"]) == (303, f"{page}#hold")
    for _ in range(2):
        for each in (new, other_take):
            shown = server.get(f"/recordings/{each.id}").text
            assert KEPT in shown
            assert "by Anna (127.0.0.1): empty" in shown
        take_in(archive)
    assert archive.catalogue.unfinished() == []
    assert send(server, new, action="release", reason="settled").status == 303
    assert KEPT not in server.get(page).text
    assert take_in(archive) == 1
    assert KEPT not in server.get(page).text


def test_turned_off_by_default(tmp_path: Path) -> None:
    archive = Archive(settings_in(tmp_path))
    server = Server(archive.settings)
    new = archive.save("SO-1")
    request = holds.HoldRequest.now(holds.HoldAction.HOLD, "SO-1", "ben on packing-1", "a question")
    holds.change(archive.catalogue, request)
    page = server.get(f"/recordings/{new.id}").text
    assert KEPT in page
    assert "by ben on packing-1: a question" in page
    assert "<form class" not in page.partition(KEPT)[2]
    assert send(server, new, token=WRONG).status == 404
    server.close()
    archive.catalogue.close()


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "null"},
        {"Origin": "http://evil.example"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "http://["},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
    ],
)
def test_other_sites_cannot_send_it(
    archive: Archive, server: Server, headers: dict[str, str]
) -> None:
    new = archive.save("SO-1")
    assert send(server, new, headers).status == 403
    assert take_in(archive) == 0


def test_browser_that_says_same_origin(archive: Archive, server: Server) -> None:
    """Behind a proxy the name may be another; the browser knows."""
    headers = {"Sec-Fetch-Site": "same-origin", "Origin": "https://videos.example"}
    assert send(server, archive.save("SO-1"), headers).status == 303


def test_only_with_the_token_of_this_page(archive: Archive, server: Server) -> None:
    new, other = archive.save("SO-1"), archive.save("SO-2")
    for wrong in ("", "x", "hold-x.99999999999.x", token(server, other)):
        assert send(server, new, token=wrong).status == 403
    assert take_in(archive) == 0


@pytest.mark.parametrize(
    "fields",
    [{"who": " "}, {"reason": ""}, {"who": "x" * 81}, {"reason": "x" * 501}, {"action": "delete"}],
)
def test_name_and_reason_are_needed(
    archive: Archive, server: Server, fields: dict[str, str]
) -> None:
    assert send(server, archive.save("SO-1"), fields=fields).status == 400
    assert take_in(archive) == 0


def test_hostile_words_stay_words(archive: Archive, server: Server) -> None:
    new = archive.save(HOSTILE)
    assert (
        send(server, new, who="<b>Anna</b>", reason="<script>alert(1)</script>\r\nX: 1").status
        == 303
    )
    for _ in range(2):
        page = server.get(f"/recordings/{new.id}").text
        assert KEPT in page
        assert "<script>alert" not in page
        assert "<b>Anna" not in page
        take_in(archive)


def test_too_late(archive: Archive, server: Server) -> None:
    footage_id = footage.prepare(archive.settings, None)
    archive.catalogue.set_footage_id(footage_id)
    new = archive.save("SO-1")
    archive.catalogue.amend(new.id, {"sha256": "0" * 64})
    form = token(server, new)
    assert Removal(archive.settings, archive.catalogue, footage_id).begin(new.id, Reason.AGE)
    assert send(server, new, token=form).status == 410
    assert KEPT not in server.get(f"/recordings/{new.id}").text
    assert 'name="token"' not in server.get(f"/recordings/{new.id}").text


def test_only_for_those_who_know_the_password(tmp_path: Path) -> None:
    archive = Archive(settings_in(tmp_path, holding=True, password_hash=hash_password("one")))
    server = Server(archive.settings)
    new = archive.save("SO-1")
    answer = send(server, new, token=WRONG)
    assert answer.status == 303
    assert "/login" in answer.headers["Location"]
    assert take_in(archive) == 0
    server.close()
    archive.catalogue.close()


def test_disk_that_takes_nothing_is_no_promise(archive: Archive, server: Server) -> None:
    new = archive.save("SO-1")
    form = token(server, new)
    archive.settings.hold_requests_file.mkdir()
    assert send(server, new, token=form).status == 503
    assert KEPT not in server.get(f"/recordings/{new.id}").text
