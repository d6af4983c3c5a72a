"""What the station publishes about itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from recorderd.core.model import Fault, Order, RecordingId, StopReason, Symbology
from recorderd.core.rules import Rules
from recorderd.core.signals import Signal
from recorderd.core.state import Active, State
from recorderd.engine.histogram import Histogram
from recorderd.engine.messages import Heartbeat, RecordingProgress, StreamOpened
from recorderd.engine.outbox import LARGEST_BACKLOG
from recorderd.settings import CameraSettings, Settings, StationSettings
from recorderd.station import clock, status
from recorderd.station.ledger import Entry
from recorderd.store.footage import files_for

ID = RecordingId("0190a000-0000-7000-8000-000000000001")
SECOND = 1_000_000_000
ORDER = Order("SO-\x1b[2J\ud800", "x", Symbology.QR)
SETTINGS = Settings(
    station=StationSettings(name="bench-7", state_folder="/state"),
    camera=CameraSettings(source="rtsp://user:se/c@ret@10.0.0.9/live"),
)
STREAM = StreamOpened("h264", 3840, 2160, 30.0, "yuv420p", "copy", "", "it is H.264")
HEARTBEAT = Heartbeat(
    sent_ns=1,
    pictures=900,
    damaged=2,
    scans=80,
    scanner_deaths=1,
    scan_seconds=7.5,
    buffer_bytes=5000,
    recordings=(RecordingProgress(ID, 90, 1, 2, waiting=4),),
    buffer_pictures=93,
    reports_waiting=3,
    scan_latency=Histogram.empty((0.1, 0.5)).including(0.2),
)


def test_everything_while_recording() -> None:
    active = Active(ID, ORDER, 1, 10 * SECOND, None, 10 * SECOND)
    state = State(
        rules=Rules(),
        recording=active,
        faults={Fault.CATALOGUE: "locked"},
        pending=frozenset(),
        free_bytes=5,
        signal=Signal.RECORDING,
    )
    files = files_for(SETTINGS, ID, "x", clock.wall_time(0))
    entry = Entry(ID, ORDER, 1, files, clock.wall_time(0), 0)
    found = status.document(
        SETTINGS,
        state,
        13 * SECOND,
        "boot",
        STREAM,
        HEARTBEAT,
        [entry],
        {"recordings": 3},
        {StopReason.PEDAL: 2},
        {"inbox": status.Queue(1, 1000)},
    )
    assert "ret@" not in json.dumps(found)
    assert found["camera"]["source"] == "rtsp://***@10.0.0.9/live"
    assert (found["phase"], found["order"], found["recording_seconds"]) == (
        "recording",
        ORDER.order_id,
        3.0,
    )
    assert found["faults"] == {"catalogue": "locked"}
    assert found["recordings"] == [
        {
            "id": ID,
            "order": ORDER.order_id,
            "part": 1,
            "stage": "writing",
            "frames": 90,
            "dropped": 1,
            "waiting": 4,
        }
    ]
    assert found["counters"]["scanner_deaths"] == 1
    assert found["counters"]["recordings"] == 3
    assert (found["stops"]["pedal"], found["stops"]["disk-full"]) == (2, 0)
    assert found["queues"] == {
        "inbox": {"waiting": 1, "limit": 1000},
        "reports": {"waiting": 3, "limit": LARGEST_BACKLOG},
    }
    assert found["buffer"] == {"pictures": 93, "bytes": 5000, "limit_bytes": 256_000_000}
    assert found["scanning"] == {
        "seconds": 7.5,
        "latency": {"within": [[0.1, 0], [0.5, 1]], "count": 1, "seconds": 0.2},
    }


def test_before_anything_is_known() -> None:
    found = status.document(SETTINGS, State(rules=Rules()), 1, "boot", None, None, [], {}, {}, {})
    assert (found["phase"], found["order"], found["camera"], found["mode"]) == (
        "ready",
        None,
        None,
        None,
    )
    assert found["pending"] == ["camera", "disk-space", "engine", "storage"]
    assert (found["buffer"], found["scanning"], found["queues"]) == (None, None, {})


def test_any_label_text_survives_publication(tmp_path: Path) -> None:
    file = tmp_path / "run" / "status.json"
    status.publish(file, {"order": ORDER.order_id})
    assert file.read_bytes().isascii()
    assert json.loads(file.read_bytes()) == {"order": ORDER.order_id}
    status.withdraw(file)
    status.withdraw(file)
    assert not file.exists()


def test_readers_never_see_half_a_file(tmp_path: Path) -> None:
    """Who has opened the old file goes on reading it: the new one is another file."""
    file = tmp_path / "status.json"
    status.publish(file, {"text": "old"})
    with file.open() as reader:
        status.publish(file, {"text": "new" * 1000})
        assert json.load(reader) == {"text": "old"}
    assert json.loads(file.read_text()) == {"text": "new" * 1000}
    assert [found.name for found in tmp_path.iterdir()] == ["status.json"]


def test_run_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file")
    with pytest.raises(OSError, match=r"exists|directory"):
        status.publish(tmp_path / "run" / "status.json", {})
