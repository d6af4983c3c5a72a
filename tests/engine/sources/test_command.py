from __future__ import annotations

import os
import shlex
import sys
import threading
import time
from fractions import Fraction
from pathlib import Path

import pytest

from recorderd.engine.packets import SourcePacket
from recorderd.engine.sources.command import CommandSource
from recorderd.errors import DeviceError
from recorderd.settings import CameraSettings
from tests.engine.sources.videos import write_video

CAMERA = CameraSettings(rate=20.0)

WRITES_A_FILE = """
import sys, time
data = open(sys.argv[1], "rb").read()
for start in range(0, len(data), 3000):
    sys.stdout.buffer.write(data[start:start + 3000])
    sys.stdout.buffer.flush()
    time.sleep(float(sys.argv[2]))
"""


def python(script: str, *arguments: object) -> str:
    return shlex.join([sys.executable, "-c", script, *map(str, arguments)])


def read_to_the_end(source: CommandSource) -> tuple[list[SourcePacket], DeviceError]:
    pictures: list[SourcePacket] = []
    while True:
        try:
            picture = source.read()
        except DeviceError as error:
            return pictures, error
        assert picture is not None
        pictures.append(picture)


def process_is_alive(process_id: int) -> bool:
    try:
        stat = Path(f"/proc/{process_id}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


@pytest.mark.parametrize(
    ("encoder", "container_format", "codec"),
    [
        ("mjpeg", "mjpeg", "mjpeg"),
        ("libx264", "h264", "h264"),
        ("libx264", "mpegts", "h264"),
        ("libx264", "matroska", "h264"),
    ],
)
def test_streams_from_a_program(
    tmp_path: Path, encoder: str, container_format: str, codec: str
) -> None:
    path = tmp_path / "stream"
    write_video(
        path,
        codec=encoder,
        count=60,
        rate=Fraction(20),
        container_format=container_format,
        options={} if encoder == "mjpeg" else {"bf": "0", "g": "10"},
    )
    source = CommandSource(CAMERA, python(WRITES_A_FILE, path, 0.0))
    before = time.monotonic_ns()
    described = source.open()
    assert (described.codec, described.width, described.height) == (codec, 160, 120)
    assert described.rate == 20
    pictures, error = read_to_the_end(source)
    source.close()
    assert len(pictures) == 60
    assert pictures[0].captured_ns >= before
    decodes = [picture.decode_ns for picture in pictures]
    assert decodes == sorted(set(decodes))
    assert "ended with status 0" in error.problem


def test_pictures_of_a_bare_stream_get_the_time_they_came(tmp_path: Path) -> None:
    """Opening reads ahead; that must not squeeze the first pictures into one moment."""
    path = tmp_path / "stream"
    write_video(path, codec="mjpeg", count=40, container_format="mjpeg")
    source = CommandSource(CAMERA, python(WRITES_A_FILE, path, 0.02))
    source.open()
    pictures, _ = read_to_the_end(source)
    source.close()
    total = path.stat().st_size / 3000 * 0.02
    spread = (pictures[-1].captured_ns - pictures[0].captured_ns) / 1e9
    assert spread > total * 0.7


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("/no/such/program --x", "There is no program"),
        ("/dev/null", "cannot be started"),
        ("program 'unfinished", "is no command"),
        ('""', "There is no program|cannot be started"),
        (python("import sys; sys.exit('no camera found')"), 'status 1: "no camera found"'),
        (python("print('hello ' * 5000)"), "status 0"),
        (python("import os; os.kill(os.getpid(), 9)"), "signal 9"),
        (
            python("import os, time; os.write(1, os.urandom(3_000_000)); time.sleep(60)"),
            "not video|sends no video",
        ),
    ],
)
def test_what_goes_wrong_is_said(command: str, words: str) -> None:
    source = CommandSource(CAMERA, command, open_seconds=2.0)
    with pytest.raises(DeviceError, match=words):
        source.open()
    source.close()


def test_a_program_that_hangs_is_given_up_and_killed(tmp_path: Path) -> None:
    note = tmp_path / "ids"
    script = (
        "import os, signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = subprocess.Popen(['sleep', '600'])\n"
        "open(sys.argv[1], 'w').write(f'{os.getpid()} {child.pid}')\n"
        "time.sleep(600)\n"
    )
    source = CommandSource(CAMERA, python(script, note), open_seconds=0.7)
    with pytest.raises(DeviceError, match="sends no video"):
        source.open()
    ids = [int(number) for number in note.read_text().split()]
    assert all(process_is_alive(number) for number in ids)
    source.close()
    assert not any(process_is_alive(number) for number in ids)


def test_interrupt_ends_waiting_for_a_silent_program(tmp_path: Path) -> None:
    path = tmp_path / "stream"
    write_video(path, codec="mjpeg", count=30, container_format="mjpeg")
    script = WRITES_A_FILE + "time.sleep(600)"
    source = CommandSource(CAMERA, python(script, path, 0.0))
    # A stream of which the end may be waited for: opening reads part of it, then all.
    timer = threading.Timer(1.0, source.interrupt)
    timer.start()
    try:
        source.open()
        _, error = read_to_the_end(source)
    except DeviceError as given_up:
        error = given_up
    timer.join()
    assert "given up" in error.problem
    source.close()
    source.close()


def test_a_program_that_complains_a_lot_does_not_block(tmp_path: Path) -> None:
    path = tmp_path / "stream"
    write_video(path, codec="mjpeg", count=30, container_format="mjpeg")
    script = "import sys\nsys.stderr.write('noise\\n' * 100_000)\n" + WRITES_A_FILE
    source = CommandSource(CAMERA, python(script, path, 0.0))
    source.open()
    pictures, error = read_to_the_end(source)
    source.close()
    assert len(pictures) == 30
    assert '"noise"' in error.problem


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208

    before = descriptors()
    for command in ("/no/such/program", python("raise SystemExit(1)")):
        source = CommandSource(CAMERA, command)
        with pytest.raises(DeviceError):
            source.open()
        source.close()
    assert descriptors() == before
