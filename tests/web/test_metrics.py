"""The figures, read by Prometheus's own parser."""

from __future__ import annotations

import json
import math
import time
from collections import Counter
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from recorderd.core.model import Fault, Order, RecordingId, StopReason, Symbology
from recorderd.core.rules import Rules
from recorderd.core.state import State
from recorderd.engine.histogram import SCAN_BOUNDS, Histogram
from recorderd.engine.messages import Heartbeat, RecordingProgress, StreamOpened
from recorderd.station import clock, status
from recorderd.station.ledger import Entry
from recorderd.store.footage import files_for
from recorderd.store.identity import boot_id
from recorderd.store.search import Totals
from recorderd.web.archive import MOST_WAITING
from recorderd.web.metrics import STATION_COUNTERS, Traffic, Web, exposition

from .archive import Archive, settings_in
from .serving import Server

QUIET = Web(Traffic(), 0, 64)
ID = RecordingId("0190a000-0000-7000-8000-000000000001")
SCANNED = Histogram.empty(SCAN_BOUNDS).including(0.03).including(0.12).including(9.0)


def published(folder: Path, faults: dict[Fault, str] | None = None) -> dict[str, object]:
    """What the station itself would say while it records."""
    settings = settings_in(folder)
    files = files_for(settings, ID, "SO-9", clock.wall_time(0))
    entry = Entry(ID, Order("SO-9", "SO-9", Symbology.QR), 1, files, clock.wall_time(0), 0)
    document: dict[str, object] = status.document(
        settings,
        State(rules=Rules(), faults=faults or {}, free_bytes=105_000_000_000),
        time.monotonic_ns(),
        boot_id(),
        StreamOpened("mjpeg", 3840, 2160, 30.0, "yuvj422p", "encode", 'lib"x\\264', "quick"),
        Heartbeat(
            sent_ns=1,
            pictures=900,
            damaged=2,
            scans=80,
            scanner_deaths=1,
            scan_seconds=7.5,
            buffer_bytes=5000,
            recordings=(RecordingProgress(ID, 90, 6, 2, waiting=4),),
            buffer_pictures=93,
            reports_waiting=3,
            scan_latency=SCANNED,
        ),
        [entry],
        {"recordings": 5, "failures": 1, "refusals": 2, "engine_restarts": 0},
        {StopReason.CAMERA_LOST: 1},
        {"inbox": status.Queue(7, 1000), "catalogue": status.Queue(8, 10_000)},
    )
    return json.loads(json.dumps(document))  # type: ignore[no-any-return]


def read(text: str) -> dict[str, float]:
    """Every sample by its name and labels, after a look at the rules of the format."""
    lines = text.splitlines()
    heads = [line.split(" ")[1:3] for line in lines if line.startswith("#")]
    assert len(heads) == len({tuple(head) for head in heads}), "HELP and TYPE once for each"
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation
        assert family.type in ("counter", "gauge", "histogram"), family.name
        for sample in family.samples:
            # The parser takes _total off a counter's name, as OpenMetrics does.
            assert (family.type == "counter") == sample.name.endswith("_total"), sample.name
            assert sample.name.startswith("recorderd_")
            key = key_of(sample)
            assert key not in found
            found[key] = sample.value
    assert len(found) == sum(not line.startswith("#") for line in lines)
    return found


def key_of(sample: Sample) -> str:
    labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
    return sample.name.removeprefix("recorderd_") + (f"{{{labels}}}" if labels else "")


