from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recorderd.engine.copied_stream import add_copied_stream, copied_packet
from recorderd.engine.footage_file import (
    TIME_BASE,
    FootageFile,
    is_disk_full,
    pause_after_sync,
    ticks,
)
from recorderd.errors import StorageError
from recorderd.mp4.boxes import is_closed
from tests.engine.pictures import HEIGHT, WIDTH, jpeg, mjpeg_stream, packets_of
from tests.limits import largest_file
from tests.panel.listening import eventually
from tests.syncs import Syncs

SECOND = 1_000_000_000
WALL = 1_738_000_000 * SECOND


class Film:
    """A file with a video stream, for which pictures are written by their time."""

    def __init__(self, path: Path, tags: dict[str, str] | None = None, sync: float = 1.0) -> None:
        self.file = FootageFile(path, tags or {}, sync)
        self.stream = self.file.container.add_mux_stream(
            "mjpeg", rate=Fraction(30), width=WIDTH, height=HEIGHT, time_base=TIME_BASE
        )
        self.file.add_clock_track()
        self.written = 0

    def write(self, *offsets_ns: int) -> None:
        for offset_ns in offsets_ns:
            packet = av.Packet(jpeg(self.written % 50))
            packet.stream, packet.time_base = self.stream, TIME_BASE
            packet.pts = packet.dts = ticks(offset_ns)
            packet.is_keyframe = True
            self.file.show_clock(offset_ns, WALL + offset_ns)
            self.file.mux(packet)
            self.written += 1


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 kB."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(["mount", *options], capture_output=True).returncode:
        pytest.skip("mounting a small file system needs root")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def regular(count: int, rate: Fraction = Fraction(30)) -> list[int]:
    return [round(number * SECOND / rate) for number in range(count)]


def boxes(content: bytes) -> list[str]:
    kinds, place = [], 0
    while place + 8 <= len(content):
        kinds.append(content[place + 4 : place + 8].decode())
        place += int.from_bytes(content[place : place + 4], "big")
    return kinds


TIMINGS = {
    "30": regular(60),
    "29.97": regular(60, Fraction(30_000, 1001)),
    "23.976": regular(40, Fraction(24_000, 1001)),
    "variable, with a gap of two seconds": [
        n * 33_333_333 + (n * 7_919_317) % 15_000_000 + (2 * SECOND if n >= 20 else 0)
        for n in range(45)
    ],
}


@pytest.mark.parametrize("offsets", TIMINGS.values(), ids=TIMINGS.keys())
def test_every_picture_comes_back_at_its_own_time(tmp_path: Path, offsets: list[int]) -> None:
    path = tmp_path / "a.mp4"
    film = Film(path)
    film.write(*offsets)
    assert film.file.close() == path.stat().st_size
    wanted = [round(offset * 90_000 / SECOND) for offset in offsets]
    assert [pts for pts, _, _ in packets_of(path)] == wanted
    if shutil.which("ffprobe"):
        assert ffprobe_times(path) == wanted


def ffprobe_times(path: Path) -> list[int]:
    fields = ["-select_streams", "v:0", "-show_entries", "packet=pts:stream=time_base"]
    answer = subprocess.run(
        ["ffprobe", "-v", "error", *fields, "-of", "json", str(path)],
        capture_output=True,
        check=True,
    )
    parsed = json.loads(answer.stdout)
    assert parsed["streams"][0]["time_base"] == "1/90000"
    return [packet["pts"] for packet in parsed["packets"]]


def test_a_closed_file_is_an_ordinary_seekable_mp4(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    film = Film(path)
    film.write(*regular(90))
    assert "moof" in boxes(path.read_bytes())
    film.file.close()
    assert boxes(path.read_bytes()) == ["ftyp", "free", "mdat", "moov"]
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.frames == 90
        container.seek(180_000, stream=stream)
        assert next(container.decode(stream)).pts == 180_000


def test_a_file_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"earlier footage")
    with pytest.raises(StorageError) as caught:
        FootageFile(path, {}, 1.0)
    assert path.read_bytes() == b"earlier footage"
    assert not is_disk_full(caught.value)


