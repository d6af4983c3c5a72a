"""A recording that a full disk left torn is mended once there is room again."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path
from typing import Any

import pytest

from recorderd.engine import verify
from recorderd.engine.salvage import facts_of
from recorderd.finisher import run
from recorderd.finisher.run import Finisher
from recorderd.mp4.boxes import is_closed
from recorderd.recovery.mending import enter
from tests.engine.pictures import numbers_in
from tests.recovery.disk import COUNT, WRITTEN_MS, Disk, new, video
from tests.syncs import Syncs


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    """As after the disk was full: published as it was, and found not to be closed."""
    disk = Disk(tmp_path).prepare()
    torn = video()[0]
    disk.capture(content=torn)
    facts = facts_of(disk.video())
    assert facts is not None
    duration_ms = round(facts.duration_ns / 1e6)
    disk.set(
        frames=facts.frames,
        duration_ms=duration_ms,
        recovered=True,
        missing_ms=WRITTEN_MS - duration_ms,
        stop_reason="disk-full",
    )
    with disk.catalogue() as catalogue:
        problem = verify.problem_of(disk.video(), facts.frames, facts.duration_ns)
        assert problem is not None
        catalogue.damaged(new().id, problem)
    return disk


@pytest.fixture
def finisher(disk: Disk) -> Finisher:
    return Finisher(disk.settings, threading.Event())


def _roomy(monkeypatch: pytest.MonkeyPatch, room: bool) -> None:
    monkeypatch.setattr(Finisher, "_has_room_beside", lambda *_: room)


def test_it_is_on_the_disk_under_its_name_before_its_row_says_so(
    disk: Disk, finisher: Finisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    _roomy(monkeypatch, True)
    syncs = Syncs(monkeypatch)
    on_disk: list[bool] = []

    def looking(*arguments: Any) -> str:
        file = disk.video()
        on_disk.append(syncs.has_all_of(file) and file.name in syncs.folders[file.parent])
        return enter(*arguments)

    monkeypatch.setattr(run, "enter", looking)
    finisher.look()
    assert on_disk == [True]


def test_it_becomes_an_ordinary_recording(
    disk: Disk, finisher: Finisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing_ms = disk.row()["missing_ms"]
    _roomy(monkeypatch, True)
    finisher.look()
    row = disk.row()
    assert (row["state"], row["problem"]) == ("recovered", None)
    assert row["missing_ms"] == missing_ms > 0
    assert row["frames"] > COUNT - 8
    assert numbers_in(disk.video()) == list(range(row["frames"]))
    assert is_closed(disk.video())
    assert row["bytes"] == disk.video().stat().st_size
    finisher.look()
    assert disk.row()["sha256"] == hashlib.sha256(disk.video().read_bytes()).hexdigest()
    assert disk.found() == []


def test_without_room_it_waits(
    disk: Disk, finisher: Finisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    _roomy(monkeypatch, False)
    finisher.look()
    assert disk.row()["state"] == "damaged"
    assert disk.video().read_bytes() == video()[0]
    _roomy(monkeypatch, True)
    finisher.look()
    assert disk.row()["state"] == "recovered"


def test_killed_before_the_row_knows(
    disk: Disk, finisher: Finisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    _roomy(monkeypatch, True)
    with monkeypatch.context() as patched:
        patched.setattr(run, "enter", _interrupted)
        with pytest.raises(KeyboardInterrupt):
            finisher.look()
    assert is_closed(disk.video())
    assert disk.row()["state"] == "damaged"
    Finisher(disk.settings, threading.Event()).look()
    assert disk.row()["state"] == "recovered"


def _interrupted(*_: object) -> str:
    raise KeyboardInterrupt


def test_what_cannot_be_mended_is_looked_at_once(
    disk: Disk, finisher: Finisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    _roomy(monkeypatch, True)
    disk.video().write_bytes(b"no video")
    finisher.look()
    monkeypatch.setattr(run, "mend", lambda *_: pytest.fail("this was tried already"))
    finisher.look()
    assert disk.row()["state"] == "damaged"
    assert disk.video().read_bytes() == b"no video"


def test_a_whole_file_with_another_trouble_stays_as_it_is(
    disk: Disk, finisher: Finisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    _roomy(monkeypatch, True)
    disk.video().write_bytes(video()[1])
    finisher.look()
    assert disk.row()["state"] == "damaged"
