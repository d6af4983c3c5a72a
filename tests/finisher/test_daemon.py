"""`recorderd finish` as systemd starts it, after a shift of the real station."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from recorderd.core.signals import Signal
from recorderd.finisher.idle import PLENTY_OF_PROCESSORS
from recorderd.store.footage import thumbnail_path
from tests.finisher.archive import facts_of
from tests.station.clips import counters, write_clip
from tests.station.daemon import Daemon

pytestmark = pytest.mark.slow


def test_deferred_shift_is_finished(tmp_path: Path) -> None:
    """Deferred recordings become H.264 with every frame; thumbnails and hashes are there."""
    clip = tmp_path / "clip.mp4"
    write_clip(clip, [(1.0, None), (3.0, "ORDER-A"), (3.0, "ORDER-B")])
    daemon = Daemon(
        tmp_path,
        {
            "camera": {"source": f"file:{clip}"},
            "recording": {"mode": "defer", "pre_roll_seconds": 1.0},
        },
    ).start()
    daemon.wait_for(Signal.STARTED)
    assert daemon.wait(60) == 0
    rows = daemon.rows()
    assert [row.order_id for row in rows] == ["ORDER-A", "ORDER-B"]
    before = {row.id: counters(daemon.video(row)) for row in rows}
    times = {row.id: facts_of(daemon.video(row)).times for row in rows}
    hashes = {row.id: hashlib.sha256(daemon.video(row).read_bytes()).hexdigest() for row in rows}

    finisher = subprocess.Popen(
        [sys.executable, "-m", "recorderd", "finish", "--config", str(daemon.config)]
    )
    try:
        _wait_for_hashes(daemon.state / "catalogue.db", len(rows))
        finisher.send_signal(signal.SIGTERM)
        assert finisher.wait(10) == 0
    finally:
        finisher.kill()
        finisher.wait()

    for row, (sha256, transcoded_from) in zip(
        daemon.rows(), _seals(daemon.state / "catalogue.db"), strict=True
    ):
        video = daemon.video(row)
        assert (row.codec, row.state, row.bytes) == ("h264", "saved", video.stat().st_size)
        assert facts_of(video).codec == "h264"
        assert facts_of(video).times == times[row.id]
        assert counters(video) == before[row.id]
        assert transcoded_from == hashes[row.id]
        assert sha256 == hashlib.sha256(video.read_bytes()).hexdigest()
        assert thumbnail_path(video).exists()
    assert not list((daemon.state / "incoming").iterdir())


@pytest.mark.skipif(
    (os.cpu_count() or 1) >= PLENTY_OF_PROCESSORS, reason="this machine has enough for both"
)
def test_it_rests_while_an_order_is_recorded(tmp_path: Path) -> None:
    """The first order waits to be encoded while the second one is packed; then it is its turn."""
    clip = tmp_path / "clip.mp4"
    write_clip(clip, [(1.0, None), (3.0, "ORDER-A"), (16.0, "ORDER-B")])
    daemon = Daemon(
        tmp_path,
        {
            "camera": {"source": f"file:{clip}"},
            "recording": {"mode": "defer", "pre_roll_seconds": 1.0},
        },
    ).start()
    finisher = subprocess.Popen(
        [sys.executable, "-m", "recorderd", "finish", "--config", str(daemon.config)]
    )
    try:
        daemon.wait_until(
            lambda status: (
                status.get("order") == "ORDER-B"
                and status["phase"] == "recording"
                and _published(daemon).get("resting") is True
            )
        )
        assert os.sched_getscheduler(finisher.pid) == os.SCHED_IDLE
        began, used = time.monotonic(), _processor_seconds(finisher.pid)
        said = subprocess.run(
            [sys.executable, "-m", "recorderd", "status", "--config", str(daemon.config)],
            capture_output=True,
            text=True,
            check=False,
        ).stdout
        assert re.search(r"encoding ORDER-A, \d %, rests while an order is recorded", said)
        assert daemon.status()["phase"] == "recording"
        spent = _processor_seconds(finisher.pid) - used
        assert spent < 0.5 * (time.monotonic() - began)
        assert _published(daemon)["doing"]["order"] == "ORDER-A"
        assert all(row.codec == "mjpeg" for row in daemon.rows() if row.order_id == "ORDER-A")
        assert daemon.wait(60) == 0
        _wait_for_hashes(daemon.state / "catalogue.db", 2)
        assert [row.codec for row in daemon.rows()] == ["h264", "h264"]
        finisher.send_signal(signal.SIGTERM)
        assert finisher.wait(10) == 0
        assert not (daemon.run_folder / "finisher.json").exists()
    finally:
        finisher.kill()
        finisher.wait()
        daemon.stop()


def _published(daemon: Daemon) -> dict[str, Any]:
    try:
        document: dict[str, Any] = json.loads((daemon.run_folder / "finisher.json").read_bytes())
        return document
    except OSError:
        return {}


def _processor_seconds(process_id: int) -> float:
    """What all its threads have used (proc(5): fields 14 and 15 of stat)."""
    fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _seals(database: Path) -> list[tuple[str | None, str | None]]:
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        return connection.execute(
            "SELECT sha256, transcoded_from FROM recordings ORDER BY id"
        ).fetchall()


def _wait_for_hashes(database: Path, count: int) -> None:
    deadline = time.monotonic() + 60
    while sum(sha256 is not None for sha256, _ in _seals(database)) < count:
        assert time.monotonic() < deadline, _seals(database)
        time.sleep(0.1)
