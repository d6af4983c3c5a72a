"""What a hostile, clumsy or broken world may give the daemon, and its clear answer to each."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import pytest

from recorderd.bench.clips import write_jpegs
from recorderd.core.signals import Signal
from tests.engine.label_images import qr, qr_with_eci
from tests.station.clips import write_clip
from tests.station.daemon import Daemon
from tests.station.labels import SIZE, photo, symbol, unlike

pytestmark = pytest.mark.slow

RATE = 10
EMPTY = photo()
HOSTILE: list[str | bytes] = [
    "../../etc/passwd",
    "x" * 2900,
    "🎁📦 für Zoë",
    "a\x00b\x1b[2J\r\n<script>'; DROP TABLE recordings;--",
    b"\xff\xfe\xfd\x80 no UTF-8",
    "https://example.com/track?id=1&x=%0A",
]


def _clip(path: Path, acts: list[tuple[float, bytes]]) -> Path:
    jpegs = [jpeg for seconds, jpeg in acts for _ in range(round(seconds * RATE))]
    write_jpegs(path, jpegs, RATE, SIZE)
    return path


def _command(daemon: Daemon, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "recorderd", *arguments, "--config", str(daemon.config)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def _playable(daemon: Daemon) -> None:
    """Every row is saved, and its file shows as many pictures as it says."""
    for row in daemon.rows():
        assert row.state in ("saved", "recovered"), row
        with av.open(str(daemon.video(row))) as container:
            assert sum(1 for _ in container.decode(video=0)) == row.frames


def test_hostile_label_texts(tmp_path: Path) -> None:
    """Refused by the default pattern; taken, as they are, by one that takes everything."""
    acts = [(1.0, EMPTY), *((2.2, photo(symbol(text, module=4))) for text in HOSTILE)]
    clip = _clip(tmp_path / "clip.mp4", [*acts, (0.5, EMPTY)])
    camera = {"camera": {"source": f"file:{clip}"}, "recording": {"mode": "defer"}}
    strict = Daemon(tmp_path / "strict", camera).start()
    greedy = Daemon(
        tmp_path / "greedy",
        {**camera, "labels": {"pattern": "(?s).+", "maximum_length": 4096}},
    ).start()
    assert strict.wait(60) == 0
    assert greedy.wait(60) == 0

    answers = [signal for _, signal in strict.signals()]
    assert answers.count(Signal.REFUSED) == len(HOSTILE)
    assert strict.rows() == []

    rows = greedy.rows()
    assert len(rows) == len(HOSTILE)
    for row, text in zip(rows, HOSTILE, strict=True):
        assert row.order_id == row.label_text
        if isinstance(text, str):
            assert row.label_text == text
        else:
            assert "no UTF-8" in row.label_text
        assert re.fullmatch(
            r"\d{4}/\d\d/\d\d/[A-Za-z0-9-]{1,40}_\d{8}T\d{6}Z_[0-9a-f-]+\.mp4", row.path
        )
        assert greedy.video(row).with_suffix(".jpg").exists()
    _playable(greedy)
    for row, text in zip(rows, ["etc/pass", "xxxxx", "🎁", "[2J", "no UTF-8", "%0A"], strict=True):
        found = json.loads(_command(greedy, "find", "--json", text).stdout)
        assert [entry["order_id"] for entry in found] == [row.order_id], text
    assert "\x1b" not in _command(greedy, "find", "[2J").stdout


@pytest.mark.parametrize("second_reader", [True, False])
def test_two_labels_and_one_that_kills_the_scanner(tmp_path: Path, second_reader: bool) -> None:
    """Which of two is meant is not guessed; a label that aborts zbar is read by zxing-cpp, and
    where only zbar is wanted it costs one frame."""
    clip = _clip(
        tmp_path / "clip.mp4",
        [
            (1.0, EMPTY),
            (2.2, photo(qr("ORDER-A"), qr("ORDER-B"))),
            (2.0, photo(qr("ORDER-A"))),
            (3.0, photo(qr_with_eci("ORDER-KILLER", 1))),
            (2.0, photo(qr("ORDER-C"))),
        ],
    )
    settings: dict[str, dict[str, Any]] = {
        "camera": {"source": f"file:{clip}"},
        "recording": {"mode": "defer"},
        "labels": {"second_reader": second_reader},
    }
    daemon = Daemon(tmp_path, settings).start()
    refused = daemon.wait_for(Signal.REFUSED)
    assert daemon.wait_for(Signal.STARTED) > refused
    if not second_reader:
        daemon.wait_until(lambda status: status.get("counters", {}).get("scanner_deaths", 0) > 0)
    assert daemon.wait(30) == 0
    assert [row.order_id for row in daemon.rows()] == ["ORDER-A", "ORDER-KILLER", "ORDER-C"]
    _playable(daemon)


class Disk:
    """A disk of its own for the footage; needs the right to mount."""

    def __init__(self, place: Path) -> None:
        self.place = place
        place.mkdir()
        self.mount("-t", "tmpfs", "-o", "size=150m", "tmpfs")

    def mount(self, *arguments: str) -> None:
        done = subprocess.run(
            ["mount", *arguments, str(self.place)], capture_output=True, check=False
        )
        if done.returncode != 0:
            pytest.skip("mounting a disk is not allowed here")

    def unmount(self) -> None:
        subprocess.run(["umount", str(self.place)], check=True)

    def remount(self, how: str) -> bool:
        """Not possible while a file is open for writing."""
        return (
            subprocess.run(
                ["mount", "-o", f"remount,{how}", str(self.place)], capture_output=True, check=False
            ).returncode
            == 0
        )


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    disk = Disk(tmp_path / "disk")
    yield disk
    while subprocess.run(["umount", "--lazy", str(disk.place)], check=False).returncode == 0:
        pass


def test_footage_disk_in_trouble(tmp_path: Path, disk: Disk) -> None:
    """Missing, replaced by a file, full, read-only: heard within two seconds, labels are
    refused, and the station goes on by itself when it was mended."""
    clip = _clip(tmp_path / "clip.mp4", [(1.0, EMPTY), (1.2, photo(qr("SO-1")))])
    daemon = Daemon(
        tmp_path,
        {
            "camera": {"source": f"file:{clip}", "loop": True},
            "storage": {"footage_folder": str(disk.place / "footage")},
            "labels": {"rearm_seconds": 0.5, "on_same_label": "ignore"},
            "recording": {"mode": "defer", "resume_seconds": 0.0, "pre_roll_seconds": 0.5},
        },
    )
    footage, elsewhere = disk.place / "footage", disk.place / "elsewhere"
    filler = disk.place / "filler"

    def fill() -> None:
        with suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(b"x" * 1_000_000)

    def replace_by_file() -> None:
        footage.rename(elsewhere)
        footage.write_text("I am a file")

    def put_back() -> None:
        footage.unlink()
        elsewhere.rename(footage)

    troubles = {
        "is not mounted": (lambda: disk.mount("-t", "tmpfs", "tmpfs"), disk.unmount),
        "Move that file away": (replace_by_file, put_back),
        "is full": (fill, filler.unlink),
    }
    with daemon:
        # A disk cannot be made read-only while a file on it is being written.
        daemon.wait_for(Signal.RECORDING)
        daemon.press("press")
        after = daemon.wait_for(Signal.SAVED)
        assert disk.remount("ro")
        daemon.press("release")
        heard = daemon.wait_for(Signal.FAULT_IDLE, after=after)
        print(f"read-only: heard after {heard - after:.2f} s")
        assert heard - after < 2
        after = daemon.wait_for(Signal.REFUSED, after=heard)
        assert "Mount it for writing" in daemon.log.read_text()
        assert disk.remount("rw")

        for words, (break_it, mend) in troubles.items():
            after = daemon.wait_for(Signal.RECORDING, after=after)
            daemon.wait_until(
                lambda status: any((file["frames"] or 0) > 20 for file in status["recordings"])
            )
            broken = _now(break_it)
            heard = daemon.wait_for(Signal.FAULT_IDLE, after=broken)
            print(f"{words}: heard after {heard - broken:.2f} s")
            assert heard - broken < 2
            refused = daemon.wait_for(Signal.REFUSED, after=heard)
            assert words in daemon.log.read_text()
            after = max(refused, _now(mend))
        daemon.wait_for(Signal.RECORDING, after=after)
        daemon.wait_until(
            lambda status: [file["stage"] for file in status["recordings"]] == ["writing"]
        )
    states = [row.state for row in daemon.rows()]
    assert states[:3] == ["saved", "recovered", "recovered"]
    # What the full disk cut off could not be made whole there; it is kept as it is.
    assert states[3] in ("damaged", "recovered")
    # The label that lay there was tried once more before the full disk was noticed.
    assert states[4:] in (["saved"], ["lost", "saved"])
    for row in daemon.rows():
        if row.state in ("saved", "recovered"):
            with av.open(str(footage / row.path)) as container:
                assert sum(1 for _ in container.decode(video=0)) == row.frames
        elif row.state == "damaged":
            assert (footage / row.path).stat().st_size == row.bytes


def _now(act: Callable[[], object]) -> float:
    act()
    return time.monotonic()


FEEDER = """
import pathlib, sys, time
folder = pathlib.Path(sys.argv[1])
sys.path.insert(0, sys.argv[2])
from tests.station.labels import unlike
runs = folder / "runs"
run = len(runs.read_text()) if runs.exists() else 0
runs.write_text("x" * (run + 1))
jpeg = (folder / "label.jpg").read_bytes()
for number in range(10_000):
    if run == 1 and number == 30:
        sys.exit("the lens fell off")
    frozen = run == 0 and number > 30
    sys.stdout.buffer.write(unlike(jpeg, 0 if frozen else number))
    sys.stdout.buffer.flush()
    time.sleep(0.1)
