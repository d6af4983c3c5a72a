"""A station's archive, sealed by the real finisher."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from recorderd.finisher.run import Finisher
from recorderd.store.footage import prepare
from tests.web.archive import Archive, settings_in


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def archive(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Archive]:
    settings = settings_in(tmp_path)
    if request.param == "postgresql":
        url = request.getfixturevalue("postgresql_url")
        settings = replace(settings, storage=replace(settings.storage, database_url=url))
    made = Archive(settings)
    made.catalogue.set_footage_id(prepare(made.settings, None))
    yield made
    made.catalogue.close()


@pytest.fixture
def finisher(archive: Archive) -> Finisher:
    return Finisher(archive.settings, threading.Event())
