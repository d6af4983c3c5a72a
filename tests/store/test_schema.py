"""The schema: tables as the models say, forward migrations, and text that survives storage."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from peewee import OperationalError, SqliteDatabase

from recorderd.errors import CatalogueError
from recorderd.store.catalogue import Catalogue
from recorderd.store.migrations import MIGRATIONS
from recorderd.store.schema import (
    exact_text,
    microseconds,
    migrate,
    schema_version,
    search_text,
    stored_text,
    tables_of,
)
from recorderd.store.search import Search, search

from . import postgresql
from .rows import START, new

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=40)


@pytest.fixture
def database(tmp_path: Path) -> SqliteDatabase:
    return SqliteDatabase(str(tmp_path / "catalogue.db"), lock_type="IMMEDIATE")


@given(ANY_TEXT)
@example("\0\ud800\ufdd0\ufdd00000")
@example("\ufdd0")
@example("\ufdd0d800")
def test_any_text_survives_storage(text: str) -> None:
    stored = stored_text(text)
    stored.encode("utf-8")
    assert "\0" not in stored
    assert exact_text(stored) == text


@given(ANY_TEXT, ANY_TEXT)
def test_texts_that_differ_are_stored_differently(one: str, other: str) -> None:
    assert (stored_text(one) == stored_text(other)) == (one == other)


def test_ordinary_text_is_stored_as_it_is() -> None:
    text = "SO-4711 Müller 包裹 📦 \\x00 %_ '\"; DROP TABLE recordings"
    assert stored_text(text) == text


def test_search_ignores_case_and_width() -> None:
    assert search_text("MÜLLER") == search_text("müller")
    assert search_text("ＳＯ-１") == search_text("so-1")


def test_the_tables_are_what_the_models_say(database: SqliteDatabase) -> None:
    migrate(database)
    tables = tables_of(database)
    for model in (tables.recordings, tables.events, tables.failures, tables.meta):
        in_database = {
            column.name: column.null for column in database.get_columns(model._meta.table_name)
        }
        in_model = {field.column_name: field.null for field in model._meta.sorted_fields}
        assert in_database == in_model


def test_order_id_start_and_state_have_an_index(database: SqliteDatabase) -> None:
    migrate(database)
    first_columns = {index.columns[0] for index in database.get_indexes("recordings")}
    assert {"order_id", "started_at", "state", "id"} <= first_columns


def test_migration_runs_once(database: SqliteDatabase) -> None:
    assert migrate(database) == 0
    assert migrate(database) == len(MIGRATIONS)
    assert schema_version(database) == len(MIGRATIONS)


LATER = (*MIGRATIONS, ("ALTER TABLE recordings ADD COLUMN weight INTEGER",))


def test_an_older_schema_goes_forward_and_keeps_its_rows(database: SqliteDatabase) -> None:
    migrate(database)
    tables_of(database).meta.insert(key="k", value="v").execute()
    assert migrate(database, LATER) == len(MIGRATIONS)
    assert schema_version(database) == len(LATER)
    assert "weight" in {column.name for column in database.get_columns("recordings")}
    assert tables_of(database).meta.get_by_id("k").value == "v"


def test_a_migration_that_fails_changes_nothing(database: SqliteDatabase) -> None:
    migrate(database)
    with pytest.raises(OperationalError):
        migrate(database, (*LATER, ("ALTER TABLE nowhere ADD COLUMN x INTEGER",)))
    assert schema_version(database) == len(MIGRATIONS)
    assert "weight" not in {column.name for column in database.get_columns("recordings")}


def test_a_newer_schema_is_refused_in_words(database: SqliteDatabase) -> None:
    migrate(database, LATER)
    with pytest.raises(CatalogueError, match="made by a newer recorderd") as caught:
        migrate(database)
    assert "Install that newer recorderd" in caught.value.remedy


def test_another_programs_database_is_refused(tmp_path: Path, database: SqliteDatabase) -> None:
    with sqlite3.connect(tmp_path / "catalogue.db") as other:
        other.execute("CREATE TABLE invoices (id)")
    with pytest.raises(CatalogueError, match="another program"):
        migrate(database)


# --- the index of fragments ----------------------------------------------------------------


def numbered(database: SqliteDatabase) -> dict[str, tuple[int, str]]:
    """Each row of the index: the span of time it stands in, and its text."""
    rows = database.execute_sql(  # type: ignore[no-untyped-call]
        "SELECT id, rowid >> 15, search_text FROM recording_fragments"
    )
    return {recording_id: (span, text) for recording_id, span, text in rows}


def expected(database: SqliteDatabase) -> dict[str, tuple[int, str]]:
    return {
        row.id: (microseconds(row.started_at) >> 26, f"\n{row.search_text}\n\n")
        for row in tables_of(database).recordings.select()
    }


def fill(database: SqliteDatabase) -> list[str]:
    """Enter recordings, some at the very same moment and some before 1970."""
    recordings = tables_of(database).recordings
    starts = [START, START, START + timedelta(hours=1), START - timedelta(days=30_000)]
    for number, started_at in enumerate(starts):
        recordings.insert(
            id=f"id-{number}",
            order_id=f"SO-{number}",
            label_text=f"SO-{number}",
            search_text=f"so-{number}",
            symbology="qr",
            take=1,
            part=1,
            station="bench-1",
            state="saved",
            started_at=started_at,
            boot_id="boot-1",
            monotonic_ns=0,
            clock="synchronised",
            path="x.mp4",
        ).execute()
    return [f"id-{number}" for number in range(len(starts))]


def test_fragments_of_an_older_schema_are_numbered_anew(database: SqliteDatabase) -> None:
    migrate(database, MIGRATIONS[:2])
    known = fill(database)
    migrate(database)
    assert set(numbered(database)) == set(known)
    assert numbered(database) == expected(database)


def test_fragments_follow_their_recordings(database: SqliteDatabase) -> None:
    migrate(database)
    first, second, third, fourth = fill(database)
    assert numbered(database) == expected(database)
    recordings = tables_of(database).recordings
    for recording_id, columns in {
        first: {"started_at": START + timedelta(days=400)},
        second: {"started_at": START - timedelta(seconds=3), "flagged": True},
        third: {"search_text": "so-3\nlabel"},
    }.items():
        recordings.update(columns).where(recordings.id == recording_id).execute()
    recordings.delete().where(recordings.id == fourth).execute()
    assert set(numbered(database)) == {first, second, third}
    assert numbered(database) == expected(database)
    database.execute_sql("VACUUM")  # type: ignore[no-untyped-call]
    assert numbered(database) == expected(database)
    database.execute_sql(  # type: ignore[no-untyped-call]
        "INSERT INTO recording_fragments (recording_fragments) VALUES ('integrity-check')"
    )


# --- PostgreSQL ----------------------------------------------------------------------------


@pytest.fixture
def owner(postgresql_server: Path, postgresql_url: str) -> Iterator[str]:
    """The name of a user who is no administrator and owns the database of the same name."""
    with psycopg.connect(postgresql_url, autocommit=True) as connection:
        connection.execute("CREATE ROLE packer LOGIN")
        connection.execute("CREATE DATABASE packer OWNER packer")
        yield "packer"
        connection.execute("DROP DATABASE packer WITH (FORCE)")
        connection.execute("DROP ROLE packer")


def indexes(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT indexname FROM pg_indexes WHERE schemaname = 'public'")
        return {name for (name,) in found}


def test_the_owner_of_a_server_database_gets_an_index_of_fragments(
    postgresql_server: Path, owner: str
) -> None:
    url = postgresql.address(postgresql_server, user=owner, database=owner)
    Catalogue.open(url, "bench-1").close()
    assert "recordings_fragments" in indexes(url)


def test_who_may_not_add_an_extension_searches_without(postgresql_server: Path, owner: str) -> None:
    administrators = postgresql.address(postgresql_server, database=owner)
    with psycopg.connect(administrators, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {owner} OWNER TO {postgresql.ADMINISTRATOR}")
        connection.execute(f"GRANT ALL ON SCHEMA public TO {owner}")
    url = postgresql.address(postgresql_server, user=owner, database=owner)
    catalogue = Catalogue.open(url, "bench-1")
    assert "recordings_fragments" not in indexes(url)
    assert "recordings_state" in indexes(url)
    entry = new("SO-4711")
    catalogue.register(entry)
    catalogue.close()
    assert [row.id for row in search(url, Search(text="471"), None, 25).rows] == [entry.id]


def test_stations_that_start_together_make_one_schema(postgresql_url: str) -> None:
    together = threading.Barrier(4)

    def start(number: int) -> None:
        together.wait(60)
        Catalogue.open(postgresql_url, f"bench-{number}").close()

    with ThreadPoolExecutor(4) as stations:
        assert list(stations.map(start, range(4))) == [None] * 4
