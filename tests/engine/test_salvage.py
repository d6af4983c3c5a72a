from __future__ import annotations

import errno
import io
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import av
import pytest
from av.container import InputContainer
from av.packet import Packet
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from recorderd.core.model import RecordingId
from recorderd.engine import remux as remux_module
from recorderd.engine import salvage as module
from recorderd.engine import salvage as salvage_module
from recorderd.engine import verify
from recorderd.engine.footage_file import FootageFile
from recorderd.engine.messages import Captured, NothingLeft
from recorderd.engine.pipelines import CopyPipeline
from recorderd.engine.remux import opened, remux
from recorderd.engine.salvage import facts_of, salvage
from recorderd.errors import StorageError
from recorderd.mp4.boxes import fragment_places, is_closed, reopen
from recorderd.store.footage import RecordingFiles
from tests.engine.pictures import (
    START,
    at_rate,
    files_in,
    inter_stream,
    jpeg,
    mjpeg_packets,
    mjpeg_stream,
    numbers_in,
    packets_of,
)

ID = RecordingId("one")
COUNT = 40
LOOSE = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def footage(folder: Path, codec: str = "mjpeg") -> tuple[bytes, bytes]:
    """A file as a power cut leaves it, in fragments of 0.1 s, and as closing leaves it."""
    return _made(folder, codec)


@cache
def _made(folder: Path, codec: str) -> tuple[bytes, bytes]:
    path = folder / f"made-{codec}.mp4"
    tags = {"order_id": "7", "recorder_mode": "copy", "recorder_encoder": ""}
    file = FootageFile(path, tags, 0.2)
    file.tag_beginning(START)
    if codec == "mjpeg":
        description, packets = mjpeg_stream(), mjpeg_packets(at_rate(COUNT))
    else:
        description, inter = inter_stream(COUNT, codec=codec)
        packets = list(inter)
    pipeline = CopyPipeline(file, description, START, 0)
    for packet in packets:
        pipeline.write(packet)
    torn = path.read_bytes()
    file.close()
    return torn, path.read_bytes()


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("workshop")


@pytest.fixture
def files(tmp_path: Path) -> RecordingFiles:
    return fresh(tmp_path)


def fresh(folder: Path) -> RecordingFiles:
    for name in ("incoming", "footage"):
        shutil.rmtree(folder / name, ignore_errors=True)
    return files_in(folder)


def left_in_incoming(files: RecordingFiles) -> list[str]:
    return sorted(path.name for path in files.incoming_video.parent.iterdir())


def test_a_move_that_was_cut_off_is_finished_whatever_pictures_are_damaged(
    workshop: Path, tmp_path: Path
) -> None:
    """Both names are of one file then, and must stay so: a camera's damaged picture near the end
    is no reason to make another one of the old name."""
    files = fresh(tmp_path)
    content = bytearray(footage(workshop)[True])
    files.incoming_video.write_bytes(content)
    position, size = _places(files.incoming_video)[-2]
    content[position : position + size] = bytes(size)
    files.incoming_video.write_bytes(content)
    files.video.parent.mkdir(parents=True)
    files.video.hardlink_to(files.incoming_video)
    assert isinstance(salvage(ID, files), Captured)
    assert not files.incoming_video.exists()
    assert files.video.read_bytes() == content


def _places(video: Path) -> list[tuple[int, int]]:
    with av.open(str(video)) as container:
        return [
            (packet.pos or 0, packet.size) for packet in container.demux(video=0) if packet.size
        ]