def test_a_folder_that_is_gone_is_said_in_words(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="No such file or directory"):
        FootageFile(tmp_path / "gone" / "a.mp4", {}, 1.0)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.text(min_size=1, max_size=300))
def test_tags_hold_any_text(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.mp4"
    path.unlink(missing_ok=True)
    film = Film(path, {"order_id": text, "part": "2"})
    film.write(0, 33_000_000)
    film.file.close()
    with av.open(str(path)) as container:
        tags = container.metadata
    assert tags["order_id"] == text.replace("\0", "\ufffd")
    assert tags["part"] == "2"


@pytest.mark.parametrize(
    ("text", "stored"),
    [("PAKET-7 📦 Zürich 東京 <b>&'\"\\\n", None), ("\udcff broken", "? broken"), ("", "")],
)
def test_tags_hold_what_labels_hold(tmp_path: Path, text: str, stored: str | None) -> None:
    film = Film(tmp_path / "a.mp4", {"order_id": text})
    film.file.tag_beginning(17)
    film.write(0)
    film.file.close()
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert container.metadata["order_id"] == (text if stored is None else stored)
        assert container.metadata["monotonic_ns"] == "17"


def test_the_wall_clock_is_written_once_for_each_second(tmp_path: Path) -> None:
    film = Film(tmp_path / "a.mp4")
    film.write(*regular(75))
    film.file.close()
    with av.open(str(tmp_path / "a.mp4")) as container:
        track = container.streams.subtitles[0]
        shown = [
            (float(packet.pts * packet.time_base), bytes(packet)[2:].decode())
            for packet in container.demux(track)
            if packet.pts is not None and packet.size > 2
        ]
    assert shown == [
        (0, "2025-01-27 17:46:40 UTC"),
        (1, "2025-01-27 17:46:41 UTC"),
        (2, "2025-01-27 17:46:42 UTC"),
    ]


def test_a_clock_that_seems_to_run_back_is_not_written(tmp_path: Path) -> None:
    """B-frames are written after pictures that were taken later."""
    film = Film(tmp_path / "a.mp4")
    film.write(0)
    film.file.show_clock(SECOND + 33_000_000, WALL + SECOND + 33_000_000)
    film.file.show_clock(SECOND - 33_000_000, WALL + SECOND - 33_000_000)
    film.write(2 * SECOND)
    film.file.close()
    assert len(list(packets_of(tmp_path / "a.mp4"))) == 2


def test_a_full_disk_is_told_from_other_troubles(tiny_disk: Path) -> None:
    film = Film(tiny_disk / "a.mp4", sync=0.2)
    with pytest.raises(StorageError) as caught:
        film.write(*regular(2000))
    assert is_disk_full(caught.value)
    with pytest.raises(StorageError) as caught:
        film.file.close()
    assert is_disk_full(caught.value)
    film.file.abandon()
    readable = len(list(packets_of(tiny_disk / "a.mp4")))
    # What is missing was still in memory: less than a fragment.
    assert film.written - 6 < readable <= film.written


class FullContainer:
    """Stands in for a container whose disk is full."""

    def mux_one(self, packet: object) -> None:
        raise av.OSError(errno.ENOSPC, "No space left on device", "a.mp4")

    close = mux_one.__get__(object(), object)  # takes the place of a packet


def test_ffmpegs_own_error_for_a_full_disk_is_understood(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = Film(tmp_path / "a.mp4")
    whole = film.file.container
    monkeypatch.setattr(film.file, "container", FullContainer())
    with pytest.raises(StorageError, match="disk is full") as caught:
        film.write(0)
    assert is_disk_full(caught.value)
    film.file.container = whole
    film.file.abandon()


@pytest.mark.parametrize(("took", "pause"), [(0.0, 0.5), (0.1, 0.4), (0.4, 0.125), (3.0, 0.125)])
def test_a_slow_disk_is_synced_again_sooner(took: float, pause: float) -> None:
    assert pause_after_sync(0.5, took) == pytest.approx(pause)


def test_a_failed_sync_is_not_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Linux reports a lost write to one fdatasync only; the next one looks fine."""
    written, failed = threading.Event(), threading.Event()
    real = os.fdatasync

    def fails_once(descriptor: int) -> None:
        if not failed.is_set():
            written.wait(10)
            failed.set()
            raise OSError(errno.EIO, "Input/output error")
        real(descriptor)

    monkeypatch.setattr(os, "fdatasync", fails_once)
    film = Film(tmp_path / "a.mp4", sync=0.002)
    film.write(0, 33_000_000)
    written.set()
    assert failed.wait(10)
    with pytest.raises(StorageError, match="Input/output error") as caught:
        film.file.close()
    assert not is_disk_full(caught.value)


def test_writing_stops_once_a_sync_has_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fdatasync", fails)
    film = Film(tmp_path / "a.mp4", sync=0.002)
    film.write(0)
    film.file._syncer.join(10)
    with pytest.raises(StorageError) as caught:
        film.write(33_000_000)
    assert is_disk_full(caught.value)
    film.file.abandon()


def test_its_name_is_on_the_disk_as_soon_as_its_first_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Syncing a file need not do that, and a file without a name is lost with all it holds."""
    syncs = Syncs(monkeypatch)
    film = Film(tmp_path / "a.mp4", sync=0.002)
    film.write(3)
    synced = eventually(lambda: bool(syncs.files))
    names = syncs.folders.get(tmp_path)
    film.file.close()
    assert synced
    assert names == frozenset({"a.mp4"})


def test_the_disk_is_synced_while_pictures_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = threading.Event()
    monkeypatch.setattr(os, "fdatasync", lambda _descriptor: synced.set())
    film = Film(tmp_path / "a.mp4", sync=0.002)
    assert not synced.is_set()
    film.write(0)
    assert synced.wait(10)
    film.file.close()


def test_what_closing_writes_is_on_the_disk_before_it_counts_as_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.mp4"
    closed_when_synced: list[bool] = []
    monkeypatch.setattr(os, "fdatasync", lambda _: closed_when_synced.append(is_closed(path)))
    film = Film(path, sync=60.0)
    film.write(0, 33_000_000)
    film.file.close()
    assert closed_when_synced[-1:] == [True]


def test_letting_go_closes_everything_and_may_be_repeated(tmp_path: Path) -> None:
    open_before = set(Path("/proc/self/fd").iterdir())
    film = Film(tmp_path / "a.mp4")
    film.write(0, 33_000_000)
    film.file.abandon()
    film.file.abandon()
    assert set(Path("/proc/self/fd").iterdir()) == open_before
    assert not film.file._syncer.is_alive()
    unused = Film(tmp_path / "b.mp4")
    unused.file.abandon()
    assert (tmp_path / "b.mp4").stat().st_size == 0


CHILD = """
import sys, pathlib
from tests.engine.test_footage_file import Film, regular
film = Film(pathlib.Path(sys.argv[1]), {"order_id": "7"}, 1.0)
film.write(*regular(118))
print("written", flush=True)
sys.stdin.read()
"""


@pytest.mark.slow
def test_what_was_flushed_survives_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"written\n"
    child.send_signal(signal.SIGKILL)
    child.communicate()
    readable = list(packets_of(path))
    assert 118 - 17 <= len(readable) <= 118
    assert [content for _, content, _ in readable] == [
        jpeg(number % 50) for number in range(len(readable))
    ]


@pytest.mark.parametrize("room", [0, 10, 3000])
def test_a_disk_that_fails_from_the_beginning_is_let_go_of(tmp_path: Path, room: int) -> None:
    """Else it cannot be taken out, and mounted anew it is still the old one."""

    def fill() -> None:
        for number in range(60):
            file.mux(copied_packet(stream, jpeg(number), number * 3000, keyframe=True))

    before = sorted(Path("/proc/self/fd").iterdir())
    file = FootageFile(tmp_path / "one.mp4", {}, 1.0)
    stream = add_copied_stream(file.container, mjpeg_stream())
    with largest_file(room), pytest.raises(StorageError):
        fill()
    with contextlib.suppress(StorageError):
        file.close()
    file.abandon()
    assert sorted(Path("/proc/self/fd").iterdir()) == before
