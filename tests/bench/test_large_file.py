"""The large file is a video that the pages offer, and that the station leaves alone."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from recorderd.bench import large_file
from recorderd.bench.large_file import add_large_file
from recorderd.bench.try_out import write_settings
from recorderd.errors import StorageError
from recorderd.settings import Settings
from recorderd.store.catalogue import Catalogue
from recorderd.store.chores import Chores
from recorderd.store.footage import thumbnail_path
from recorderd.store.reader import find
from recorderd.web.library import look_up, video_file

SIZE = 3 << 20


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr(large_file, "FULL_SIZE", SIZE)
    return write_settings(
        tmp_path / "recorderd.toml", {"station": {"state_folder": f"{tmp_path}/state"}}
    )


def test_the_pages_offer_it(settings: Settings) -> None:
    path, file = add_large_file(settings, "LARGE-1")
    assert file.stat().st_size == SIZE
    _, _, recording_id, last = path.split("/")
    assert last == "video"
    row, _ = look_up(settings, recording_id)
    assert video_file(settings, row) == file
    assert find(settings.database_url, "LARGE-1")[0].bytes == SIZE


def test_no_service_has_work_with_it(settings: Settings) -> None:
    add_large_file(settings, "LARGE-1")
    with closing(Catalogue.open(settings.database_url, settings.station.name)) as catalogue:
        assert catalogue.unfinished() == []
        chores = Chores(catalogue)
        assert [*chores.without_fingerprint(), *chores.deferred()] == []
        (only,) = chores.latest()
    assert thumbnail_path(settings.footage_folder / only.path).exists()


def test_a_full_disk_is_said(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_file, "_SPARE_DISK", 1 << 60)
    with pytest.raises(StorageError, match="too little space"):
        add_large_file(settings, "LARGE-1")
