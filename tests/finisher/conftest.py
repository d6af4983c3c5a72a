"""An archive of finished recordings for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from recorderd.engine import probe
from recorderd.engine.probe import EncoderProof
from tests.finisher.archive import Archive

PROOFS = (
    EncoderProof("h264_qsv", "vbr", False, False, 0.0, "no such hardware"),
    EncoderProof("libx264", "superfast", True, True, 20.0, ""),
    EncoderProof("libx264", "ultrafast", True, True, 90.0, ""),
)


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Archive]:
    """The encoders of any machine have been tried out already: that takes seconds."""
    monkeypatch.setattr(probe, "probe_all", lambda *_, **__: PROOFS)
    archive = Archive(tmp_path)
    yield archive
    archive.catalogue.close()
