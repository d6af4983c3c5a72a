"""The schema: tables as the models say, forward migrations, and text that survives storage."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from peewee import OperationalError, SqliteDatabase

from recorderd.errors import CatalogueError
from recorderd.store.schema import (
    MIGRATIONS,
    exact_text,
    migrate,
    schema_version,
    search_text,
    stored_text,
    tables_of,
)

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
