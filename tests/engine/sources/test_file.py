from __future__ import annotations

import threading
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import pytest

from recorderd.engine.packets import SourcePacket
from recorderd.engine.sources.file import FileSource
from recorderd.engine.sources.stream_clock import nanoseconds_to_ticks
from recorderd.errors import DeviceError
from tests.engine.sources.videos import FakeTime, write_video

SECOND = 1_000_000_000


def playing(path: Path, time: FakeTime, *, loop: bool = False) -> FileSource:
    return FileSource(path, loop=loop, clock=time.clock, wait=time.wait)


def read_all(source: FileSource) -> list[SourcePacket]:
    pictures = []
    while (picture := source.read()) is not None:
        pictures.append(picture)
    return pictures


def packets_of(path: Path) -> tuple[list[tuple[int, int, bytes]], Fraction]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.time_base is not None
        packets = [
            (packet.pts, packet.dts, bytes(packet))
            for packet in container.demux(stream)
            if packet.size and packet.pts is not None and packet.dts is not None
        ]
        return packets, stream.time_base


@pytest.mark.parametrize(
    ("codec", "name", "decoder", "rate"),
    [
        ("libx264", "a.mp4", "h264", Fraction(30)),
        ("libx264", "a.mp4", "h264", Fraction(30_000, 1001)),
        ("mjpeg", "a.avi", "mjpeg", Fraction(15)),
        ("mpeg4", "a.mp4", "mpeg4", Fraction(25)),
    ],
)
def test_a_file_is_played_with_its_own_times(
    tmp_path: Path, codec: str, name: str, decoder: str, rate: Fraction
) -> None:
    write_video(tmp_path / name, codec=codec, rate=rate)
    expected, time_base = packets_of(tmp_path / name)
    time = FakeTime()
    source = playing(tmp_path / name, time)
    described = source.open()
    assert (described.codec, described.width, described.height) == (decoder, 160, 120)
    assert described.rate == rate
    began = time.now
    pictures = read_all(source)
    source.close()
    assert [picture.data for picture in pictures] == [data for _, _, data in expected]
    first = pictures[0].captured_ns
    assert first == began
    for picture, (pts, _, _) in zip(pictures, expected, strict=True):
        ticks = nanoseconds_to_ticks(picture.captured_ns - first, time_base)
        assert ticks == pts - expected[0][0]
    assert time.now - began == pytest.approx(29 / rate * SECOND, rel=0.12)


def test_b_frames_keep_their_decoding_order(tmp_path: Path) -> None:
    path = tmp_path / "b.mp4"
    write_video(path, options={"bf": "2", "b_strategy": "0"})
    expected, time_base = packets_of(path)
    assert [pts for pts, _, _ in expected] != sorted(pts for pts, _, _ in expected)
    source = playing(path, FakeTime())
    source.open()
    pictures = read_all(source)
    source.close()
    first = pictures[0].captured_ns
    for picture, (pts, dts, _) in zip(pictures, expected, strict=True):
        assert nanoseconds_to_ticks(picture.captured_ns - first, time_base) == pts
        assert nanoseconds_to_ticks(picture.decode_ns - first, time_base) == dts
    source.close()


def test_a_late_reader_gets_every_picture(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", options={"bf": "0"})
    time = FakeTime()
    source = playing(tmp_path / "a.mp4", time)
    source.open()
    source.read()
    time.now += 60 * SECOND
    assert len(read_all(source)) == 29
    assert time.waits == []
    source.close()


def test_a_loop_goes_on_without_a_gap(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", count=10, options={"bf": "0"})
    source = playing(tmp_path / "a.mp4", FakeTime(), loop=True)
    source.open()
    pictures = [source.read() for _ in range(35)]
    source.close()
    times = [picture.captured_ns for picture in pictures if picture is not None]
    steps = [later - earlier for earlier, later in pairwise(times)]
    assert len(steps) == 34
    assert all(abs(step - SECOND / 30) <= 1 for step in steps)
    data = [picture.data for picture in pictures if picture is not None]
    assert data[:10] == data[10:20] == data[20:30]


def test_interrupt_ends_waiting_at_once(tmp_path: Path) -> None:
    write_video(tmp_path / "slow.mp4", count=2, rate=Fraction(1, 100), options={"bf": "0"})
    source = FileSource(tmp_path / "slow.mp4", loop=False)
    source.open()
    source.read()
    timer = threading.Timer(0.05, source.interrupt)
    timer.start()
    with pytest.raises(DeviceError, match="given up"):
        source.read()
    timer.join()
    source.close()
    source.close()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: path.unlink(missing_ok=True), "no video file"),
        (lambda path: path.mkdir(), "no video file"),
        (lambda path: path.write_bytes(b"not a video at all" * 100), "not video"),
        (lambda path: path.write_bytes(b""), "not video"),
        (lambda path: write_video(path, container_format="h264"), "holds no times"),
    ],
)
def test_unusable_files_are_named(
    tmp_path: Path, make: Callable[[Path], object], words: str
) -> None:
    path = tmp_path / "video.bin"
    make(path)
    source = playing(path, FakeTime())
    with pytest.raises(DeviceError, match=words):
        _ = source.open() and source.read()
    source.close()