@pytest.mark.parametrize("goes", ["before", "meanwhile"])
def test_a_disk_that_is_away_is_no_verdict_on_its_files(
    workshop: Path, tmp_path: Path, goes: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be found then is not lost: the disk may be back a moment later."""
    files = fresh(tmp_path)
    files.incoming_video.write_bytes(footage(workshop)[True])
    incoming, away = files.incoming_video.parent, tmp_path / "away"

    def takes_it_away(*arguments: object) -> NothingLeft:
        incoming.rename(away)
        return NothingLeft(ID, "no file was left")

    if goes == "before":
        incoming.rename(away)
    else:
        monkeypatch.setattr(module, "_salvaged", takes_it_away)
    with pytest.raises(StorageError):
        salvage(ID, files)
    monkeypatch.undo()
    away.rename(incoming)
    assert isinstance(salvage(ID, files), Captured)


@LOOSE
@given(share=st.floats(0, 1))
@example(share=1.0)
@example(share=0.0)
@example(share=0.9921875)
@pytest.mark.parametrize("closed", [False, True], ids=["power cut", "cut while closing"])
def test_a_file_cut_anywhere_is_salvaged_or_left(
    workshop: Path, tmp_path: Path, share: float, closed: bool
) -> None:
    content = footage(workshop)[closed]
    cut = content[: round(len(content) * share)]
    files = fresh(tmp_path)
    files.incoming_video.write_bytes(cut)
    result = salvage(ID, files)
    if isinstance(result, NothingLeft):
        assert files.incoming_video.read_bytes() == cut
        assert not files.video.exists()
        assert str(len(cut)) in result.problem
        # Only where not even the first fragment was whole.
        assert len(cut) < 2000 + 5 * len(jpeg(0))
        return
    assert left_in_incoming(files) == []
    assert numbers_in(files.video) == list(range(result.frames))
    assert result.frames >= COUNT * (len(cut) - 6000) / len(content) - 6
    assert result.recovered
    assert (result.first_ns, result.codec, result.width) == (START, "mjpeg", 160)
    assert result.bytes == files.video.stat().st_size
    assert [content for _, content, _ in packets_of(files.video)] == [
        jpeg(number) for number in range(result.frames)
    ]
    assert verify.problem_of(files.video, result.frames, result.duration_ns) is None
    assert salvage(ID, files) == result


@LOOSE
@given(data=st.data())
def test_no_damage_makes_it_raise(workshop: Path, tmp_path: Path, data: st.DataObject) -> None:
    """Bits that turned, zeros where the disk never wrote."""
    content = bytearray(footage(workshop)[data.draw(st.booleans())])
    for _ in range(data.draw(st.integers(1, 4))):
        # The headers at the beginning are hit more often.
        place = data.draw(st.one_of(st.integers(0, 1600), st.integers(0, len(content) - 1)))
        length = data.draw(st.sampled_from([1, 4, 512]))
        fill = data.draw(st.sampled_from([b"\0", b"\xff", b"\x41"]))
        content[place : place + length] = fill * len(content[place : place + length])
    files = fresh(tmp_path)
    files.incoming_video.write_bytes(content)
    result = salvage(ID, files)
    assert files.video.exists() is isinstance(result, Captured)
    again = salvage(ID, files)
    assert type(again) is type(result)


@given(content=st.binary(max_size=200))
@example(content=b"\xff\xd8")
@LOOSE
def test_garbage_is_left_where_it_is(tmp_path: Path, content: bytes) -> None:
    files = fresh(tmp_path)
    files.incoming_video.write_bytes(content)
    assert isinstance(salvage(ID, files), NothingLeft)
    assert files.incoming_video.read_bytes() == content


def _without_pictures(video: bytes) -> bytes:
    """As a power cut leaves a file that was never synced: its index, and zeros."""
    zeros = bytearray(video)
    with av.open(io.BytesIO(video), "r", format="mp4") as container:
        for packet in container.demux(video=0):
            if packet.size:
                position = packet.pos or 0
                zeros[position : position + packet.size] = bytes(packet.size)
    return bytes(zeros)


def test_pictures_of_which_no_page_reached_the_disk_are_none(
    workshop: Path, files: RecordingFiles
) -> None:
    files.incoming_video.write_bytes(_without_pictures(footage(workshop, "h264")[1]))
    assert isinstance(salvage(ID, files), NothingLeft)
    assert files.incoming_video.exists(), "it is set aside by whoever writes the row"
    assert not files.video.exists()


def test_a_video_in_its_place_is_not_lost_for_what_lies_in_incoming(
    workshop: Path, files: RecordingFiles
) -> None:
    _, closed = footage(workshop, "h264")
    files.video.parent.mkdir(parents=True, exist_ok=True)
    files.video.write_bytes(closed)
    files.incoming_video.write_bytes(_without_pictures(closed))
    with pytest.raises(StorageError):
        salvage(ID, files)
    assert files.video.read_bytes() == closed


@pytest.mark.parametrize("codec", ["mjpeg", "h264", "hevc"])
def test_times_tags_and_kind_survive(workshop: Path, files: RecordingFiles, codec: str) -> None:
    torn, closed = footage(workshop, codec)
    files.incoming_video.write_bytes(torn)
    result = salvage(ID, files)
    assert isinstance(result, Captured)
    assert COUNT - 6 < result.frames <= COUNT
    assert files.video.stat().st_mode & 0o777 == 0o640
    whole = files.video.with_name("whole.mp4")
    whole.write_bytes(closed)
    assert list(packets_of(files.video)) == list(packets_of(whole))[: result.frames]
    assert (result.codec, result.mode, result.encoder) == (codec, "copy", "")
    with av.open(str(files.video)) as container:
        assert container.metadata["order_id"] == "7"
        assert len(container.streams.subtitles) == 1
        if codec == "hevc":
            assert container.streams.video[0].codec_context.codec_tag == "hvc1"
    assert numbers_in(files.video) == list(range(result.frames))


def test_a_closed_file_is_published_as_it_is(workshop: Path, files: RecordingFiles) -> None:
    files.incoming_video.write_bytes(footage(workshop)[1])
    written = files.incoming_video.stat().st_ino
    result = salvage(ID, files)
    assert isinstance(result, Captured)
    assert result.frames == COUNT
    assert files.video.stat().st_ino == written


def test_a_closing_that_was_cut_off_is_undone(workshop: Path, tmp_path: Path) -> None:
    torn, closed = footage(workshop)
    index = closed.rindex(b"moov") - 4
    path = tmp_path / "a.mp4"
    path.write_bytes(closed[: index + 100])
    assert facts_of(path) is None
    assert not is_closed(path)
    assert reopen(path)
    facts = facts_of(path)
    assert facts is not None
    assert facts.frames == COUNT
    assert not reopen(path)
    path.write_bytes(torn)
    assert not reopen(path)
    assert path.read_bytes() == torn


def test_a_closing_of_a_huge_file_that_was_cut_off_is_undone(
    workshop: Path, tmp_path: Path
) -> None:
    """Over 4 GiB the box has a long header, which also covers the free box before it."""
    _, closed = footage(workshop)
    place = closed.index(b"mdat") - 4
    index = closed.rindex(b"moov") - 4
    size = index - place + 8
    long_header = (1).to_bytes(4, "big") + b"mdat" + size.to_bytes(8, "big")
    path = tmp_path / "a.mp4"
    path.write_bytes(closed[: place - 8] + long_header + closed[place + 8 : index])
    assert facts_of(path) is None
    assert reopen(path)
    facts = facts_of(path)
    assert facts is not None
    assert facts.frames == COUNT


def test_it_is_known_how_much_is_missing(
    workshop: Path, files: RecordingFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file's time of modification says when it was last written to."""
    wall_ns = 1_800_000_000 * 10**9
    started = {"started_at": "2027-01-15T08:00:00+00:00", "started_monotonic_ns": str(START)}
    torn = tagged(files.incoming_video.with_name("torn.mp4"), started)
    found = {}
    for room in (True, False):
        for later in (0.25, -1.0, 61.0):
            fresh(files.incoming_video.parent.parent)
            files.incoming_video.write_bytes(torn)
            facts = facts_of(files.incoming_video)
            assert facts is not None
            written_ns = wall_ns + facts.duration_ns + round(later * 1e9)
            os.utime(files.incoming_video, ns=(written_ns, written_ns))
            with monkeypatch.context() as patched:
                if not room:
                    patched.setattr(salvage_module, "remux", no_room)
                result = salvage(ID, files)
            assert isinstance(result, Captured)
            assert salvage(ID, files) == result
            found[room, later] = result.unwritten_ns
    for room in (True, False):
        assert found[room, 0.25] == 250_000_000
        assert (found[room, -1.0], found[room, 61.0]) == (None, None)


def no_room(source: Path, target: Path, end: object, patch: object, tags: object) -> None:
    raise StorageError("The disk is full", "Test")


def tagged(path: Path, tags: dict[str, str]) -> bytes:
    """A file with these tags as a power cut leaves it."""
    file = FootageFile(path, tags, 0.2)
    file.tag_beginning(START)
    pipeline = CopyPipeline(file, mjpeg_stream(), START, 0)
    for packet in mjpeg_packets(at_rate(COUNT)):
        pipeline.write(packet)
    torn = path.read_bytes()
    file.abandon()
    path.unlink()
    return torn


def test_a_repaired_file_can_be_cut_off_and_repaired_again(
    workshop: Path, files: RecordingFiles
) -> None:
    files.incoming_video.write_bytes(footage(workshop)[0])
    first = salvage(ID, files)
    assert isinstance(first, Captured)
    whole = files.video.read_bytes()
    files.video.unlink()
    files.incoming_video.write_bytes(whole[: len(whole) * 3 // 4])
    again = salvage(ID, files)
    assert isinstance(again, Captured)
    assert first.frames // 2 < again.frames < first.frames
    assert verify.problem_of(files.video, again.frames, again.duration_ns) is None


def test_the_still_is_published_too(workshop: Path, files: RecordingFiles) -> None:
    files.incoming_video.write_bytes(footage(workshop)[0])
    files.incoming_still.write_bytes(jpeg(3))
    salvage(ID, files)
    assert files.still.read_bytes() == jpeg(3)
    assert left_in_incoming(files) == []


def test_killed_while_remuxing(workshop: Path, files: RecordingFiles) -> None:
    files.incoming_video.write_bytes(footage(workshop)[0])
    files.incoming_video.with_suffix(".salvaged.mp4").write_bytes(b"half of it")
    assert isinstance(salvage(ID, files), Captured)
    assert left_in_incoming(files) == []


def test_killed_between_the_new_name_and_the_old_one(workshop: Path, files: RecordingFiles) -> None:
    files.incoming_video.write_bytes(footage(workshop)[1])
    files.incoming_still.write_bytes(jpeg(3))
    files.video.parent.mkdir(parents=True)
    os.link(files.incoming_video, files.video)
    os.link(files.incoming_still, files.still)
    assert isinstance(salvage(ID, files), Captured)
    assert left_in_incoming(files) == []
    assert files.still.read_bytes() == jpeg(3)


def test_killed_when_all_was_published(workshop: Path, files: RecordingFiles) -> None:
    files.video.parent.mkdir(parents=True)
    files.video.write_bytes(footage(workshop)[1])
    result = salvage(ID, files)
    assert isinstance(result, Captured)
    assert result.frames == COUNT


def test_another_file_in_the_final_place_is_never_overwritten(
    workshop: Path, files: RecordingFiles
) -> None:
    files.video.parent.mkdir(parents=True)
    torn, closed = footage(workshop)
    files.video.write_bytes(closed)
    files.incoming_video.write_bytes(torn)
    with pytest.raises(StorageError, match="never overwritten"):
        salvage(ID, files)
    assert files.video.read_bytes() == closed
    assert files.incoming_video.read_bytes() == torn


def test_nothing_at_all(files: RecordingFiles) -> None:
    result = salvage(ID, files)
    assert isinstance(result, NothingLeft)
    assert "no file was left" in result.problem


@pytest.mark.parametrize("room", [True, False], ids=["room", "no room"])
def test_a_cut_in_the_index_of_a_fragment_costs_only_that_fragment(
    workshop: Path, tmp_path: Path, room: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FFmpeg 8.1 refuses the whole file at some of these places."""

    def full(source: Path, target: Path, end: object, patch: object, tags: object) -> None:
        raise StorageError("The disk is full", "Test")

    if not room:
        monkeypatch.setattr(salvage_module, "remux", full)
    torn, _ = footage(workshop)
    made = tmp_path / "torn.mp4"
    made.write_bytes(torn)
    place = fragment_places(made)[2]
    size = int.from_bytes(torn[place : place + 4], "big")
    complete = facts_of(made, place)
    assert complete is not None
    for cut in range(place, place + size + 1, 4):
        files = fresh(tmp_path)
        files.incoming_video.write_bytes(torn[:cut])
        result = salvage(ID, files)
        assert isinstance(result, Captured)
        assert result.frames == complete.frames
        assert numbers_in(files.video) == list(range(result.frames))


def test_zeros_where_the_last_seconds_should_be(workshop: Path, files: RecordingFiles) -> None:
    torn, _ = footage(workshop)
    files.incoming_video.write_bytes(torn)
    places = fragment_places(files.incoming_video)
    blank = bytearray(torn)
    for place in places[-3:]:
        blank[place + 8 : place + 120] = bytes(112)
    files.incoming_video.write_bytes(blank)
    result = salvage(ID, files)
    assert isinstance(result, Captured)
    assert numbers_in(files.video) == list(range(result.frames))
    assert result.frames >= COUNT - 18


def test_without_room_the_torn_file_is_published(
    workshop: Path, files: RecordingFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(source: Path, target: Path, end: object, patch: object, tags: object) -> None:
        raise StorageError("The disk is full", "Test")

    monkeypatch.setattr(salvage_module, "remux", full)
    torn, _ = footage(workshop)
    files.incoming_video.write_bytes(torn)
    result = salvage(ID, files)
    assert isinstance(result, Captured)
    assert files.video.read_bytes() == torn
    assert numbers_in(files.video) == list(range(result.frames))
    assert left_in_incoming(files) == []


def test_a_remux_that_loses_pictures_is_not_used(
    workshop: Path, files: RecordingFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    torn, _ = footage(workshop)

    def half(source: Path, target: Path, end: object, patch: object, tags: object) -> None:
        target.write_bytes(torn[: len(torn) // 2])

    monkeypatch.setattr(salvage_module, "remux", half)
    files.incoming_video.write_bytes(torn)
    assert isinstance(salvage(ID, files), Captured)
    assert files.video.read_bytes() == torn
    assert left_in_incoming(files) == []


def test_a_failing_remux_leaves_nothing_half_done(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"not a video")
    with pytest.raises(StorageError):
        remux(tmp_path / "a.mp4", tmp_path / "b.mp4")
    assert not (tmp_path / "b.mp4").exists()


def test_a_folder_that_cannot_be_used_is_said_in_words(
    workshop: Path, files: RecordingFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.incoming_video.write_bytes(footage(workshop)[0])

    def refuses(self: Path, *_: object) -> Path:
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    monkeypatch.setattr(Path, "replace", refuses)
    with pytest.raises(StorageError, match="Permission denied"):
        salvage(ID, files)


def test_a_missing_footage_folder_is_said_and_the_file_is_kept(
    workshop: Path, files: RecordingFiles
) -> None:
    files.incoming_video.write_bytes(footage(workshop)[0])
    (files.video.parents[3]).rmdir()
    with pytest.raises(StorageError):
        salvage(ID, files)
    facts = facts_of(files.incoming_video)
    assert facts is not None
    (files.video.parents[3]).mkdir()
    assert isinstance(salvage(ID, files), Captured)


def test_tags_of_a_foreign_file_are_not_trusted(tmp_path: Path, files: RecordingFiles) -> None:
    file = FootageFile(files.incoming_video, {"monotonic_ns": "yesterday"}, 1.0)
    pipeline = CopyPipeline(file, mjpeg_stream(), START, 0)
    pipeline.write(mjpeg_packets([START])[0])
    file.close()
    result = salvage(ID, files)
    assert isinstance(result, Captured)
    assert result.first_ns == 0


@pytest.mark.parametrize(
    "number", [errno.EIO, errno.EAGAIN, errno.ENOMEM, errno.EACCES, errno.ESTALE]
)
@pytest.mark.parametrize("where", ["opening", "reading"])
def test_error_of_the_machine_is_no_verdict_on_the_file(
    workshop: Path, files: RecordingFiles, monkeypatch: pytest.MonkeyPatch, number: int, where: str
) -> None:
    """However the machine fails, the torn file stays as it is and can be salvaged later."""
    torn = footage(workshop)[0]
    files.incoming_video.write_bytes(torn)
    with monkeypatch.context() as patched:
        _fail(patched, number, where)
        with pytest.raises(StorageError, match="cannot be read now") as told:
            salvage(ID, files)
    assert "looked at again" in told.value.remedy
    assert files.incoming_video.read_bytes() == torn
    assert not files.video.exists()
    assert isinstance(salvage(ID, files), Captured)


def _fail(patched: pytest.MonkeyPatch, number: int, where: str) -> None:
    """Whoever opens a video, or reads its packets, is told this by FFmpeg."""

    def fail(*_: object) -> None:
        av.error.err_check(-number)

    if where == "opening":
        patched.setattr(av, "open", lambda *_, **__: fail())
    else:
        patched.setattr(salvage_module, "is_whole", fail)
    if number == errno.ENOMEM:
        patched.setattr(remux_module, "_has_memory", lambda: False)


def test_header_that_asks_for_more_memory_than_there_can_be_is_no_video(
    files: RecordingFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The machine has memory for an ordinary file: it is this one that is not."""
    files.incoming_video.write_bytes(b"rubbish")
    monkeypatch.setattr(av, "open", lambda *_, **__: av.error.err_check(-errno.ENOMEM))
    assert isinstance(salvage(ID, files), NothingLeft)


def test_memory_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert remux_module._has_memory()
    monkeypatch.setattr(remux_module, "_ORDINARY_BYTES", 1 << 60)
    assert not remux_module._has_memory()


class _FailingAfter:
    """A file of which some packets can be read before the disk fails."""

    def __init__(self, count: int, container: InputContainer) -> None:
        self.metadata, self.streams = container.metadata, container.streams
        self._count, self._container = count, container

    def demux(self) -> Iterator[Packet[Any]]:
        yield from islice(self._container.demux(), self._count)
        av.error.err_check(-errno.EIO)


def test_remux_does_not_take_a_failing_disk_for_the_end_of_the_file(
    workshop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "torn.mp4"
    source.write_bytes(footage(workshop)[0])

    @contextmanager
    def failing(*arguments: Any) -> Iterator[Any]:
        with opened(*arguments) as container:
            yield _FailingAfter(5, container)

    monkeypatch.setattr(remux_module, "opened", failing)
    with pytest.raises(StorageError, match="cannot be read now"):
        remux(source, tmp_path / "whole.mp4")
    assert not (tmp_path / "whole.mp4").exists()
