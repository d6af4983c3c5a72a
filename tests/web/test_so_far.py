"""A recording that runs is watched up to now."""

from __future__ import annotations

from pathlib import Path

import pytest

from recorderd.core.model import RecordingId
from recorderd.mp4.boxes import is_closed
from recorderd.store.catalogue import NewRecording
from tests.mp4.growing import decoded, written

from .archive import Archive, video
from .serving import Server
from .test_api import publish


def grown(archive: Archive, new: NewRecording, share: float) -> None:
    """The recorder has written this share of the video by now."""
    content = written().growing
    archive.incoming(new).write_bytes(content[: int(len(content) * share)])


def is_written(archive: Archive, new: NewRecording) -> None:
    """The station says that it is busy with this recording."""
    open_recording = {"id": new.id, "order": new.order.order_id, "part": 1, "stage": "writing"}
    publish(archive.settings, order=new.order.order_id, recordings=[open_recording])


@pytest.fixture
def running(archive: Archive) -> NewRecording:
    new = archive.begin("SO-1")
    grown(archive, new, 0.5)
    is_written(archive, new)
    return new


def video_address(server: Server, new: NewRecording) -> str:
    address = server.get(f"/api/recordings/{new.id}").json["so_far"]["video"]
    assert isinstance(address, str)
    return address


def test_the_page_plays_what_there_is(server: Server, running: NewRecording) -> None:
    page = server.get(f"/recordings/{running.id}?t=2").text
    assert "This order is being packed right now" in page
    address = video_address(server, running)
    assert f'src="{address}#t=2.0"' in page
    assert 'data-rate="10.0"' in page
    assert "Download" not in page.partition("<main")[2].replace("Download it", "")


def test_it_is_an_ordinary_video(server: Server, running: NewRecording, tmp_path: Path) -> None:
    document = server.get(f"/api/recordings/{running.id}").json["so_far"]
    answer = server.get(document["video"])
    assert (answer.status, answer.headers["Content-Type"]) == (200, "video/mp4")
    video = tmp_path / "video.mp4"
    video.write_bytes(answer.body)
    assert is_closed(video)
    assert len(decoded(video)) == round(document["seconds"] * 10)
    assert document["seconds"] >= 2


def test_who_asks_for_the_video_is_led_to_what_there_is(
    server: Server, running: NewRecording
) -> None:
    answer = server.get(f"/recordings/{running.id}/video?download")
    assert answer.status == 307
    assert answer.headers["Cache-Control"] == "private, no-cache"
    led_to = answer.headers["Location"]
    assert led_to.startswith(f"/recordings/{running.id}/video?download=&until=")
    assert "attachment" in server.get(led_to).headers["Content-Disposition"]


@pytest.mark.parametrize(
    "asked", ["bytes=0-99", "bytes=500-5000", "bytes=3000-3999", "bytes=-100", "bytes=100-200,-7"]
)
def test_parts_of_it(server: Server, running: NewRecording, asked: str) -> None:
    address = video_address(server, running)
    whole = server.get(address).body
    answer = server.get(address, {"Range": asked})
    assert answer.status == 206
    if "," in asked:
        assert whole[100:201] in answer.body
        assert answer.body.rstrip(b"-\r\n0123456789abcdef").endswith(whole[-7:])
        return
    start, end = answer.headers["Content-Range"].removeprefix("bytes ").split("/")[0].split("-")
    assert answer.body == whole[int(start) : int(end) + 1]
    assert len(answer.body) == int(answer.headers["Content-Length"])


def test_it_stays_what_it_was_while_the_recording_goes_on_and_ends(
    archive: Archive, server: Server, running: NewRecording
) -> None:
    address = video_address(server, running)
    before = server.get(address)
    assert server.get(address, {"If-None-Match": before.headers["ETag"]}).status == 304
    # Written in place, as the recorder does.
    with archive.incoming(running).open("r+b") as file:
        file.write(written().growing)
    assert video_address(server, running) != address
    assert server.get(address).body == before.body
    with archive.incoming(running).open("r+b") as file:
        file.write(written().closed)
    path = archive.path(running)
    path.parent.mkdir(parents=True, exist_ok=True)
    archive.incoming(running).rename(path)
    part = {"Range": "bytes=100-", "If-Range": before.headers["ETag"]}
    answer = server.get(address, part)
    assert (answer.status, answer.body) == (206, before.body[100:])


