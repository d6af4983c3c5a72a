"""The SHA-256 of a file, read in pieces and dropped when the station needs the machine."""

from __future__ import annotations

import hashlib
import zlib
from pathlib import Path

import pytest

from recorderd.finisher import fingerprint as module
from recorderd.finisher.fingerprint import Fingerprint, fingerprint


@pytest.mark.parametrize("size", [0, 1, 10, 11, 25])
def test_hash_of_any_length(size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK_BYTES", 10)
    file = tmp_path / "file"
    file.write_bytes(bytes(range(size)))
    expected = hashlib.sha256(bytes(range(size))).hexdigest()
    found = fingerprint(file, lambda: False)
    assert found == Fingerprint(expected, zlib.crc32(bytes(range(size))))


def test_work_is_dropped_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK_BYTES", 10)
    file = tmp_path / "file"
    file.write_bytes(bytes(100))
    asked: list[int] = []

    def pause() -> bool:
        asked.append(1)
        return len(asked) == 2

    assert fingerprint(file, pause) is None
    assert len(asked) == 2


def test_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        fingerprint(tmp_path / "none", lambda: False)
