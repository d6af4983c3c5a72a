from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parent / "guest/usr/local/lib/bench/replay_writes.py"
SECTOR = 4096
DISCARD, MARK = 4, 8


def entry(sector: int, data: bytes, flags: int = 0) -> bytes:
    head = struct.pack("<QQQQ", sector, len(data) // 512, flags, 0)
    return head.ljust(SECTOR, b"\0") + data.ljust(-(-len(data) // SECTOR) * SECTOR, b"\0")


def mark(name: bytes) -> bytes:
    return (struct.pack("<QQQQ", 0, 0, MARK, len(name)) + name).ljust(SECTOR, b"\0")


def log_of(*entries: bytes) -> bytes:
    head = struct.pack("<QQQI", 0x6A736677736872, 1, len(entries), SECTOR)
    return head.ljust(SECTOR, b"\0") + b"".join(entries)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log"
    path.write_bytes(
        log_of(
            entry(8, b"a" * SECTOR),
            entry(1, b"b" * 512),
            entry(0, b"c" * SECTOR, DISCARD)[:SECTOR],
            mark(b"here"),
            entry(8, b"d" * SECTOR),
            mark(b"there"),
        )
    )
    return path


def replay(log: Path, mark: str) -> tuple[int, bytes, str]:
    disk = log.with_name("disk")
    disk.write_bytes(bytes(4 * SECTOR))
    done = subprocess.run(
        [sys.executable, PROGRAM, log, disk, mark], capture_output=True, text=True, check=False
    )
    return done.returncode, disk.read_bytes(), done.stdout + done.stderr


def test_writes_up_to_the_mark_are_done(log: Path) -> None:
    code, disk, said = replay(log, "here")
    assert (code, said) == (0, "2\n")
    assert disk[SECTOR : 2 * SECTOR] == b"a" * SECTOR
    assert disk[512:1024] == b"b" * 512
    assert not disk[1024:SECTOR].strip(b"\0")


def test_later_writes_replace_earlier_ones(log: Path) -> None:
    _, disk, said = replay(log, "there")
    assert said == "3\n"
    assert disk[SECTOR : 2 * SECTOR] == b"d" * SECTOR


def test_a_mark_that_is_not_there_is_told(log: Path) -> None:
    code, _, said = replay(log, "nowhere")
    assert code
    assert "no mark nowhere" in said
