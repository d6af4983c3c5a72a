"""The catalogue's copy from before an upgrade, in databases of former schemas."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from recorderd.errors import CatalogueError
from recorderd.store import backup
from recorderd.store.catalogue import Catalogue
from recorderd.store.migrations import MIGRATIONS


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    path = tmp_path / "catalogue.db"
    Catalogue.open(f"sqlite:///{path}", "bench").close()
    return path


@contextmanager
def _open(path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(path)
    try:
        yield connection
        connection.commit()
    finally:
        connection.close()


def _set_version(path: Path, version: int) -> None:
    with _open(path) as connection:
        connection.execute("UPDATE meta SET value = ? WHERE key = 'schema_version'", [str(version)])


def _words(path: Path) -> list[str]:
    with _open(path) as connection:
        return [str(row[0]) for row in connection.execute("SELECT value FROM meta WHERE key = 'x'")]


def _write(path: Path, word: str) -> None:
    with _open(path) as connection:
        connection.execute("DELETE FROM meta WHERE key = 'x'")
        connection.execute("INSERT INTO meta VALUES ('x', ?)", [word])


def test_none_is_made_while_the_schema_stays(catalogue: Path, tmp_path: Path) -> None:
    assert not backup.save(f"sqlite:///{catalogue}", tmp_path / "copy.db")
    assert not (tmp_path / "copy.db").exists()


def test_none_is_made_before_there_is_a_catalogue(tmp_path: Path) -> None:
    assert not backup.save(f"sqlite:///{tmp_path}/none.db", tmp_path / "copy.db")


def test_folder_with_characters_that_addresses_use(tmp_path: Path) -> None:
    folder = tmp_path / "50 % #1?"
    folder.mkdir()
    url = f"sqlite:///{folder / 'catalogue.db'}"
    Catalogue.open(url, "bench").close()
    _set_version(folder / "catalogue.db", len(MIGRATIONS) - 1)
    _write(folder / "catalogue.db", "before")
    assert backup.save(url, tmp_path / "copy.db")
    assert _words(tmp_path / "copy.db") == ["before"]


def test_the_old_catalogue_comes_back_and_the_new_one_is_kept(
    catalogue: Path, tmp_path: Path
) -> None:
    url, copy = f"sqlite:///{catalogue}", tmp_path / "copy.db"
    _set_version(catalogue, len(MIGRATIONS) - 1)
    _write(catalogue, "before")
    assert backup.save(url, copy)
    _set_version(catalogue, len(MIGRATIONS))
    _write(catalogue, "after")
    kept = backup.restore(url, copy)
    assert kept is not None
    assert (_words(catalogue), _words(kept)) == (["before"], ["after"])
    assert sorted(path.name for path in tmp_path.iterdir()) == [kept.name, catalogue.name]
    assert stat.S_IMODE(catalogue.stat().st_mode) == 0o660


def test_nothing_is_put_back_if_the_schema_did_not_change(catalogue: Path, tmp_path: Path) -> None:
    """What was written since then must not be lost."""
    url, copy = f"sqlite:///{catalogue}", tmp_path / "copy.db"
    _set_version(catalogue, len(MIGRATIONS) - 1)
    assert backup.save(url, copy)
    _write(catalogue, "since then")
    assert backup.restore(url, copy) is None
    assert _words(catalogue) == ["since then"]
    assert not copy.exists()


def test_a_restore_that_was_cut_short_is_repeated(
    catalogue: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, copy = f"sqlite:///{catalogue}", tmp_path / "copy.db"
    _set_version(catalogue, len(MIGRATIONS) - 1)
    _write(catalogue, "before")
    backup.save(url, copy)
    _set_version(catalogue, len(MIGRATIONS))

    def plug_is_pulled(_folder: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(backup, "sync_folder", plug_is_pulled)
        with pytest.raises(KeyboardInterrupt):
            backup.restore(url, copy)
    assert catalogue.exists()
    assert backup.restore(url, copy) is not None
    assert _words(catalogue) == ["before"]


def test_a_damaged_catalogue_is_told_in_words(tmp_path: Path) -> None:
    damaged = tmp_path / "catalogue.db"
    damaged.write_bytes(b"no database" * 1000)
    with pytest.raises(CatalogueError, match="damaged"):
        backup.save(f"sqlite:///{damaged}", tmp_path / "copy.db")
