"""Finished recordings on a disk, small and made in a moment."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from recorderd.core.model import Mode, RecordingId
from recorderd.engine.footage_file import BEGINNING_TAG
from recorderd.engine.sources.bench_scene import BenchPictures
from recorderd.engine.sources.bench_script import Scene
from recorderd.settings import Settings, StationSettings, StorageSettings
from recorderd.store import footage
from recorderd.store.catalogue import Catalogue
from recorderd.store.chores import Chores, Finished
from recorderd.store.identity import new_recording_id
from tests.store import rows

WIDTH, HEIGHT = 320, 240
BEGINNING_NS = 123_456_789_000
TIMES = [0, 6000, 12000, 18003, 24000, 42000, 48000, 54000]
"""Of the pictures, in 1/90000 s: not quite even, and with a gap."""

TAGS = {"order_id": "SO-1", "station": "bench-1", BEGINNING_TAG: str(BEGINNING_NS)}


def write_mjpeg(path: Path, times: Sequence[int] = TIMES) -> None:
    """A short recording as a camera's JPEGs, with the tags a recording has."""
    pictures = BenchPictures(WIDTH, HEIGHT)
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", options={"movflags": "use_metadata_tags"}) as container:
        container.metadata.update(TAGS)
        base = Fraction(1, 90_000)
        stream = container.add_mux_stream(
            "mjpeg", rate=15, width=WIDTH, height=HEIGHT, time_base=base
        )
        for number, moment in enumerate(times):
            packet = av.Packet(pictures.jpeg(Scene(()), number))
            packet.stream, packet.time_base = stream, base
            packet.pts = packet.dts = moment
            packet.is_keyframe = True
            container.mux_one(packet)


@dataclass(frozen=True, slots=True)
class Facts:
    codec: str
    width: int
    height: int
    times: list[int]
    tags: dict[str, str]


def facts_of(path: Path) -> Facts:
    """What can be seen of a video; times in 1/90000 s, of pictures that were decoded."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        times = [round((frame.time or 0) * 90_000) for frame in container.decode(stream)]
        context = stream.codec_context
        return Facts(
            context.codec.canonical_name,
            context.width,
            context.height,
            times,
            dict(container.metadata),
        )


class Archive:
    """A catalogue and a footage folder, filled with finished recordings."""

    def __init__(self, folder: Path) -> None:
        self.settings = Settings(
            station=StationSettings(
                name="bench-1", state_folder=str(folder / "state"), run_folder=str(folder / "run")
            ),
            storage=StorageSettings(minimum_free_gigabytes=0.05),
        )
        self.catalogue = Catalogue.open(self.settings.database_url, "bench-1")
        self.catalogue.set_footage_id(footage.prepare(self.settings, None))

    def add(
        self, *, mode: Mode = Mode.DEFER, after: float = 0.0, there: bool = True
    ) -> RecordingId:
        new = rows.new("SO-1", after=after)
        self.catalogue.register(new)
        file = dataclasses.replace(
            rows.captured(new),
            started_at=new.started_at - timedelta(seconds=3),
            mode=mode,
            codec="mjpeg",
            encoder="",
        )
        self.catalogue.captured(new.id, file)
        self.catalogue.saved(new.id)
        if there:
            write_mjpeg(self.settings.footage_folder / new.path)
        return new.id

    def let_pauses_pass(self) -> None:
        """As if it was later: what failed may be tried again."""
        with self.catalogue.transaction() as tables:
            tables.failures.update(retry_at=1).where(tables.failures.retry_at > 1).execute()

    def failures(self) -> list[tuple[str, str, int, str, bool]]:
        """Job, recording, tries, problem, whether it is given up."""
        with self.catalogue.transaction() as tables:
            return [
                (row.job, row.recording_id, row.tries, row.problem, row.retry_at is None)
                for row in tables.failures.select().order_by(tables.failures.at)
            ]

    def multiply(self, recording_id: RecordingId, count: int) -> list[RecordingId]:
        """Many rows like this one, each a second older, quickly; oldest last."""
        with self.catalogue.transaction() as tables:
            row = tables.recordings
            pattern: Any = row.select().where(row.id == recording_id).dicts().get()
            copies = [
                pattern
                | {
                    "id": new_recording_id(),
                    "take": number + 1,
                    "started_at": pattern["started_at"] - timedelta(seconds=number),
                }
                for number in range(1, count + 1)
            ]
            for begin in range(0, count, 100):
                row.insert_many(copies[begin : begin + 100]).execute()
        return [copy["id"] for copy in copies]

    def finished(self, recording_id: RecordingId) -> Finished:
        (found,) = [one for one in Chores(self.catalogue).latest() if one.id == recording_id]
        return found

    def path(self, recording_id: RecordingId) -> Path:
        return self.settings.footage_folder / self.finished(recording_id).path

    def row(self, recording_id: RecordingId) -> dict[str, object]:
        """The columns the finisher writes."""
        with self.catalogue.transaction() as tables:
            row = tables.recordings.get_by_id(recording_id)
            names = ("bytes", "codec", "encoder", "mode", "sha256", "transcoded_from", "state")
            return {name: getattr(row, name) for name in names}
