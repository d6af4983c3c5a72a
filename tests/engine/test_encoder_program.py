from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from recorderd.engine.encoder_kinds import KINDS, EncodeRequest
from recorderd.engine.encoder_program import EncodedPicture, EncoderProgram, arguments
from recorderd.errors import DeviceError
from tests.engine.pictures import SETTINGS, X264_BESIDE, jpeg, mjpeg_stream

REQUEST = EncodeRequest.for_stream(mjpeg_stream(), SETTINGS)
UNEVEN = [
    number * 3000 + number * 7 % 5 * 31 + (90_000 if number >= 40 else 0) for number in range(60)
]
"""A camera's times are never regular, and once there is a pause."""

Start = Callable[..., EncoderProgram]


@pytest.fixture
def start() -> Iterator[Start]:
    begun: list[EncoderProgram] = []
    threads = threading.active_count()

    def make(program: str = "ffmpeg", stuck_seconds: float = 10.0) -> EncoderProgram:
        begun.append(
            EncoderProgram(X264_BESIDE, REQUEST, program=program, stuck_seconds=stuck_seconds)
        )
        return begun[-1]

    yield make
    for program in begun:
        program.close()
        assert program._process.returncode is not None
    assert threading.active_count() == threads


def script(folder: Path, body: str) -> str:
    path = folder / "ffmpeg-of-the-test"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)


def give(program: EncoderProgram, numbers: range) -> list[EncodedPicture]:
    ready = []
    for number in numbers:
        program.give(jpeg(number % 60), UNEVEN[number])
        ready += program.ready()
    return ready


def test_every_picture_comes_back_at_its_time(start: Start) -> None:
    program = start()
    pictures = give(program, range(60)) + program.finish()
    assert [abs(pts - given) <= 1 for (pts, _, _), given in zip(pictures, UNEVEN[:60], strict=True)]
    # Every half second (gop_seconds), and after the pause.
    assert [number for number, picture in enumerate(pictures) if picture[2]] == [0, 15, 30, 40, 55]


def test_a_damaged_picture_does_not_come_back(start: Start) -> None:
    program = start()
    ready = give(program, range(20))
    program.give(jpeg(20)[:700], UNEVEN[20])
    pictures = ready + give(program, range(21, 60)) + program.finish()
    assert [round(pts / 100) for pts, _, _ in pictures] == [
        round(pts / 100) for number, pts in enumerate(UNEVEN[:60]) if number != 20
    ]


def test_a_stop_of_the_whole_service_does_not_cut_it_off(start: Start) -> None:
    program = start()
    ready = give(program, range(30))
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM, signal.SIGTERM, signal.SIGTERM):
        os.kill(program._process.pid, number)
    assert len(ready + give(program, range(30, 60)) + program.finish()) == 60
    assert signal.SIGTERM not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_nothing_given_is_an_end_without_pictures(start: Start) -> None:
    with pytest.raises(DeviceError, match="ffmpeg program for libx264 ended with status"):
        start().finish()


def test_a_program_that_is_not_there(start: Start) -> None:
    with pytest.raises(DeviceError, match="No such file") as caught:
        start(program="/no/such/ffmpeg")
    assert caught.value.remedy == "Install ffmpeg"


def test_what_the_program_complains_of_is_told(start: Start, tmp_path: Path) -> None:
    program = start(program=script(tmp_path, "echo 'No VA display found' >&2; exit 3"))
    with pytest.raises(DeviceError, match='ended with status 3: "No VA display found"'):
        give(program, range(1000))


def test_a_program_that_was_killed(start: Start) -> None:
    program = start()
    give(program, range(30))
    program._process.kill()
    with pytest.raises(DeviceError, match="was killed by signal 9"):
        give(program, range(30, 1000))


@pytest.mark.parametrize("finishes", [False, True], ids=["while it is given", "at the end"])
def test_a_program_that_hangs_is_given_up(start: Start, tmp_path: Path, finishes: bool) -> None:
    program = start(program=script(tmp_path, "exec sleep 600"), stuck_seconds=0.2)
    if finishes:
        give(program, range(2))
    with pytest.raises(DeviceError, match="hangs"):
        program.finish() if finishes else give(program, range(1000))


def test_what_it_makes_is_no_video(start: Start, tmp_path: Path) -> None:
    program = start(program=script(tmp_path, "cat >/dev/null; echo 'not NUT'"))
    program.give(jpeg(0), 0)
    with pytest.raises(DeviceError, match="ended with status 0"):
        program.finish()


def test_hardware_is_asked_for_what_was_wished() -> None:
    (vaapi,) = [kind for kind in KINDS if kind.beside]
    request = replace(REQUEST, recorded_width=80, recorded_height=60, quality=19)
    zero_copy, upload = (
        " ".join(arguments(vaapi.only(one.name), request)) for one in vaapi.variants
    )
    assert "-hwaccel_output_format vaapi" in zero_copy.partition(" -i pipe:0 ")[0]
    assert "scale_vaapi=w=80:h=60:format=nv12:out_range=full" in zero_copy
    assert "-c:v h264_vaapi -rc_mode CQP -qp 19" in zero_copy
    assert "hwaccel" not in upload
    assert upload.index("scale=80:60") < upload.index("hwupload")
