from __future__ import annotations

import os
import subprocess
import sys
from copy import deepcopy
from pathlib import Path
from random import Random

import pytest

from tests.faults.replay import Disk, Luck, Operation, difference, records
from tests.faults.rig import library

PROGRAM = """
import os, subprocess, sys
folder = sys.argv[1]
def write(name, data, sync):
    file = os.open(f"{folder}/{name}", os.O_WRONLY | os.O_CREAT, 0o600)
    os.write(file, data)
    if sync:
        os.fsync(file)
    os.close(file)
def sync_folder():
    file = os.open(folder, os.O_RDONLY)
    os.fsync(file)
    os.close(file)
write("certain", b"c" * 9000, True)
write("moved", b"m" * 9000, True)
sync_folder()
write("contents only", b"o" * 9000, True)
write("nothing certain", b"n" * 9000, False)
os.rename(f"{folder}/moved", f"{folder}/there")
subprocess.run(["true"], check=True)  # a child that closes all its files
write("certain", b"C" * 5000, False)
"""


class Traced:
    def __init__(self, folder: Path) -> None:
        self.folder = folder / "folder"
        self.folder.mkdir()
        before = Disk(self.folder)
        trace = folder / "trace"
        subprocess.run(
            [sys.executable, "-c", PROGRAM, str(self.folder)],
            check=True,
            env={
                **os.environ,
                "LD_PRELOAD": str(library()),
                "FAULTS_FOLDER": str(self.folder),
                "FAULTS_TRACE": str(trace),
            },
        )
        self.records = records(trace)
        self.before = before
        self._target = folder / "left"
        self._number = 0

    def disk(self) -> Disk:
        disk = deepcopy(self.before)
        for record in self.records:
            disk.play(record)
        return disk

    def left(self, luck: Luck, seed: int = 0) -> dict[str, bytes]:
        self._number += 1
        target = self._target.with_name(f"left-{self._number}")
        self.disk().leave(target, luck, Random(seed))
        return {path.name: path.read_bytes() for path in target.iterdir()}


@pytest.fixture
def traced(tmp_path: Path) -> Traced:
    return Traced(tmp_path)


def test_the_trace_leads_to_the_folder(traced: Traced, tmp_path: Path) -> None:
    traced.disk().leave(tmp_path / "again", Luck.KEPT, Random(0))
    assert difference(tmp_path / "again", traced.folder) == []
    (tmp_path / "again" / "certain").write_bytes(b"other")
    assert difference(tmp_path / "again", traced.folder) == ["certain"]


def test_only_what_was_synced_is_there_at_the_worst(traced: Traced) -> None:
    assert traced.left(Luck.LOST) == {"certain": b"c" * 9000, "moved": b"m" * 9000}


def test_names_without_contents(traced: Traced) -> None:
    left = traced.left(Luck.EMPTY)
    assert left["nothing certain"] == b""
    assert left["contents only"] == b"o" * 9000
    assert left["there"] == b"m" * 9000
    assert traced.left(Luck.ZEROS)["nothing certain"] == bytes(9000)


@pytest.mark.parametrize("luck", list(Luck))
def test_what_was_synced_survives_whatever_the_luck(traced: Traced, luck: Luck) -> None:
    for seed in range(20):
        left = traced.left(luck, seed)
        assert left["certain"][5000:] == b"c" * 4000
        assert set(left["certain"][:5000]) <= set(b"cC")
        assert [left.get(name) for name in ("moved", "there")].count(b"m" * 9000) == 1


def test_any_pages_may_be_there(traced: Traced) -> None:
    found = {traced.left(Luck.ANY, seed).get("nothing certain") for seed in range(200)}
    assert None in found
    assert b"n" * 9000 in found
    torn = [data for data in found if data and b"\0" in data and b"n" in data]
    assert torn, "some pages, but not those before them"


def test_what_is_written_while_syncing_is_not_certain(traced: Traced, tmp_path: Path) -> None:
    """Syncing promises only what was written before it began."""
    kinds = [record.operation for record in traced.records]
    writes, begins = kinds.index(Operation.WRITTEN), kinds.index(Operation.SYNC_BEGINS)
    reordered = list(traced.records)
    reordered[writes], reordered[begins] = reordered[begins], reordered[writes]
    disk = deepcopy(traced.before)
    for record in reordered:
        disk.play(record)
    disk.leave(tmp_path / "left", Luck.LOST, Random(0))
    assert (tmp_path / "left" / "certain").read_bytes() == b""
