"""The real station on a machine that is too slow, or becomes so."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from recorderd.core.model import Mode
from recorderd.core.signals import Signal
from tests.station.clips import counters, write_clip
from tests.station.daemon import Daemon
from tests.station.processor_quota import Quota, processor_quota

pytestmark = pytest.mark.slow

SIZE = (1920, 1080)
RATE = 15
PLENTY, LITTLE = 8.0, 0.12
"""Cores. It takes a quarter of one to encode what this camera sends."""


@pytest.fixture
def quota() -> Iterator[Quota]:
    with processor_quota() as made:
        yield made


def daemon(folder: Path, codec: str = "mjpeg") -> Daemon:
    clip = folder / "bench.mp4"
    write_clip(clip, [(3.0, None), (2.0, "ORDER-1"), (10.0, None)], RATE, codec, SIZE)
    sections: dict[str, dict[str, Any]] = {
        "camera": {"source": f"file:{clip}", "rate": float(RATE), "loop": True},
        "recording": {"pre_roll_seconds": 1.0, "buffer_megabytes": 24, "maximum_seconds": 600.0},
        "labels": {"on_same_label": "ignore"},
    }
    return Daemon(folder, sections)


@pytest.mark.parametrize(
    ("codec", "cores", "mode"),
    [
        ("mjpeg", PLENTY, Mode.ENCODE),
        ("mjpeg", LITTLE, Mode.DEFER),
        ("libx264", 0.5, Mode.COPY),
    ],
)
def test_the_way_to_record_fits_the_machine_and_the_camera(
    tmp_path: Path, quota: Quota, codec: str, cores: float, mode: Mode
) -> None:
    quota.cores = cores
    station = daemon(tmp_path, codec)
    station.start(launcher=quota.launcher)
    try:
        station.wait_until(lambda status: bool(status.get("mode")), timeout=120)
        chosen = station.status()["mode"]
        assert chosen["mode"] == mode, chosen
    finally:
        station.kill()


def test_an_order_goes_on_when_the_machine_becomes_slow(tmp_path: Path, quota: Quota) -> None:
    quota.cores = PLENTY
    station = daemon(tmp_path)
    with station:
        station.wait_for(Signal.RECORDING)
        quota.take(station.engine())
        quota.cores = LITTLE
        station.wait_until(lambda status: (status.get("mode") or {}).get("mode") == "defer", 60)
        quota.cores = PLENTY
        station.wait_until(lambda status: (status.get("recording_seconds") or 0) > 15)
        pressed = time.monotonic()
        station.press("press")
        station.wait_for(Signal.SAVED, after=pressed)
        station.press("release")
        parts = station.rows()
    assert [(part.part, part.mode) for part in parts] == [(1, "encode"), (2, "defer")]
    assert parts[0].stop_reason == "encoder-too-slow"
    assert [part.dropped for part in parts] == [0, 0]
    shown = [number for part in parts for number in counters(station.video(part))]
    steps = {(after or 0) - (before or 0) for before, after in pairwise(shown)}
    # The clip begins anew; no picture is missing between the parts, nor in them.
    assert steps <= {1, 1 - 15 * RATE}