def test_a_station_that_records(tmp_path: Path) -> None:
    totals = Totals({"saved": 7, "damaged": 1, "lost": 2}, 3)
    web = Web(Traffic(Counter({200: 5, 404: 1}), 2, 1.23456), 6, 64)
    found = read(exposition(published(tmp_path, {Fault.DISK_SPACE: "low"}), totals, web))
    expected = {
        "station_up": 1,
        "recording": 0,
        "camera_up": 1,
        'encoder_info{encoder=lib"x\\264,mode=encode}': 1,
        "fault{fault=disk-space}": 1,
        "fault{fault=camera}": 0,
        "disk_free_bytes": 105e9,
        "disk_minimum_bytes": 5e9,
        "open_recordings": 1,
        "open_dropped_frames": 6,
        "open_waiting_frames": 4,
        "station_recordings_total": 5,
        "station_failures_total": 1,
        "station_refusals_total": 2,
        "station_engine_restarts_total": 0,
        "station_pictures_total": 900,
        "station_damaged_pictures_total": 2,
        "station_scans_total": 80,
        "station_scanner_deaths_total": 1,
        "station_stops_total{reason=camera-lost}": 1,
        "station_stops_total{reason=pedal}": 0,
        "scanner_busy_seconds_total": 7.5,
        "buffer_pictures": 93,
        "buffer_bytes": 5000,
        "buffer_limit_bytes": 256e6,
        "queue_depth{queue=inbox}": 7,
        "queue_depth{queue=catalogue}": 8,
        "queue_depth{queue=reports}": 3,
        "queue_depth{queue=archive}": 6,
        "queue_limit{queue=archive}": 64,
        "queue_limit{queue=inbox}": 1000,
        "catalogue_up": 1,
        "recordings{state=lost}": 2,
        "dropped_frames_total": 3,
        "web_answers_total{status=404}": 1,
        "web_running": 2,
        "web_seconds_total": 1.235,
    }
    assert {name: found.get(name) for name in expected} == expected


def test_the_scans_latency_is_a_histogram(tmp_path: Path) -> None:
    found = read(exposition(published(tmp_path), None, QUIET))
    buckets = {
        float(name.removeprefix("scan_seconds_bucket{le=").removesuffix("}")): value
        for name, value in found.items()
        if name.startswith("scan_seconds_bucket")
    }
    assert list(buckets) == [*SCAN_BOUNDS, math.inf]
    assert list(buckets.values()) == sorted(buckets.values())
    assert [buckets[bound] for bound in (0.025, 0.05, 0.1, 0.15, 2.5, math.inf)] == [
        0,
        1,
        1,
        2,
        2,
        3,
    ]
    assert found["scan_seconds_count"] == 3
    assert found["scan_seconds_sum"] == pytest.approx(9.15)


def test_all_that_the_station_counts_is_told(tmp_path: Path) -> None:
    assert set(STATION_COUNTERS) == set(published(tmp_path)["counters"])  # type: ignore[call-overload]


def test_a_camera_that_is_lost(tmp_path: Path) -> None:
    lost = published(tmp_path, {Fault.CAMERA: "unplugged"})
    assert read(exposition(lost, None, QUIET))["camera_up"] == 0
    without_engine = published(tmp_path) | {"camera": None, "buffer": None, "scanning": None}
    found = read(exposition(without_engine, None, QUIET))
    assert found["camera_up"] == 0
    assert not any(name.startswith(("scan", "buffer")) for name in found)


def test_nothing_is_said_of_what_is_not_known() -> None:
    found = read(exposition(None, None, QUIET))
    assert (found["station_up"], found["catalogue_up"]) == (0, 0)
    assert not any(name.startswith(("recordings", "camera", "disk", "station_p")) for name in found)


def test_the_page(archive: Archive, server: Server) -> None:
    archive.save("SO-1", dropped=3)
    answer = server.get("/metrics")
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert read(answer.text)["station_up"] == 0
    status.publish(archive.settings.status_file, published(archive.settings.state_folder.parent))
    found = read(server.get("/metrics").text)
    assert (found["station_up"], found["recordings{state=saved}"]) == (1, 1)
    assert found["dropped_frames_total"] == 3
    assert found["web_answers_total{status=200}"] == 1
    assert found["web_running"] == 1
    assert found["queue_limit{queue=archive}"] == MOST_WAITING


def test_a_status_of_another_version_is_no_obstacle() -> None:
    """The station and the pages are not restarted at the same moment."""
    assert read(exposition({"phase": "ready", "counters": None}, None, QUIET))["station_up"] == 1
