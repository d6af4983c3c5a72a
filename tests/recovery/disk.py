"""A station's disk with small real recordings, and the half-done states a crash can leave."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from recorderd.core.model import Mode, Order, RecordingId, RecordingState, StopReason, Symbology
from recorderd.engine.footage_file import FootageFile
from recorderd.engine.pipelines import CopyPipeline
from recorderd.recovery.repair import Repair, Treated
from recorderd.settings import Settings, StationSettings
from recorderd.station.orphans import tags_of
from recorderd.store.catalogue import CapturedFile, Catalogue, NewRecording
from recorderd.store.consistency import Comparison
from recorderd.store.footage import files_for, prepare, stored_path
from tests.engine.pictures import (
    HEIGHT,
    START,
    WIDTH,
    at_rate,
    inter_stream,
    jpeg,
    mjpeg_packets,
    mjpeg_stream,
)

BEGAN: Final = datetime(2026, 7, 4, 12, 0, 0, tzinfo=UTC)
COUNT: Final = 60
"""Pictures of a recording, at 30 a second."""
LENGTH_MS: Final = 1967
WRITTEN_MS: Final = 2200
"""So long after its first picture a torn file was last written to."""


def new(number: int = 1) -> NewRecording:
    """The same every time, so that its files are."""
    recording_id = RecordingId(f"01a208bd-8fc8-7069-84ae-{number:012x}")
    order = Order(f"SO-{number}", f"SO-{number}", Symbology.QR)
    began = BEGAN + timedelta(minutes=number)
    files = files_for(Settings(), recording_id, order.order_id, began)
    path = stored_path(Settings(), files.video)
    return NewRecording(
        recording_id, order, 1, None, "bench-1", path, began, START, "boot-1", "synchronised"
    )


@cache
def video(number: int = 1, codec: str = "mjpeg") -> tuple[bytes, bytes]:
    """The file of a recording as a power cut leaves it, and as closing leaves it."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "video.mp4"
        tags = {**tags_of(new(number)), "recorder_mode": "copy", "recorder_encoder": ""}
        file = FootageFile(path, tags, 0.2)
        file.tag_beginning(START)
        if codec == "mjpeg":
            description, packets = mjpeg_stream(), mjpeg_packets(at_rate(COUNT))
        else:
            description, inter = inter_stream(COUNT, codec=codec)
            packets = list(inter)
        pipeline = CopyPipeline(file, description, START, 0)
        for packet in packets:
            pipeline.write(packet)
        torn = path.read_bytes()
        file.close()
        return torn, path.read_bytes()


class Disk:
    """State folder, catalogue and footage of one station."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings = Settings(
            station=StationSettings(
                name="bench-1", state_folder=str(folder / "state"), run_folder=str(folder / "run")
            )
        )

    def prepare(self) -> Disk:
        with self.catalogue() as catalogue:
            catalogue.set_footage_id(prepare(self.settings, None))
        return self

    def copy_to(self, folder: Path) -> Disk:
        """Everything, with hard links and times as they are."""
        subprocess.run(["cp", "-a", f"{self.folder}/.", str(folder)], check=True, timeout=30)
        return Disk(folder)

    def catalogue(self) -> _Open:
        return _Open(Catalogue.open(self.settings.database_url, "bench-1"))

    def video(self, number: int = 1) -> Path:
        return self.settings.footage_folder / new(number).path

    def incoming(self, number: int = 1) -> Path:
        return self.settings.incoming_folder / f"{new(number).id}.mp4"

    def set_aside(self, number: int = 1, suffix: str = ".mp4") -> Path:
        return self.settings.set_aside_folder / f"{new(number).id}.1{suffix}"

    def write(self, path: Path, content: bytes) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def register(self, number: int = 1) -> None:
        with self.catalogue() as catalogue:
            catalogue.register(new(number))

    def capture(self, number: int = 1, content: bytes | None = None) -> None:
        """The row and the file of a recording that was closed."""
        self.register(number)
        content = video(number)[1] if content is None else content
        self.write(self.video(number), content)
        self.write(self.video(number).with_suffix(".jpg"), jpeg(number))
        with self.catalogue() as catalogue:
            catalogue.captured(new(number).id, captured(number, len(content)))

    def save(self, number: int = 1) -> Path:
        """A finished recording, hashed."""
        self.capture(number)
        path = self.video(number)
        with self.catalogue() as catalogue:
            catalogue.saved(new(number).id)
            sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
            catalogue.amend(new(number).id, {"sha256": sha256})
        return path

    def set(self, number: int = 1, **columns: Any) -> None:
        with self.catalogue() as catalogue, catalogue.transaction() as tables:
            row = tables.recordings
            row.update(columns).where(row.id == new(number).id).execute()

    def row(self, number: int = 1) -> dict[str, Any]:
        return self.rows()[new(number).id]

    def rows(self) -> dict[str, dict[str, Any]]:
        with self.catalogue() as catalogue, catalogue.reading() as tables:
            rows: Any = tables.recordings.select().dicts()
            return {row["id"]: row for row in rows}

    def repair(self) -> list[Treated]:
        with self.catalogue() as catalogue:
            comparison = Comparison(self.settings, catalogue.footage_id, being_recorded=False)
            return list(Repair(self.settings, catalogue, comparison))

    def found(self) -> list[str]:
        with self.catalogue() as catalogue:
            footage_id = catalogue.footage_id
        return [each.kind.value for each in Comparison(self.settings, footage_id, False)]

    def snapshot(self) -> tuple[object, ...]:
        """All that matters after a repair: each file's content, each row."""
        below = self.settings.footage_folder.parent
        files = {
            str(path.relative_to(below)): hashlib.sha256(path.read_bytes()).hexdigest()
            for name in ("footage", "incoming", "set-aside")
            for path in sorted((below / name).rglob("*"))
            if path.is_file()
        }
        rows = {
            key: {name: value for name, value in row.items() if name != "deleted_at"}
            for key, row in self.rows().items()
        }
        return files, rows


