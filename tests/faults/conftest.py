from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.metronome import metronome


@pytest.fixture(autouse=True, scope="module")
def no_metronome_beats_on() -> Iterator[None]:
    """It syncs a file of its own; other tests count what is synced."""
    yield
    if metronome.cache_info().currsize:
        metronome().close()
        metronome.cache_clear()
