from __future__ import annotations

import errno
import os
import struct
from pathlib import Path

import av
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recorderd.engine.footage_file import FootageFile
from recorderd.engine.packets import Packet
from recorderd.engine.pipelines import CopyPipeline
from recorderd.engine.verify import problem_of
from tests.engine.pictures import START, at_rate, inter_stream, mjpeg_packets, mjpeg_stream

TIMES = at_rate(40)
LENGTH = TIMES[-1] - TIMES[0]


def recorded(path: Path, kind: str = "mjpeg", bad: int | None = None) -> Path:
    """A finished file of 40 pictures, one of them of zeros if so asked."""
    file = FootageFile(path, {}, 1.0)
    description, packets = mjpeg_stream(), mjpeg_packets(TIMES)
    if kind != "mjpeg":
        description, inter = inter_stream(40, b_frames=2 if kind == "b-frames" else 0)
        packets = list(inter)
    pipeline = CopyPipeline(file, description, START, 0)
    for number, packet in enumerate(packets):
        data = bytes(len(packet.data)) if number == bad else packet.data
        pipeline.write(
            Packet(packet.sequence, data, packet.captured_ns, packet.decode_ns, packet.keyframe)
        )
    file.close()
    return path


@pytest.mark.parametrize("kind", ["mjpeg", "h264", "b-frames"])
def test_a_good_file_passes(tmp_path: Path, kind: str) -> None:
    assert problem_of(recorded(tmp_path / "a.mp4", kind), 40, LENGTH) is None


@pytest.mark.parametrize("frames", [0, 39, 41])
def test_a_wrong_number_of_pictures_is_named(tmp_path: Path, frames: int) -> None:
    assert problem_of(recorded(tmp_path / "a.mp4"), frames, LENGTH) == (
        f"the file holds 40 pictures, {frames} were written"
    )


@pytest.mark.parametrize("error_ns", [-20_000_000, 20_000_000, 3_600_000_000_000])
def test_a_wrong_length_is_named(tmp_path: Path, error_ns: int) -> None:
    problem = problem_of(recorded(tmp_path / "a.mp4"), 40, LENGTH + error_ns)
    assert problem is not None
    assert "the file is 1.300 s long" in problem


@pytest.mark.parametrize("bad", [0, 39])
def test_a_picture_at_either_end_that_does_not_decode_is_named(tmp_path: Path, bad: int) -> None:
    assert problem_of(recorded(tmp_path / "a.mp4", bad=bad), 40, LENGTH) is not None


def test_pictures_that_lie_upon_one_another_are_named(tmp_path: Path) -> None:
    """As the index says where the muxer had no memory for a picture."""
    path = recorded(tmp_path / "a.mp4")
    content = bytearray(path.read_bytes())
    table = content.index(b"stco", content.rindex(b"moov")) + 8
    (count,) = struct.unpack_from(">I", content, table)
    *_, before, last = struct.unpack_from(f">{count}I", content, table + 4)
    struct.pack_into(">I", content, table + 4 * count, before + 9)
    path.write_bytes(content)
    assert last > before + 9
    assert problem_of(path, 40, LENGTH) == "pictures are missing in the middle of the file"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    problem = problem_of(tmp_path / "a.mp4", 40, LENGTH)
    assert problem is not None
    assert "cannot be read" in problem


def test_a_file_without_video_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"\0\0\0\x08moov")
    problem = problem_of(path, 40, LENGTH)
    assert problem is not None
    assert "cannot be read" in problem


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(share=st.floats(0, 0.9999))
def test_a_cut_file_is_named(tmp_path: Path, share: float) -> None:
    whole = tmp_path / "whole.mp4"
    if not whole.exists():
        recorded(whole)
    content = whole.read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(content[: int(len(content) * share)])
    assert problem_of(cut, 40, LENGTH) is not None


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(place=st.integers(0, 80_000), fill=st.binary(min_size=1, max_size=64))
def test_no_damage_makes_it_raise(tmp_path: Path, place: int, fill: bytes) -> None:
    whole = tmp_path / "whole.mp4"
    if not whole.exists():
        recorded(whole)
    content = bytearray(whole.read_bytes())
    place %= len(content)
    # Half of the damage falls onto the index at the end.
    if place % 2:
        place = len(content) - 1 - place % 1600
    content[place : place + len(fill)] = fill
    damaged = tmp_path / "damaged.mp4"
    damaged.write_bytes(content)
    problem_of(damaged, 40, LENGTH)


@pytest.mark.parametrize("code", [errno.EAGAIN, errno.EMFILE])
def test_a_computer_without_threads_says_nothing_about_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    video = recorded(tmp_path / "a.mp4")

    def no_decoder(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(av, "open", no_decoder)
    with pytest.raises(OSError, match=os.strerror(code)):
        problem_of(video, 40, LENGTH)
