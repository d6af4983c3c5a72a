"""The checks find what they are there to find."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from recorderd.core.signals import Signal
from tests.faults.invariants import check, lost_seconds
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


class _Told:
    """What `lost_seconds` asks of a rig."""

    def __init__(self, *rows: tuple[float, int, str, int | None]) -> None:
        """Of each row: begin in seconds, part, state, milliseconds."""
        self.whole_pictures: dict[str, int] = {}
        self._rows = [
            SimpleNamespace(
                id=str(number),
                monotonic_ns=round(begin * 1e9),
                part=part,
                state=state,
                duration_ms=milliseconds,
                frames=None,
            )
            for number, (begin, part, state, milliseconds) in enumerate(rows)
        ]

    def rows(self) -> list[SimpleNamespace]:
        return self._rows


RED = [(10.0, Signal.RECORDING), (11.0, Signal.FAULT_RECORDING), (16.0, Signal.RECORDING)]


@pytest.mark.parametrize(
    ("rows", "lost"),
    [
        ([(10.0, 1, "recovered", 900)], 7.0),
        ([(10.0, 1, "recovered", 900), (16.0, 2, "lost", None)], 2.0),
        ([(10.0, 1, "recovered", 900), (16.0, 2, "recovered", 1400)], 0.5),
        # Another order follows at once: what its predecessor lost counts.
        ([(10.0, 1, "recovered", 900), (17.5, 1, "lost", None)], 7.0),
    ],
)
def test_what_a_fault_cost_does_not_hold_the_pause_before_it(
    rows: list[tuple[float, int, str, int | None]], lost: float
) -> None:
    rig = cast("Rig", _Told(*rows))
    assert lost_seconds(rig, 18_000_000_000, RED) == pytest.approx(lost)


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
