"""Somebody with a database browser, who also takes away what guards the table."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import psycopg

from tests.web.archive import Archive

_GUARDS = ("seals_stay", "seals_are_kept")
"""The triggers of SQLite; to its owner a server's table lies open anyway."""


def intrude(archive: Archive, statement: str, *values: object) -> None:
    """Carry out one statement in SQL, with a question mark for each of the values."""
    url = archive.settings.database_url
    if url.startswith("postgresql"):
        with psycopg.connect(url) as connection:
            connection.execute(statement.replace("?", "%s").encode(), values)
        return
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as database, database:
        for guard in _GUARDS:
            database.execute(f"DROP TRIGGER IF EXISTS {guard}")
        database.execute(statement, values)