def test_a_file_that_was_replaced_is_not_taken_for_it(
    archive: Archive, server: Server, running: NewRecording
) -> None:
    """As the finisher does with a video that it has encoded."""
    address = video_address(server, running)
    before = server.get(address)
    archive.incoming(running).unlink()
    path = archive.path(running)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(written(width=320).closed)
    part = {"Range": "bytes=100-", "If-Range": before.headers["ETag"]}
    assert server.get(address, part).status == 200


@pytest.mark.parametrize("content", [None, b"", written(seconds=1).growing[:1000]])
def test_before_the_first_picture_it_asks_for_patience(
    archive: Archive, server: Server, content: bytes | None
) -> None:
    new = archive.begin("SO-1")
    is_written(archive, new)
    if content is not None:
        archive.incoming(new).write_bytes(content)
    page = server.get(f"/recordings/{new.id}")
    assert page.status == 200
    assert "only just begun" in page.text
    assert "<video" not in page.text
    assert server.get(f"/api/recordings/{new.id}").json["so_far"] is None
    answer = server.get(f"/recordings/{new.id}/video")
    assert (answer.status, answer.headers["Retry-After"]) == (409, "2")


def test_what_no_browser_plays_says_why(archive: Archive, server: Server) -> None:
    new = archive.begin("SO-1")
    archive.incoming(new).write_bytes(written(seconds=2, codec="mjpeg").growing)
    page = server.get(f"/recordings/{new.id}").text
    assert "being packed right now" in page
    assert "MJPEG" in page
    assert "<video" not in page
    assert server.get(f"/api/recordings/{new.id}").json["so_far"]["plays"] is False


def test_what_was_cut_off_is_not_called_running(
    archive: Archive, server: Server, running: NewRecording
) -> None:
    publish(archive.settings, phase="ready", order=None, recordings=[])
    page = server.get(f"/recordings/{running.id}").text
    assert "This recording was cut off" in page
    assert "being packed right now" not in page
    assert "<video" in page
    archive.incoming(running).unlink()
    page = server.get(f"/recordings/{running.id}").text
    assert "repaired as soon as the station runs again" in page
    assert "only just begun" not in page


def test_what_another_station_records_is_on_its_own_pages(archive: Archive, server: Server) -> None:
    new = archive.begin("SO-1")
    with archive.catalogue.transaction() as tables:
        tables.recordings.update(station="bench-<2>").execute()
    page = server.get(f"/recordings/{new.id}").text
    assert "begun at another station" in page
    assert "bench-&lt;2&gt;" in page


def test_an_old_address_leads_to_the_video_that_was_encoded_meanwhile(
    archive: Archive, server: Server, running: NewRecording
) -> None:
    address = video_address(server, running)
    archive.incoming(running).unlink()
    archive.finish(running, video())
    answer = server.get(address)
    assert (answer.status, answer.headers["Location"]) == (307, f"/recordings/{running.id}/video")


@pytest.mark.parametrize("until", ["", "x", "-1", "1.5", "9" * 19, "%D9%A3"])
def test_a_place_that_is_none_is_refused(server: Server, running: NewRecording, until: str) -> None:
    assert server.get(f"/recordings/{running.id}/video?until={until}").status == 400


def test_a_deleted_recording_is_not_shown_by_an_old_address(
    archive: Archive, server: Server, running: NewRecording
) -> None:
    address = video_address(server, running)
    with archive.catalogue.transaction() as tables:
        tables.recordings.update(state="deleted").execute()
    assert server.get(address).status == 410


def test_nothing_outside_the_footage_folder_is_sent(
    archive: Archive, server: Server, running: NewRecording
) -> None:
    archive.incoming(running).unlink()
    (archive.settings.state_folder.parent / "secret.mp4").write_bytes(written().growing)
    with archive.catalogue.transaction() as tables:
        tables.recordings.update(path="../../secret.mp4").execute()
    assert server.get(f"/recordings/{running.id}/video?until=99999").status == 404


def test_the_line_about_the_station_leads_there(
    archive: Archive, server: Server, running: NewRecording
) -> None:
    assert f'id="live-watch" href="/recordings/{running.id}">' in server.get("/").text
    assert server.get("/api/status").json["words"]["recording_id"] == running.id
    publish(archive.settings, phase="ready", order=None, recordings=[])
    assert 'id="live-watch" href="/recordings/" hidden>' in server.get("/").text


def test_it_is_written_down_as_viewed(
    archive: Archive, server: Server, running: NewRecording
) -> None:
    server.get(video_address(server, running), {"Range": "bytes=0-"})
    assert RecordingId(running.id) in archive.settings.visits_file.read_text()
