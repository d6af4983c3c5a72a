"""A station's folders, empty databases, and a disk small enough to fill."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from recorderd.settings import Settings, StationSettings, StorageSettings
from tests.store.shelf import Shelf


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        station=StationSettings(
            state_folder=str(tmp_path / "state"), run_folder=str(tmp_path / "run")
        )
    )


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'catalogue.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    """An empty database of each kind."""
    address: str = request.getfixturevalue(f"{request.param}_url")
    return address


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1 MB of its own, mounted at the path; needs the right to mount."""
    mount_point = tmp_path / "disk"
    mount_point.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(mount_point)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip("mounting a disk is not allowed here")
    yield mount_point
    subprocess.run(["umount", "--lazy", str(mount_point)], check=False)


@pytest.fixture
def disk_settings(tmp_path: Path, small_disk: Path) -> Settings:
    """A station whose footage goes to the small disk."""
    return Settings(
        station=StationSettings(state_folder=str(tmp_path / "state")),
        storage=StorageSettings(footage_folder=str(small_disk / "footage")),
    )


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    made = Shelf(tmp_path)
    yield made
    made.catalogue.close()