@dataclass
class _Open:
    catalogue: Catalogue

    def __enter__(self) -> Catalogue:
        return self.catalogue

    def __exit__(self, *_: object) -> None:
        self.catalogue.close()


def captured(number: int, size: int) -> CapturedFile:
    began = new(number).started_at
    return CapturedFile(
        path=new(number).path,
        bytes=size,
        frames=COUNT,
        dropped=0,
        duration_ms=LENGTH_MS,
        started_at=began,
        ended_at=began + timedelta(milliseconds=LENGTH_MS),
        codec="mjpeg",
        encoder="",
        mode=Mode.COPY,
        width=WIDTH,
        height=HEIGHT,
        stop_reason=StopReason.LABEL,
        recovered=False,
        missing_ms=0,
    )


@dataclass(frozen=True, slots=True)
class HalfDone:
    """How a state comes about, and what is to become of recording 1; None if it has no row."""

    make: Callable[[Disk], object]
    state: RecordingState | None
    left: tuple[str, ...] = ()
    """What the comparison still finds after the repair."""


def _torn(disk: Disk, share: float = 0.8) -> bytes:
    torn = video()[0]
    return torn[: round(len(torn) * share)]


def _unfinished(disk: Disk, content: bytes, *, published: bool = False) -> None:
    disk.register()
    path = disk.write(disk.video() if published else disk.incoming(), content)
    moment = new().started_at.timestamp() + WRITTEN_MS / 1000
    os.utime(path, (moment, moment))


def _cut(disk: Disk, length: int | float) -> None:
    path = disk.save()
    content = path.read_bytes()
    path.write_bytes(content[: round(len(content) * length) if length < 1 else int(length)])


def _two_names(disk: Disk) -> None:
    disk.capture()
    os.link(disk.video(), disk.incoming())


def _two_names_without_row(disk: Disk) -> None:
    disk.write(disk.video(), video()[1])
    os.link(disk.video(), disk.incoming())


def _sections(disk: Disk, count: int = 2) -> None:
    """What is finished of an encoding: videos of a minute each, with the tags of the whole."""
    for number in range(count):
        path = disk.settings.incoming_folder / f"{new().id}.{number:04}.transcode.mp4"
        disk.write(path, video(codec="h264")[1])


def _sections_without_row(disk: Disk) -> None:
    disk.write(disk.video(), video()[1])
    _sections(disk)


def _only_sections(disk: Disk) -> None:
    disk.save().unlink()
    _sections(disk)


def _moved(disk: Disk) -> None:
    path = disk.save()
    other = disk.settings.footage_folder / "old" / path.name
    other.parent.mkdir()
    path.rename(other)


def _still_left(disk: Disk) -> None:
    path = disk.save()
    path.with_suffix(".jpg").rename(disk.incoming().with_suffix(".jpg"))


def _rubbish(disk: Disk, state: str) -> None:
    """Nothing in it plays; its row may be given up already."""
    _unfinished(disk, b"rubbish" * 1000)
    disk.write(disk.incoming().with_suffix(".jpg"), jpeg(1))
    disk.set(state=state)


