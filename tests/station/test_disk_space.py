"""A disk that fills up under the whole station: it says no in time, stops cleanly, goes on."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import pytest

from recorderd.core.signals import Signal
from tests.station.daemon import Daemon

pytestmark = pytest.mark.slow

SMALL_CAMERA: dict[str, Any] = {"source": "simulated", "width": 1280, "height": 720, "rate": 10.0}
MINIMUM, RESERVE = 60_000_000, 30_000_000


class SmallDisk:
    """A disk of 200 MB, on which something else takes room as well."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._filler = folder / "filler"

    def leave(self, free_bytes: int) -> None:
        """Let so many bytes be free."""
        self._filler.unlink(missing_ok=True)
        disk = os.statvfs(self.folder)
        with self._filler.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, disk.f_bavail * disk.f_frsize - free_bytes)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    folder = tmp_path / "disk"
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", "size=200m", "tmpfs", str(folder)]
    if subprocess.run(["mount", *options], capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a disk is not allowed here")
    yield SmallDisk(folder)
    subprocess.run(["umount", "--lazy", str(folder)], check=False)


def station(disk: SmallDisk, tmp_path: Path, **retention: float) -> Daemon:
    return Daemon(
        tmp_path / "station",
        {
            "station": {"state_folder": str(disk.folder / "state")},
            "camera": SMALL_CAMERA,
            "recording": {"mode": "encode"},
            "storage": {
                "minimum_free_gigabytes": MINIMUM / 1e9,
                "reserve_megabytes": RESERVE // 1_000_000,
            },
            "retention": retention,
        },
    )


def test_no_order_is_begun_without_room_for_it(disk: SmallDisk, tmp_path: Path) -> None:
    disk.leave(MINIMUM - 5_000_000)
    with station(disk, tmp_path) as daemon:
        daemon.wait_until(lambda status: "disk-space" in status.get("faults", {}))
        daemon.wait_for(Signal.REFUSED)
        daemon.state = disk.folder / "state"
        assert daemon.rows() == []
        disk.leave(MINIMUM + 20_000_000)
        daemon.wait_until(lambda status: status.get("phase") == "recording", 60)
        assert daemon.status()["faults"] == {}


def test_order_is_closed_before_the_disk_is_full_and_goes_on(
    disk: SmallDisk, tmp_path: Path
) -> None:
    disk.leave(MINIMUM + 40_000_000)
    with station(disk, tmp_path) as daemon:
        daemon.state = disk.folder / "state"
        daemon.wait_until(lambda status: status.get("phase") == "recording")
        disk.leave(RESERVE - 5_000_000)
        daemon.wait_until(lambda _: bool(daemon.rows()) and daemon.rows()[0].state == "saved")
        (first,) = daemon.rows()
        assert first.stop_reason == "disk-full"
        with av.open(str(daemon.video(first))) as video:
            assert sum(1 for _ in video.decode(video=0)) == first.frames
        disk.leave(MINIMUM + 40_000_000)
        daemon.wait_until(lambda _: len(daemon.rows()) > 1)
        second = daemon.rows()[1]
        assert (second.order_id, second.take, second.part) == (first.order_id, first.take, 2)


def test_retention_makes_room_before_the_station_has_to_refuse(
    disk: SmallDisk, tmp_path: Path
) -> None:
    """On a disk that is full of footage the oldest videos go, and no fault is ever seen."""
    daemon = station(disk, tmp_path, free_gigabytes=(MINIMUM + 20_000_000) / 1e9, keep_hours=0.0)
    disk.leave(MINIMUM + 22_000_000)
    with daemon:
        daemon.state = disk.folder / "state"
        finisher = subprocess.Popen(
            [sys.executable, "-m", "recorderd", "finish", "--config", str(daemon.config)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            # Before, the catalogue may be there without its tables.
            daemon.wait_for(Signal.READY)
            deadline = time.monotonic() + 120
            while not any(row.state == "deleted" for row in daemon.rows()):
                assert daemon.status().get("faults", {}) == {}
                assert time.monotonic() < deadline, daemon.rows()
                time.sleep(0.2)
        finally:
            finisher.terminate()
            finisher.wait(60)
        rows = daemon.rows()
        assert rows[0].state in ("deleted", "deleting"), "the oldest went first"
        assert Signal.FAULT_IDLE not in [signal for _, signal in daemon.signals()]
        assert Signal.REFUSED not in [signal for _, signal in daemon.signals()]
