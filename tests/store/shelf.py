"""A station's catalogue and footage folder, with finished recordings that are small files."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from recorderd.core.model import Mode, RecordingId
from recorderd.settings import RetentionSettings, Settings, StationSettings, StorageSettings
from recorderd.store import footage
from recorderd.store.catalogue import Catalogue
from recorderd.store.footage import still_path, thumbnail_path
from recorderd.store.reader import RecordingRow, row_of
from recorderd.store.removal import Moment, Removal
from tests.store import rows

NOW = Moment(rows.START, True, "this-boot", 1_000_000_000_000)


class Shelf:
    """Recordings are put on it in the order of the calls."""

    def __init__(self, folder: Path, **retention: float) -> None:
        self.settings = Settings(
            station=StationSettings(
                name="bench-1", state_folder=str(folder / "state"), run_folder=str(folder / "run")
            ),
            storage=StorageSettings(minimum_free_gigabytes=0.05),
            retention=replace(RetentionSettings(), **retention),  # type: ignore[arg-type]
        )
        self.catalogue = Catalogue.open(self.settings.database_url, "bench-1")
        self.footage_id = footage.prepare(self.settings, None)
        self.catalogue.set_footage_id(self.footage_id)

    @property
    def removal(self) -> Removal:
        return Removal(self.settings, self.catalogue, self.footage_id)

    def put(
        self,
        order_id: str = "SO-1",
        *,
        days_ago: float = 0.0,
        size: int = 1000,
        clock: str = "synchronised",
        boot_id: str = "boot-1",
        day: str = "2026/07/04",
        mode: Mode = Mode.ENCODE,
        fingerprint: bool = True,
        recovered: bool = False,
    ) -> RecordingId:
        new = rows.new(order_id, after=-days_ago * 86_400, clock=clock, boot_id=boot_id)
        new = replace(new, path=f"{day}/x_{new.id}.mp4")
        self.catalogue.register(new)
        file = rows.captured(new, recovered=recovered, earlier=0)
        self.catalogue.captured(new.id, replace(file, bytes=size, mode=mode))
        self.catalogue.saved(new.id)
        if fingerprint:
            self.catalogue.amend(new.id, {"sha256": "0" * 64})
        for path in self.files(new.id):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"x" * 10)
        return new.id

    def part(self, of: RecordingId, number: int) -> RecordingId:
        """A later part of the same take, being recorded."""
        order_id = self.row(of).order_id
        new = rows.new(order_id, part=number, continues=of)
        self.catalogue.register(new)
        return new.id

    def row(self, recording_id: RecordingId) -> RecordingRow:
        with self.catalogue.reading() as tables:
            return row_of(tables.recordings.get_by_id(recording_id))

    def state(self, recording_id: RecordingId) -> str:
        return self.row(recording_id).state

    def files(self, recording_id: RecordingId) -> list[Path]:
        video = self.settings.footage_folder / self.row(recording_id).path
        return [video, still_path(video), thumbnail_path(video)]

    def there(self, recording_id: RecordingId) -> list[bool]:
        return [path.exists() for path in self.files(recording_id)]

    def events(self, recording_id: RecordingId | None = None) -> list[tuple[str, str]]:
        """Event and detail of each entry, of one recording or all."""
        with self.catalogue.reading() as tables:
            event = tables.events
            found = event.select().order_by(event.id)
            if recording_id is not None:
                found = found.where(event.recording_id == recording_id)
            return [(each.event, each.detail) for each in found]

    def later(self, days: float) -> Moment:
        return replace(NOW, at=NOW.at + timedelta(days=days))
