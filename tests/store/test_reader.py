"""Finding recordings, without ever disturbing or changing the catalogue."""

from __future__ import annotations

import dataclasses
import multiprocessing
from collections.abc import Callable
from pathlib import Path

import pytest
from peewee import PeeweeException, SqliteDatabase

from recorderd.errors import CatalogueError
from recorderd.store.catalogue import Catalogue
from recorderd.store.database import for_reading, open_for_reading
from recorderd.store.migrations import MIGRATIONS
from recorderd.store.reader import find
from recorderd.store.schema import migrate

from .rows import captured, new


@pytest.fixture
def filled(url: str) -> str:
    catalogue = Catalogue.open(url, "bench-1")
    for after, (order_id, label) in enumerate(
        [
            ("SO-1", "SO-1"),
            ("SO-12", "SO-12"),
            ("100%", "100%"),
            ("A_B", "A_B"),
            ("AxB", "AxB"),
            ("back\\slash", "back\\slash"),
            ("MÜLLER-7", "order=MÜLLER-7;weight=3"),
            ("SO-1", "SO-1"),
        ]
    ):
        catalogue.register(new(order_id, label_text=label, after=after))
    catalogue.close()
    return url


def orders(url: str, text: str, limit: int = 50) -> list[str]:
    return [row.order_id for row in find(url, text, limit)]


def test_exactly_this_order_comes_first_then_the_newest(filled: str) -> None:
    assert orders(filled, "SO-1") == ["SO-1", "SO-1", "SO-12"]
    assert [row.take for row in find(filled, "SO-1")] == [2, 1, 1]
    assert orders(filled, "so-1") == ["SO-1", "SO-12", "SO-1"]


def test_fragments_of_order_and_label_are_found_in_any_case(filled: str) -> None:
    assert orders(filled, "12") == ["SO-12"]
    assert orders(filled, "müller") == ["MÜLLER-7"]
    assert orders(filled, "WEIGHT=3") == ["MÜLLER-7"]
    assert orders(filled, "nobody") == []


def test_wildcards_and_escapes_mean_themselves(filled: str) -> None:
    assert orders(filled, "%") == ["100%"]
    assert orders(filled, "_") == ["A_B"]
    assert orders(filled, "a_b") == ["A_B"]
    assert orders(filled, "\\") == ["back\\slash"]
    assert orders(filled, "' OR 1=1 --") == []


def test_empty_text_finds_the_newest_and_limits_hold(filled: str) -> None:
    assert orders(filled, "", 3) == ["SO-1", "MÜLLER-7", "back\\slash"]
    assert orders(filled, "SO-1", 1) == ["SO-1"]
    assert orders(filled, "SO-1", 0) == []


@pytest.mark.parametrize("text", ['SO"', '"SO-1"', "SO-1 OR SO-12", "SO-*", "NEAR(SO-1)", "id:SO"])
def test_words_of_the_search_engine_mean_themselves(filled: str, text: str) -> None:
    assert orders(filled, text) == []
    write_one(filled, f"a {text} b")
    assert orders(filled, text) == [f"a {text} b"]


@pytest.mark.parametrize("text", ["x" * 100_000, "%" * 100_000, "\ufdfa" * 4096, "\0", "\ud800"])
def test_no_text_is_too_strange_to_look_for(filled: str, text: str) -> None:
    assert orders(filled, text) == []


def test_a_missing_catalogue_is_said_so_and_not_made(sqlite_url: str, tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match="no catalogue at"):
        find(sqlite_url, "x")
    assert list(tmp_path.iterdir()) == []


def test_a_catalogue_of_another_version_is_said_so(sqlite_url: str, tmp_path: Path) -> None:
    (tmp_path / "catalogue.db").touch()
    with pytest.raises(CatalogueError, match="empty or of an older"):
        find(sqlite_url, "x")
    migrate(SqliteDatabase(str(tmp_path / "catalogue.db")), (*MIGRATIONS, ()))
    with pytest.raises(CatalogueError, match="newer recorderd"):
        find(sqlite_url, "x")


def test_a_reader_cannot_write(filled: str) -> None:
    database = for_reading(filled)
    open_for_reading(database, filled)
    with pytest.raises(PeeweeException, match=r"read-?only"):
        database.execute_sql("DELETE FROM recordings")  # type: ignore[no-untyped-call]
    database.close()
    assert len(find(filled, "")) == 8


# --- reader and writer in either order, as two processes of the same user -------------------


def in_process(call: Callable[..., object], *arguments: object) -> int | None:
    process = multiprocessing.get_context("spawn").Process(target=call, args=arguments)
    process.start()
    process.join(60)
    return process.exitcode


def expect_to_find(url: str, count: int) -> None:
    assert len(find(url, "SO")) == count


def write_one(url: str, order_id: str) -> None:
    catalogue = Catalogue.open(url, "bench-1")
    entry = new(order_id)
    catalogue.register(entry)
    catalogue.captured(entry.id, captured(entry))
    catalogue.saved(entry.id)
    catalogue.close()


def test_readers_work_before_while_and_after_the_writer_is_open(url: str) -> None:
    write_one(url, "SO-1")
    assert in_process(expect_to_find, url, 1) == 0
    catalogue = Catalogue.open(url, "bench-1")
    catalogue.register(new("SO-2"))
    assert in_process(expect_to_find, url, 2) == 0
    catalogue.register(new("SO-3"))
    catalogue.close()
    assert in_process(expect_to_find, url, 3) == 0
    write_one(url, "SO-4")
    expect_to_find(url, 4)


def test_a_writer_works_while_a_reader_looks_and_the_reader_keeps_its_view(filled: str) -> None:
    reader = for_reading(filled)
    open_for_reading(reader, filled)
    reader.begin()
    count = "SELECT count(*) FROM recordings"
    assert reader.execute_sql(count).fetchone() == (8,)  # type: ignore[no-untyped-call]
    assert in_process(write_one, filled, "SO-9") == 0
    assert reader.execute_sql(count).fetchone() == (8,)  # type: ignore[no-untyped-call]
    reader.rollback()
    assert reader.execute_sql(count).fetchone() == (9,)  # type: ignore[no-untyped-call]
    reader.close()
    assert in_process(write_one, filled, "SO-10") == 0


def test_rows_are_plain_data(filled: str) -> None:
    row = find(filled, "SO-12")[0]
    assert dataclasses.asdict(row)["order_id"] == "SO-12"
    assert row.duration_ms is None
    assert row.started_at.tzinfo is not None