"""


def test_camera_that_freezes_and_whose_program_ends(tmp_path: Path) -> None:
    """Each is heard, the camera is opened again, and the order goes on in another part."""
    (tmp_path / "label.jpg").write_bytes(photo(qr("SO-1")))
    feeder = tmp_path / "feeder.py"
    feeder.write_text(FEEDER)
    command = f"command:{sys.executable} {feeder} {tmp_path} {os.getcwd()}"  # noqa: PTH109
    daemon = Daemon(
        tmp_path,
        {
            "camera": {"source": command, "frozen_seconds": 1.0, "rate": 10.0},
            "recording": {"mode": "defer"},
        },
    )
    with daemon:
        heard = 0.0
        for words in ("The camera sends the same picture", "the lens fell off"):
            started = daemon.wait_for(Signal.RECORDING, after=heard)
            heard = daemon.wait_for(Signal.FAULT_RECORDING, after=started)
            assert words in daemon.log.read_text()
        daemon.wait_for(Signal.RECORDING, after=heard)
    rows = daemon.rows()
    assert [(row.take, row.part) for row in rows] == [(1, 1), (1, 2), (1, 3)]
    assert [row.stop_reason for row in rows] == ["camera-lost", "camera-lost", "shutdown"]
    _playable(daemon)


def test_damaged_pictures_and_times_that_jump_back(tmp_path: Path) -> None:
    """Damaged ones are counted and left out; every other picture is kept, in order."""
    good = photo(qr("SO-1"))
    jpegs = [unlike(good, number) for number in range(60)]
    for number in range(30, 45, 3):
        jpegs[number] = jpegs[number][: len(good) // 2]
    clip = tmp_path / "clip.mp4"
    write_jpegs(clip, jpegs, RATE, SIZE)
    backwards, once = tmp_path / "twice.ts", tmp_path / "once.ts"
    pictures = write_clip(once, [(1.0, None), (2.0, "SO-2")], codec="libx264")
    backwards.write_bytes(once.read_bytes() * 2)
    cut = Daemon(
        tmp_path / "cut", {"camera": {"source": f"file:{clip}"}, "recording": {"mode": "defer"}}
    ).start()
    jumping = Daemon(tmp_path / "jumping", {"camera": {"source": f"file:{backwards}"}}).start()
    cut.wait_until(lambda status: status.get("counters", {}).get("damaged_pictures") == 5)
    assert cut.wait(30) == 0
    assert jumping.wait(30) == 0
    (row,) = cut.rows()
    assert (row.order_id, row.frames, row.dropped) == ("SO-1", 55, 5)
    _playable(cut)
    (row,) = jumping.rows()
    _playable(jumping)
    # Where one copy ends and the next begins a picture is cut.
    assert (row.order_id, row.dropped) == ("SO-2", 1)
    # FFmpeg's demuxer itself may leave out the picture at the seam.
    assert 2 * pictures - 1 <= (row.frames or 0) <= 2 * pictures
    with av.open(str(jumping.video(row))) as container:
        times = [frame.time or 0.0 for frame in container.decode(video=0)]
    assert all(earlier < later for earlier, later in pairwise(times))


def test_config_with_five_mistakes(tmp_path: Path) -> None:
    config = tmp_path / "recorderd.toml"
    config.write_text(
        '[camera]\nsource = "usb"\nrate = "fast"\n[labels]\npattern = "("\n'
        "[recording]\nquality = 99\n[panle]\ndriver = 1\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "recorderd", "run", "--config", str(config)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 78
    for mistake in ("camera.source", "camera.rate", "labels.pattern", "recording.quality", "panle"):
        assert mistake in done.stderr
    assert "5 mistakes" in done.stderr
