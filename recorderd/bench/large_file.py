"""A large file that the staff pages offer as a video, to be downloaded."""

from __future__ import annotations

import os
import shutil
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from recorderd.core.model import Mode, Order, RecordingId, StopReason, Symbology
from recorderd.errors import StorageError
from recorderd.settings import Settings
from recorderd.store.catalogue import CapturedFile, Catalogue, NewRecording
from recorderd.store.chores import Chores
from recorderd.store.footage import files_for, stored_path, thumbnail_path
from recorderd.store.identity import new_recording_id

PARENT: Final = Path("/var/tmp")  # noqa: S108 - a real disk; the folders made there are private
FULL_SIZE: Final = 1 << 30
_BLOCK: Final = 1 << 20
_MEMORY_SHARE: Final = 4
"""The file may take a quarter of the free memory, so that it stays in the disk's cache."""
_SPARE_DISK: Final = 3 << 30
_NO_HASH: Final = "0" * 64


def add_large_file(settings: Settings, order_id: str) -> tuple[str, Path]:
    """Put a file of about a gigabyte, and its row, into an archive that nobody uses yet.

    It lies in the disk's cache afterwards. No service has anything left to do with it.
    Returns its path in the pages' addresses, and the file. Raises StorageError,
    CatalogueError.
    """
    recording_id, started_at = new_recording_id(), datetime.now(UTC)
    video = files_for(settings, recording_id, order_id, started_at).video
    video.parent.mkdir(parents=True)
    size = _write(video)
    thumbnail_path(video).touch()
    with closing(Catalogue.open(settings.database_url, settings.station.name)) as catalogue:
        _register(catalogue, recording_id, order_id, stored_path(settings, video), started_at, size)
        catalogue.saved(recording_id)
        Chores(catalogue).fingerprinted(recording_id, _NO_HASH, 0)
    return f"/recordings/{recording_id}/video", video


def _write(file: Path) -> int:
    size = min(FULL_SIZE, _free_memory() // _MEMORY_SHARE // _BLOCK * _BLOCK)
    if shutil.disk_usage(file.parent).free < size + _SPARE_DISK:
        raise StorageError(
            f"{file.parent} has too little space", f"Make {(size + _SPARE_DISK) / 1e9:.0f} GB free"
        )
    block = os.urandom(_BLOCK)
    with file.open("wb") as written:
        for _ in range(size // _BLOCK):
            written.write(block)
        written.flush()
        os.fsync(written.fileno())
    return size


def _free_memory() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return FULL_SIZE


def _register(
    catalogue: Catalogue,
    recording_id: RecordingId,
    order_id: str,
    path: str,
    started_at: datetime,
    size: int,
) -> None:
    catalogue.register(
        NewRecording(
            id=recording_id,
            order=Order(order_id, order_id, Symbology.QR),
            part=1,
            continues=None,
            station=catalogue.station,
            path=path,
            started_at=started_at,
            monotonic_ns=0,
            boot_id="benchmark",
            clock="synchronised",
        )
    )
    catalogue.captured(
        recording_id,
        CapturedFile(
            path=path,
            bytes=size,
            frames=1,
            dropped=0,
            duration_ms=1,
            started_at=started_at,
            ended_at=started_at,
            codec="h264",
            encoder="copy",
            mode=Mode.COPY,
            width=3840,
            height=2160,
            stop_reason=StopReason.PEDAL,
            recovered=False,
        ),
    )
