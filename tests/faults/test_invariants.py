"""The checks find what they are there to find."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from recorderd.core.signals import Signal
from tests.faults.invariants import check
from tests.faults.rig import Rig

pytestmark = pytest.mark.slow


def _problems(rig: Rig, promised: list[str]) -> str:
    rig.known.clear()
    rig.complaints.clear()
    outcome = check(rig, promised, before_ns=time.monotonic_ns(), running=False)
    return "\n".join(outcome.violations)


def _change(rig: Rig, statement: str) -> None:
    with closing(sqlite3.connect(rig.daemon.state / "catalogue.db")) as database, database:
        database.execute(statement)


def test_each_kind_of_broken_promise_is_found(tmp_path: Path) -> None:
    rig = Rig(tmp_path, "defer")
    with rig:
        rig.daemon.wait_for(Signal.SAVED, after=rig.daemon.wait_for(Signal.SAVED))
    promised = rig.saved_lines()
    assert len(promised) >= 2
    assert _problems(rig, promised) == ""

    first = rig.rows()[0]
    video = rig.settings.footage_folder / first.path
    whole = video.read_bytes()

    def with_file(contents: bytes | None) -> str:
        video.unlink()
        if contents is not None:
            video.write_bytes(contents)
        found = _problems(rig, promised)
        video.write_bytes(whole)
        return found

    assert "is not there" in with_file(None)
    assert "does not play" in with_file(b"rubbish")
    # Zeros where pictures were: the size is right, the index whole.
    middle = len(whole) // 2
    found = with_file(whole[: middle - 60_000] + bytes(120_000) + whole[middle + 60_000 :])
    assert "pictures" in found or "does not play" in found

    (rig.settings.footage_folder / "foreign.mp4").write_bytes(whole)
    assert "without a row" in _problems(rig, promised)
    (rig.settings.footage_folder / "foreign.mp4").unlink()

    _change(rig, "UPDATE recordings SET take = take + 1")
    assert "takes" in _problems(rig, promised)
    _change(rig, "UPDATE recordings SET take = take - 1")
    _change(rig, "UPDATE recordings SET state = 'lost'")
    assert "promised" in _problems(rig, promised)
    assert "there is no row" in _problems(rig, ["never recorded"])
