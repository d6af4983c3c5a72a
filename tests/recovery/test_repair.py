"""`fsck --repair`: each half-done state comes to its end, once, and wherever it is interrupted."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from recorderd.core.model import RecordingState
from recorderd.engine import verify
from recorderd.mp4.boxes import is_closed
from recorderd.store.catalogue import Catalogue
from recorderd.store.schema import Tables
from tests.engine.pictures import numbers_in
from tests.recovery.disk import STATES, Disk, HalfDone, new, video

STEPS = (
    *("link", "unlink", "rename", "replace", "truncate", "utime", "mkdir", "chmod"),
    *("fsync", "fdatasync"),
)

TRIES = 3
"""So often each repair is killed for real."""


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    (tmp_path / "disk").mkdir()
    return Disk(tmp_path / "disk").prepare()


def check(disk: Disk, state: HalfDone) -> None:
    """The row tells of the file, and the file plays as an ordinary MP4."""
    row = next(iter(disk.rows().values()))
    path = disk.settings.footage_folder / row["path"]
    assert row["state"] == state.state
    assert sorted(disk.found()) == sorted(state.left)
    if state.state in (RecordingState.SAVED, RecordingState.RECOVERED):
        assert is_closed(path)
        assert row["bytes"] == path.stat().st_size
        assert numbers_in(path) == list(range(row["frames"]))
        assert verify.problem_of(path, row["frames"], round(row["duration_ms"] * 1e6)) is None
        assert row["recovered"] is (state.state is RecordingState.RECOVERED)
    else:
        assert path.exists() is (state.state is RecordingState.DAMAGED)


@pytest.mark.parametrize("name", STATES)
def test_each_state_comes_to_its_end_and_stays_there(disk: Disk, name: str) -> None:
    STATES[name].make(disk)
    treated = disk.repair()
    assert all(each.remedy for each in treated if each.done is None)
    assert any(each.done for each in treated) is (name != "foreign files")
    check(disk, STATES[name])
    before = disk.snapshot()
    again = disk.repair()
    assert [each.finding.kind for each in again if each.done is not None] == []
    assert disk.snapshot() == before


def test_an_encoding_under_way_is_left_to_the_helpers(disk: Disk) -> None:
    disk.save()
    section = disk.settings.incoming_folder / f"{new().id}.0003.transcode.mp4"
    disk.write(section, video()[1])
    (treated,) = disk.repair()
    assert treated.finding.path == section
    assert treated.done is None
    assert "go on with it" in treated.remedy
    assert section.exists()


class Killed(BaseException):
    """The process is gone: nothing it would still do is done."""


@contextmanager
def killed_at(step: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Die just before the step of this number (from 1), and do nothing afterwards."""
    count = [0]

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **options: Any) -> Any:
            count[0] += 1
            if step and count[0] >= step:
                raise Killed
            return real(*arguments, **options)

        return run

    real_transaction = Catalogue.transaction

    @contextmanager
    def transaction(catalogue: Catalogue) -> Iterator[Tables]:
        count[0] += 1
        if step and count[0] >= step:
            raise Killed
        with real_transaction(catalogue) as tables:
            yield tables

    with monkeypatch.context() as patched:
        for name in STEPS:
            patched.setattr(os, name, counted(getattr(os, name)))
        patched.setattr(Catalogue, "transaction", transaction)
        yield count


@pytest.mark.parametrize("name", STATES)
def test_killed_at_any_step_it_goes_on_to_the_same_end(
    disk: Disk, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    STATES[name].make(disk)
    whole = disk.copy_to(_folder(tmp_path / "whole"))
    with killed_at(0, monkeypatch) as count:
        whole.repair()
    expected = whole.snapshot()
    check(whole, STATES[name])
    assert count[0] > 0
    for step in range(1, count[0] + 1):
        victim = disk.copy_to(_folder(tmp_path / f"{step}"))
        with killed_at(step, monkeypatch), pytest.raises(Killed):
            victim.repair()
        victim.repair()
        assert victim.snapshot() == expected, step


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


@pytest.mark.slow
@pytest.mark.parametrize("name", STATES)
def test_killed_for_real_it_goes_on_to_the_same_end(disk: Disk, tmp_path: Path, name: str) -> None:
    """The command, and SIGKILL at instants spread over its run."""
    STATES[name].make(disk)
    whole = disk.copy_to(_folder(tmp_path / "whole"))
    began = time.monotonic()
    _command(whole).wait(60)
    took = time.monotonic() - began
    check(whole, STATES[name])
    expected = whole.snapshot()
    for number in range(TRIES):
        victim = disk.copy_to(_folder(tmp_path / f"{number}"))
        process = _command(victim)
        with suppress(subprocess.TimeoutExpired):
            # Most of the first half goes into starting Python.
            process.wait(took * (0.5 + 0.6 * number / TRIES))
        process.kill()
        process.wait(10)
        victim.repair()
        assert victim.snapshot() == expected


def _command(disk: Disk) -> subprocess.Popen[bytes]:
    config = disk.folder / "recorderd.toml"
    station = disk.settings.station
    config.write_text(
        f'[station]\nname = "{station.name}"\nstate_folder = "{station.state_folder}"\n'
        f'run_folder = "{station.run_folder}"\n'
    )
    return subprocess.Popen(
        [sys.executable, "-m", "recorderd", "fsck", "--repair", "--config", str(config)],
        stdout=subprocess.DEVNULL,
    )
