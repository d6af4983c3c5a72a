"""What people see: search, player, and plain words when something is not there."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

from recorderd.core.model import StopReason
from recorderd.store.identity import new_recording_id

from .archive import HOSTILE, Archive, video
from .serving import Server


def links(text: str) -> list[str]:
    return re.findall(r'href="(/recordings/[0-9a-f-]+)"', text)


def test_nothing_recorded_yet(server: Server) -> None:
    page = server.get("/")
    assert page.status == 200
    assert "No recordings yet" in page.text
    assert "is not running" in page.text


def test_latest_come_first(archive: Archive, server: Server) -> None:
    first, second = archive.save("SO-1"), archive.save("SO-2", after=60)
    assert links(server.get("/").text) == [f"/recordings/{second.id}", f"/recordings/{first.id}"]


@pytest.mark.parametrize("query", ["SO-4711", "so-4711", "https%3A%2F%2Fx%2F4711"])
def test_a_scanned_order_opens_the_player_at_once(
    archive: Archive, server: Server, query: str
) -> None:
    wanted = archive.save("SO-4711", "https://x/4711")
    archive.save("SO-47110")
    answer = server.get(f"/?q={query}")
    assert (answer.status, answer.headers["Location"]) == (303, f"/recordings/{wanted.id}")
    assert len(links(server.get(f"/?list=1&q={query}").text)) >= 1


def test_the_newest_take_that_can_be_watched_is_opened(archive: Archive, server: Server) -> None:
    archive.save("SO-1")
    second = archive.save("SO-1", after=60)
    archive.save("SO-1", after=90, continues=second.id, part=2)
    archive.begin("SO-1", after=120)
    assert server.get("/?q=SO-1").headers["Location"] == f"/recordings/{second.id}"


def test_a_fragment_lists_what_holds_it(archive: Archive, server: Server) -> None:
    found = archive.save("00340434161094042557")
    archive.save("SO-2", after=5)
    assert links(server.get("/?q=1610940").text) == [f"/recordings/{found.id}"]
    assert links(server.get("/?q=16+1094+0").text) == [f"/recordings/{found.id}"]
    assert "Nothing found for" in server.get("/?q=nowhere").text


def test_pages_follow_each_other_without_gap_or_repeat(archive: Archive, server: Server) -> None:
    made = [f"/recordings/{archive.begin(f'SO-{n}', after=n // 3).id}" for n in range(60)]
    path, seen = "/?q=SO-", []
    for _ in range(10):
        text = server.get(path).text
        seen += links(text)
        following = re.search(r'href="(\?[^"]*)" rel="next"', text)
        if following is None:
            break
        path = "/" + following[1].replace("&amp;", "&")
    assert sorted(seen) == sorted(made)
    assert len(seen) == 60


def test_filters(archive: Archive, server: Server) -> None:
    flagged = archive.save("SO-1")
    archive.catalogue.flag(flagged.id)
    later = archive.save("SO-2", after=3 * 86400)
    running = archive.begin("SO-3", after=3 * 86400 + 60)

    def found(query: str) -> list[str]:
        return [link.rpartition("/")[2] for link in links(server.get(f"/?{query}").text)]

    assert found("flagged=1") == [flagged.id]
    assert found("from=2026-07-06") == [running.id, later.id]
    assert found("to=2026-07-05") == [flagged.id]
    assert found("state=recording") == [running.id]
    assert found("station=bench-1&state=saved") == [later.id, flagged.id]
    assert found("station=other") == []


def test_the_player_shows_all_there_is_to_know(archive: Archive, server: Server) -> None:
    first = archive.save("SO-1", dropped=7, stop_reason=StopReason.TIME_LIMIT)
    second = archive.save("SO-1", after=60)
    page = server.get(f"/recordings/{first.id}?t=2.5").text
    assert f'src="/recordings/{first.id}/video#t=2.5"' in page
    assert f'href="/recordings/{first.id}/video?download"' in page
    assert f'poster="/recordings/{first.id}/label.jpg"' in page
    assert "the longest time was reached" in page
    assert "7 pictures missing" in page
    assert f'href="/recordings/{second.id}"' in page
    assert 'data-started="2026-07-04T12:00:00.123Z" data-rate="10.0"' in page


def test_the_player_says_what_a_crash_has_cost(archive: Archive, server: Server) -> None:
    first = archive.save("SO-1")
    assert "Missing at the end" not in server.get(f"/recordings/{first.id}").text
    for missing_ms, words in ((1400, "at most 1.4 s"), (None, "not known"), (0, "nothing")):
        archive.catalogue.amend(first.id, {"recovered": True, "missing_ms": missing_ms})
        page = server.get(f"/recordings/{first.id}").text
        assert f"<dt>Missing at the end</dt><dd>{words}</dd>" in page


def test_times_of_day_are_right_after_the_clock_was_set(archive: Archive, server: Server) -> None:
    """Also if that was while the order was packed: the video begins before its label was read."""
    new = archive.begin("SO-1", clock="unsynchronised")
    lists = server.get("/").text
    assert "clock not set" in lists
    right_ns = 1_783_170_000_000_000_000
    archive.catalogue.correct_clock("boot-1", right_ns)
    archive.finish(new, video(), first_ns=new.monotonic_ns - 3_000_000_000)
    page = server.get(f"/recordings/{new.id}").text
    first = datetime.fromtimestamp((right_ns + new.monotonic_ns) / 1e9 - 3, UTC)
    assert f'data-started="{first:%Y-%m-%dT%H:%M:%S}.000Z"' in page
    assert "set later, and the times were corrected" in page
    assert "clock not set" not in server.get("/").text


def test_the_parts_of_a_take_follow_each_other(archive: Archive, server: Server) -> None:
    first = archive.save("SO-1")
    second = archive.save("SO-1", after=60, continues=first.id, part=2)
    other_take = archive.save("SO-1", after=120)
    goes_on = f'<a href="/recordings/{second.id}" rel="next">It goes on in part 2</a>'
    assert goes_on in server.get(f"/recordings/{first.id}").text
    for last in (second, other_take):
        assert "It goes on" not in server.get(f"/recordings/{last.id}").text


def test_a_video_that_waits_for_encoding_can_be_downloaded(
    archive: Archive, server: Server
) -> None:
    content = video(codec="mjpeg")
    deferred = archive.save("SO-1", content=content, codec="mjpeg")
    page = server.get(f"/recordings/{deferred.id}").text
    assert "plays a little later" in page
    assert "<video" not in page
    assert server.get(f"/recordings/{deferred.id}/video?download").body == content


def test_a_missing_file_is_said(archive: Archive, server: Server) -> None:
    gone = archive.save("SO-1")
    archive.path(gone).unlink()
    page = server.get(f"/recordings/{gone.id}")
    assert page.status == 200
    assert "not on this machine" in page.text
    assert "recorderd fsck" in page.text
    assert server.get(f"/recordings/{gone.id}/video").status == 404


def test_a_deleted_recording_shows_its_tombstone(archive: Archive, server: Server) -> None:
    old = archive.save("SO-1")
    archive.path(old).unlink()
    with archive.catalogue.transaction() as tables:
        tables.recordings.update(state="deleted", deleted_at=old.started_at).execute()
    page = server.get(f"/recordings/{old.id}")
    assert "This video was deleted" in page.text
    assert "SO-1" in page.text
    assert server.get(f"/recordings/{old.id}/video").status == 410


@pytest.mark.parametrize("identifier", ["x", "..%2f..%2fetc%2fpasswd", str(new_recording_id())])
def test_an_unknown_recording_has_a_page_in_plain_words(
    archive: Archive, server: Server, identifier: str
) -> None:
    page = server.get(f"/recordings/{identifier}")
    assert page.status == 404
    assert "There is no such recording" in page.text
    assert page.headers["Content-Type"].startswith("text/html")


def test_a_label_that_attacks_is_shown_as_text(archive: Archive, server: Server) -> None:
    evil = archive.save(HOSTILE, HOSTILE)
    for path in ("/", f"/recordings/{evil.id}", "/?q=%3Cscript%3E"):
        text = server.get(path).text
        assert "<script>" not in text
        assert "<img src=x" not in text
        assert "&lt;script&gt;document.title" in text
    echoed = server.get("/?q=%22%3E%3Cscript%3Ealert(1)%3C/script%3Enowhere").text
    assert "<script>alert" not in echoed


def test_the_whole_label_of_an_attack_finds_it(archive: Archive, server: Server) -> None:
    evil = archive.save("SO-1", "a'b\"c%_\\ d;--")
    answer = server.get("/?q=a%27b%22c%25_%5C%20d%3B--")
    assert answer.headers["Location"] == f"/recordings/{evil.id}"
