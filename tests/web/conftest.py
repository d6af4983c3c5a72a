"""A station's archive and the server on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from recorderd.settings import Settings

from .archive import Archive, settings_in
from .serving import Server


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_in(tmp_path)


@pytest.fixture
def archive(settings: Settings) -> Iterator[Archive]:
    made = Archive(settings)
    yield made
    made.catalogue.close()


@pytest.fixture
def server(archive: Archive) -> Iterator[Server]:
    running = Server(archive.settings)
    yield running
    running.close()
