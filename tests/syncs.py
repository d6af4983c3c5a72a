"""What was forced onto the disk, and how it was then: all that a power cut leaves for sure."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


class Syncs:
    """Notes each fsync(2) and fdatasync(2) of this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.files: dict[int, int] = {}
        """The size of each file, by its inode, when it was last synced."""
        self.folders: dict[Path, frozenset[str]] = {}
        """The names in each folder when it was last synced."""
        for name in ("fsync", "fdatasync"):
            self._note(monkeypatch, name)

    def has_all_of(self, file: Path) -> bool:
        """Whether the file's whole contents are on the disk, under whatever name."""
        status = file.stat()
        return self.files.get(status.st_ino) == status.st_size

    def _note(self, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        real = getattr(os, name)

        def noted(descriptor: int) -> None:
            real(descriptor)
            status, path = os.fstat(descriptor), Path(f"/proc/self/fd/{descriptor}").readlink()
            if path.is_dir():
                self.folders[path] = frozenset(each.name for each in path.iterdir())
            else:
                self.files[status.st_ino] = status.st_size

        monkeypatch.setattr(os, name, noted)
