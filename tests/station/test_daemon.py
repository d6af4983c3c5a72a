"""The whole station, as it is run: real processes, real files, simulated camera and panel."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import av
import pytest

from recorderd.core.signals import Signal
from tests.station.clips import counters, write_clip
from tests.station.daemon import Daemon

pytestmark = pytest.mark.slow

SMALL_CAMERA: dict[str, Any] = {"source": "simulated", "width": 1280, "height": 720, "rate": 10.0}


def _decoded(video: Path) -> int:
    with av.open(str(video)) as container:
        return sum(1 for _ in container.decode(video=0))


@pytest.mark.parametrize(
    ("mode", "codec", "size"),
    [
        ("encode", "mjpeg", "camera"),
        ("encode", "mjpeg", "640x640"),
        ("defer", "mjpeg", "camera"),
        ("copy", "libx264", "camera"),
    ],
)
def test_switching_orders_loses_no_frame(tmp_path: Path, mode: str, codec: str, size: str) -> None:
    """One label follows another: the counters run through both videos without a gap, both
    contain the shared pre-roll, and a file source that ends lets the daemon leave cleanly."""
    clip = tmp_path / "clip.mp4"
    pictures = write_clip(
        clip, [(2.0, None), (6.0, "ORDER-A"), (6.0, "ORDER-B"), (1.0, None)], codec=codec
    )
    daemon = Daemon(
        tmp_path,
        {
            "camera": {"source": f"file:{clip}"},
            "recording": {"mode": mode, "size": size, "pre_roll_seconds": 1.0},
        },
    ).start()
    assert daemon.wait(120) == 0
    first, second = daemon.rows()
    assert [first.order_id, second.order_id] == ["ORDER-A", "ORDER-B"]
    assert [first.stop_reason, second.stop_reason] == ["other-label", "source-ended"]
    assert [first.state, second.state] == ["saved", "saved"]
    assert [first.dropped, second.dropped] == [0, 0]
    shape = (1280, 720) if size == "camera" else (640, 360)
    assert {(row.width, row.height) for row in (first, second)} == {shape}
    before, after = counters(daemon.video(first)), counters(daemon.video(second))
    assert len(before) == first.frames
    assert before == list(range(before[0] or 0, (before[-1] or 0) + 1))
    assert after == list(range(after[0] or 0, pictures))
    overlap = (before[-1] or 0) - (after[0] or 0)
    assert 10 <= overlap <= 31, "the second video begins with the pre-roll"
    assert [shown for _, shown in daemon.signals()].count(Signal.SAVED) == 2


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_engine_killed_while_recording(tmp_path: Path, how: signal.Signals) -> None:
    """The panel says so, recording is back within two seconds, and both parts play."""
    settings: dict[str, dict[str, Any]] = {"camera": SMALL_CAMERA, "recording": {"mode": "defer"}}
    with Daemon(tmp_path, settings) as daemon:
        started = daemon.wait_for(Signal.STARTED)
        daemon.wait_until(lambda status: (status.get("recording_seconds") or 0) > 2)
        struck = time.monotonic()
        os.kill(daemon.engine(), how)
        alarm = daemon.wait_for(Signal.FAULT_RECORDING, after=struck)
        back = daemon.wait_for(Signal.RECORDING, after=struck)
        print(f"alarm after {alarm - struck:.2f} s, recording again after {back - struck:.2f} s")
        assert back > started
        daemon.wait_for(Signal.SAVED, after=back)
        daemon.wait_until(lambda status: status.get("phase") == "ready")
    first, second = daemon.rows()[:2]
    assert (first.order_id, first.take, first.part) == (second.order_id, second.take, 1)
    assert second.part == 2
    assert (first.state, first.stop_reason) == ("recovered", "engine-lost")
    assert (second.state, second.stop_reason) == ("saved", "label")
    assert _decoded(daemon.video(first)) == first.frames
    assert _decoded(daemon.video(second)) == second.frames
    assert alarm - struck < 2.0
    assert back - struck < 4.0, "the claim of two seconds is for an idle machine"


def test_power_cut_while_recording(tmp_path: Path) -> None:
    """Everything dies at once; after the next start the video plays and says `recovered`."""
    settings: dict[str, dict[str, Any]] = {"camera": SMALL_CAMERA, "recording": {"mode": "defer"}}
    daemon = Daemon(tmp_path, settings).start()
    daemon.wait_for(Signal.STARTED)
    daemon.wait_until(lambda status: (status.get("recording_seconds") or 0) > 2)
    daemon.kill()
    with Daemon(tmp_path, {**settings, "labels": {"pattern": "nothing"}}) as daemon:
        daemon.wait_until(lambda status: status.get("counters", {}).get("recordings") == 1)
    (row,) = daemon.rows()
    assert (row.state, row.stop_reason) == ("recovered", "power-lost")
    assert _decoded(daemon.video(row)) == row.frames
    assert (row.frames or 0) > 30
    assert not list((tmp_path / "state/incoming").iterdir())


def test_footage_without_a_row_is_found_again(tmp_path: Path) -> None:
    """The catalogue was locked while recording, then the plug was pulled: the file itself
    knows what it is, and gets its row at the next start."""
    settings: dict[str, dict[str, Any]] = {"camera": SMALL_CAMERA, "recording": {"mode": "defer"}}
    daemon = Daemon(tmp_path, settings).start()
    daemon.wait_for(Signal.READY)
    with closing(sqlite3.connect(tmp_path / "state/catalogue.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        daemon.wait_for(Signal.FAULT_IDLE)
        daemon.wait_for(Signal.FAULT_RECORDING)
        daemon.wait_until(lambda status: (status.get("recording_seconds") or 0) > 3)
        daemon.kill()
    assert daemon.rows() == []
    with Daemon(tmp_path, {**settings, "labels": {"pattern": "nothing"}}) as daemon:
        daemon.wait_until(lambda status: status.get("counters", {}).get("recordings") == 1)
    (row,) = daemon.rows()
    assert (row.order_id, row.label_text, row.take) == ("ORDER-1001", "ORDER-1001", 1)
    assert (row.state, row.stop_reason) == ("recovered", "power-lost")
    assert _decoded(daemon.video(row)) == row.frames


def test_a_second_station_leaves_the_first_one_alone(tmp_path: Path) -> None:
    settings: dict[str, dict[str, Any]] = {"camera": SMALL_CAMERA, "recording": {"mode": "defer"}}
    with Daemon(tmp_path, settings) as daemon:
        daemon.wait_for(Signal.STARTED)
        command = [sys.executable, "-m", "recorderd", "run", "--config", str(daemon.config)]
        second = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        daemon.wait_for(Signal.SAVED)
        second.terminate()
        second.communicate()
    assert [row.state for row in daemon.rows()][:1] == ["saved"]


def test_pedal_stops_and_hold_flags(tmp_path: Path) -> None:
    settings: dict[str, dict[str, Any]] = {"camera": SMALL_CAMERA, "recording": {"mode": "defer"}}
    with Daemon(tmp_path, settings) as daemon:
        daemon.wait_for(Signal.READY)
        daemon.press("press")
        daemon.wait_for(Signal.REFUSED)
        daemon.press("release")
        daemon.wait_for(Signal.STARTED)
        daemon.press("hold")
        daemon.wait_for(Signal.SAVED)
        daemon.wait_for(Signal.NOTED)
    row = daemon.rows()[0]
    assert (row.stop_reason, row.state, row.flagged) == ("pedal", "saved", True)
    assert daemon.video(row).with_suffix(".jpg").exists()


def test_stopping_the_service_finishes_the_file(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, {"camera": SMALL_CAMERA, "recording": {"mode": "encode"}}).start()
    daemon.wait_for(Signal.STARTED)
    assert daemon.stop() == 0
    (row,) = daemon.rows()
    assert (row.stop_reason, row.state) == ("shutdown", "saved")
    assert _decoded(daemon.video(row)) == row.frames