def _cut_with_copy(disk: Disk) -> None:
    path = disk.save()
    disk.write(disk.incoming(), path.read_bytes())
    path.write_bytes(b"")


def _deleting(disk: Disk) -> None:
    disk.save()
    disk.set(state="deleting")


def _lost_and_found(disk: Disk) -> None:
    disk.save()
    disk.set(state="lost", problem="gone")


def _published_rubbish(disk: Disk) -> None:
    disk.register()
    disk.write(disk.video(), b"rubbish" * 1000)
    disk.set(state="lost")


def _half_made(disk: Disk) -> None:
    path = disk.save()
    for part in ("salvaged", "mended"):
        disk.write(disk.settings.incoming_folder / f"{new().id}.{part}.mp4", b"half of it")
    assert path.exists()


def _foreign(disk: Disk) -> None:
    disk.save()
    disk.write(disk.settings.footage_folder / "2026" / "holiday.mp4", video()[1])
    disk.write(disk.settings.incoming_folder / "notes.txt", b"x")


STATES: Final[dict[str, HalfDone]] = {
    "torn fragment": HalfDone(
        lambda disk: _unfinished(disk, _torn(disk)), RecordingState.RECOVERED
    ),
    "torn close": HalfDone(
        lambda disk: _unfinished(disk, video()[1][: video()[1].rindex(b"moov") + 100]),
        RecordingState.RECOVERED,
    ),
    "closed, not renamed": HalfDone(
        lambda disk: _unfinished(disk, video()[1]), RecordingState.RECOVERED
    ),
    "renamed, not committed": HalfDone(
        lambda disk: _unfinished(disk, video()[1], published=True), RecordingState.RECOVERED
    ),
    "published torn, not committed": HalfDone(
        lambda disk: _unfinished(disk, _torn(disk), published=True), RecordingState.RECOVERED
    ),
    "two names": HalfDone(_two_names, RecordingState.SAVED),
    "two names without a row": HalfDone(_two_names_without_row, RecordingState.RECOVERED),
    "sections beside an original without a row": HalfDone(
        _sections_without_row, RecordingState.RECOVERED, ("left over",) * 2
    ),
    "sections of a recording that is gone": HalfDone(
        _only_sections, RecordingState.LOST, ("left over",) * 2
    ),
    "captured, not checked": HalfDone(lambda disk: disk.capture(), RecordingState.SAVED),
    "zero length in incoming": HalfDone(lambda disk: _unfinished(disk, b""), RecordingState.LOST),
    "row without a file": HalfDone(lambda disk: disk.register(), RecordingState.LOST),
    "finished row without a file": HalfDone(lambda disk: disk.save().unlink(), RecordingState.LOST),
    "file in another folder": HalfDone(_moved, RecordingState.SAVED),
    "file moved back to incoming": HalfDone(
        lambda disk: disk.save().rename(disk.incoming()), RecordingState.SAVED
    ),
    "torn file without a row": HalfDone(
        lambda disk: disk.write(disk.incoming(), _torn(disk)), RecordingState.RECOVERED
    ),
    "published file without a row": HalfDone(
        lambda disk: disk.write(disk.video(), video()[1]), RecordingState.RECOVERED
    ),
    "published torn file without a row": HalfDone(
        lambda disk: disk.write(disk.video(), _torn(disk)), RecordingState.RECOVERED
    ),
    "still left in incoming": HalfDone(_still_left, RecordingState.SAVED),
    "finished file cut off": HalfDone(lambda disk: _cut(disk, 0.6), RecordingState.RECOVERED),
    "finished file cut off in its first fragment": HalfDone(
        lambda disk: _cut(disk, 2000), RecordingState.DAMAGED
    ),
    "finished file emptied": HalfDone(lambda disk: _cut(disk, 0), RecordingState.DAMAGED),
    "finished file emptied, a copy in incoming": HalfDone(_cut_with_copy, RecordingState.SAVED),
    "nothing plays": HalfDone(lambda disk: _rubbish(disk, "recording"), RecordingState.LOST),
    "nothing plays, given up": HalfDone(lambda disk: _rubbish(disk, "lost"), RecordingState.LOST),
    "nothing plays, published and given up": HalfDone(_published_rubbish, RecordingState.LOST),
    "half deleted": HalfDone(_deleting, RecordingState.DELETED),
    "given up and found again": HalfDone(_lost_and_found, RecordingState.SAVED),
    "half-made files": HalfDone(_half_made, RecordingState.SAVED),
    "foreign files": HalfDone(_foreign, RecordingState.SAVED, ("left over", "without a row")),
}
