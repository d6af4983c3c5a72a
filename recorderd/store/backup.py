"""The catalogue as it was before an upgrade: `python -m recorderd.store.backup`.

`save FILE` makes a copy if this release would change the schema; `restore FILE` puts it back.
scripts/upgrade calls both, while no service runs.
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from peewee import Database

from recorderd.config import load, without_password
from recorderd.errors import CatalogueError, RecorderdError
from recorderd.store.database import for_reading, open_for_reading, sqlite_path, translated
from recorderd.store.footage import sync_file, sync_folder
from recorderd.store.migrations import MIGRATIONS
from recorderd.store.schema import schema_version


def save(url: str, file: Path) -> bool:
    """Copy the catalogue into `file` if this release changes its schema; False if it does not.

    Raises CatalogueError, also for a server's catalogue, which only its own tools can copy.
    """
    path = sqlite_path(url)
    if path is not None and not path.exists():
        return False
    if _version(url) >= len(MIGRATIONS):
        return False
    if path is None:
        raise CatalogueError(
            f"This release changes the schema of the catalogue {without_password(url)}",
            "Make a copy with pg_dump, bring it to the new schema by starting the new release "
            "once by hand (recorderd run), then upgrade again",
        )
    half_made = file.with_name(f"{file.name}.new")
    with translated(url):
        half_made.unlink(missing_ok=True)
        with _opened(url) as catalogue, closing(sqlite3.connect(half_made)) as copy:
            source: sqlite3.Connection = catalogue.connection()  # type: ignore[no-untyped-call]
            source.backup(copy)
        half_made.chmod(stat.S_IMODE(path.stat().st_mode))
        sync_file(half_made)
        half_made.replace(file)
        sync_folder(file.parent)
    return True


def restore(url: str, file: Path) -> Path | None:
    """Put the copy back, if the schema has changed since; returns where the other one is kept.

    At every instant there is a whole catalogue. May be repeated. Raises CatalogueError.
    """
    path = sqlite_path(url)
    if path is None:
        return None
    with translated(url):
        changed = _version(url)
        if changed == _version(f"sqlite:///{file}"):
            _remove(file)
            return None
        # What waits in the write-ahead log belongs to the other one.
        with closing(sqlite3.connect(path)) as catalogue:
            catalogue.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        kept = path.with_name(f"{path.stem}-of-schema-{changed}{path.suffix}")
        kept.unlink(missing_ok=True)
        os.link(path, kept)
        sync_folder(path.parent)
        file.replace(path)
        sync_folder(path.parent)
        _remove(file)
    return kept


def _version(url: str) -> int:
    with _opened(url) as database, translated(url):
        return schema_version(database)


@contextmanager
def _opened(url: str) -> Iterator[Database]:
    database = for_reading(url)
    open_for_reading(database, url)
    try:
        yield database
    finally:
        database.close()


def _remove(file: Path) -> None:
    """A database, and what SQLite has left beside it when it was only read."""
    for suffix in ("", "-wal", "-shm"):
        file.with_name(file.name + suffix).unlink(missing_ok=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what is asked on the command line. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m recorderd.store.backup")
    parser.add_argument("action", choices=("save", "restore"))
    parser.add_argument("file", type=Path)
    options = parser.parse_args(arguments)
    try:
        url = load().settings.database_url
        if options.action == "save":
            if save(url, options.file):
                print(f"The catalogue was copied to {options.file}.")
        elif kept := restore(url, options.file):
            print(f"The catalogue is as it was; what the other release made of it is in {kept}.")
    except RecorderdError as error:
        print(f"{error.problem}\n{error.remedy}.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
