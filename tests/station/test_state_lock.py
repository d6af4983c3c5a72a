from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from recorderd.errors import StorageError
from recorderd.station.state_lock import StateLock


def test_a_second_station_is_refused_in_words(tmp_path: Path) -> None:
    first = StateLock(tmp_path)
    waits: list[float] = []
    with pytest.raises(StorageError, match="Another recorderd is working"):
        StateLock(tmp_path, patience_seconds=1.0, sleep=waits.append)
    assert sum(waits) == pytest.approx(1.0)
    first.release()
    StateLock(tmp_path, patience_seconds=0).release()


def test_a_new_station_waits_for_the_old_engine(tmp_path: Path) -> None:
    """The engine has inherited the lock and outlives its station."""
    lock = StateLock(tmp_path)
    engine = subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdin.read()"],
        stdin=subprocess.PIPE,
        pass_fds=[lock.descriptor],
    )
    os.close(lock.descriptor)

    def let_the_engine_end(_seconds: float) -> None:
        engine.communicate()

    StateLock(tmp_path, patience_seconds=5, sleep=let_the_engine_end).release()
    assert engine.returncode == 0
