"""A station's archive, sealed by the real finisher."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from recorderd.finisher.run import Finisher
from recorderd.store.footage import prepare
from tests.web.archive import Archive, settings_in


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    made = Archive(settings_in(tmp_path))
    made.catalogue.set_footage_id(prepare(made.settings, None))
    yield made
    made.catalogue.close()


@pytest.fixture
def finisher(archive: Archive) -> Finisher:
    return Finisher(archive.settings, threading.Event())
