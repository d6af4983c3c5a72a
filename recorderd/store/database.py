"""Opening the catalogue's database, and turning its errors into words."""

from __future__ import annotations

import importlib.util
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from peewee import (
    Database,
    DataError,
    ImproperlyConfigured,
    IntegrityError,
    NotSupportedError,
    PeeweeException,
    ProgrammingError,
    SqliteDatabase,
)
from playhouse import db_url

from recorderd.config import without_password
from recorderd.errors import CatalogueError, InvariantViolationError, StorageError
from recorderd.store.footage import make_state_folder, sync_folder

_SQLITE_SCHEME: Final = "sqlite:///"
_FILE_MODE: Final = 0o660
"""SQLite gives its -wal and -shm files the database's mode, and a reader of another user in
our group must be able to write those: with less it can stop the writer (measured)."""
_STEPS_BETWEEN_LOOKS: Final = 20_000
"""Steps of SQLite's virtual machine between two looks at the deadline: under a millisecond."""
_POSTGRESQL_CONNECT_SECONDS: Final = 3
_POSTGRESQL_READING: Final = {
    "default_transaction_read_only": "on",
    # Else each statement of one look would see another state.
    "default_transaction_isolation": r"repeatable\ read",
    # Compiling a search takes longer than most searches, and one plan does not fit all texts.
    "jit": "off",
    "plan_cache_mode": "force_custom_plan",
}
_POSTGRESQL_DISK_FULL: Final = "53100"
_POSTGRESQL_QUERY_CANCELED: Final = "57014"


class CatalogueUnavailableError(CatalogueError):
    """The database cannot be used just now: locked, full, away. Transient: try again."""


class CatalogueTooSlowError(CatalogueUnavailableError):
    """A question took longer than it may: ask for less."""


def sqlite_path(url: str) -> Path | None:
    """The file a sqlite:/// URL names; None for a database server."""
    return Path(url.removeprefix(_SQLITE_SCHEME)).absolute() if _is_sqlite(url) else None


def open_for_writing(url: str, busy_seconds: float) -> Database:
    """Open, and make if need be, a database to write to. Raises CatalogueError.

    SQLite: WAL, every commit synced, foreign keys on; a lock is waited for `busy_seconds`.
    """
    path = sqlite_path(url)
    if path is None:
        database = _postgresql(url)
        with translated(url):
            database.connect()
        return database
    with translated(url):
        make_state_folder(path.parent)
        _create_file(path)
        database = SqliteDatabase(
            str(path),
            pragmas=(("journal_mode", "wal"), ("synchronous", "full"), ("foreign_keys", 1)),
            timeout=busy_seconds,
            lock_type="IMMEDIATE",
        )
        database.connect()
        if database.journal_mode != "wal":
            database.close()
            raise CatalogueError(
                f"The disk with {path} cannot hold the catalogue safely (no write-ahead log)",
                "Keep the state folder on a local disk, not on a network share",
            )
    return database


def for_reading(
    url: str, busy_seconds: float = 1.0, longest_seconds: float | None = None
) -> Database:
    """Name an existing database that cannot be changed through what is returned.

    It is opened with `open_for_reading`, as often as need be. Raises CatalogueError.
    """
    path = sqlite_path(url)
    if path is None:
        options = dict(_POSTGRESQL_READING)
        if longest_seconds is not None:
            options["statement_timeout"] = str(round(longest_seconds * 1000))
        return _postgresql(url, options=" ".join(f"-c {key}={options[key]}" for key in options))
    return SqliteDatabase(
        f"file:{quote(str(path))}?mode=ro",
        uri=True,
        pragmas=(("query_only", 1),),
        timeout=busy_seconds,
    )


def open_for_reading(database: Database, url: str, longest_seconds: float | None = None) -> None:
    """Open, for this thread, a database that `for_reading` has named. Raises CatalogueError.

    Never makes a database. For SQLite the folder must be writable, for a reader shares
    memory with the writer through files there. After `longest_seconds` queries end with
    CatalogueUnavailableError. A connection to a server that was left open is used again.
    """
    path = sqlite_path(url)
    if path is None:
        with translated(url):
            if not _answers(database):
                database.connect()
        return
    if not path.exists():
        raise CatalogueError(
            f"There is no catalogue at {path} yet",
            "Start the station once, or check station.state_folder and storage.database_url",
        )
    with translated(url):
        database.connect()
    if longest_seconds is not None:
        deadline = time.monotonic() + longest_seconds
        connection: sqlite3.Connection = database.connection()  # type: ignore[no-untyped-call]
        connection.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS_BETWEEN_LOOKS)


def leave(database: Database) -> None:
    """End a look: a file is closed, a connection to a server kept, for it is made slowly."""
    if isinstance(database, SqliteDatabase):
        database.close()


@contextmanager
def transaction(database: Database) -> Iterator[None]:
    """Do everything in the block or nothing of it. Raises what the database raises.

    peewee's own `atomic` hides the cause when SQLite has rolled back by itself, as it does on
    a full disk: the second rollback fails, and only that is heard.
    """
    database.begin()
    try:
        yield
        database.commit()
    except BaseException:
        with suppress(PeeweeException):
            database.rollback()
        raise


@contextmanager
def translated(url: str) -> Iterator[None]:
    """Turn errors of the database into CatalogueError, or InvariantViolationError for bugs."""
    try:
        yield
    except PeeweeException as error:
        cause = getattr(error, "orig", None)
        if isinstance(cause, sqlite3.Error):
            raise _sqlite_error(cause, url) from error
        raise _server_error(error, url) from error
    except sqlite3.Error as error:
        # Fetching rows can fail as well, and peewee passes that on as it is.
        raise _sqlite_error(error, url) from error
    except StorageError as error:
        raise CatalogueUnavailableError(error.problem, error.remedy) from error
    except OSError as error:
        raise CatalogueUnavailableError(
            f"The catalogue {without_password(url)} cannot be opened: {error.strerror or error}",
            "Check that its folder exists and belongs to the user the service runs as",
        ) from error


def _is_sqlite(url: str) -> bool:
    if url.startswith(_SQLITE_SCHEME) and len(url) > len(_SQLITE_SCHEME):
        return True
    if url.startswith(("postgresql://", "postgres://")):
        return False
    raise CatalogueError(
        f"{without_password(url)} names no database",
        "Set storage.database_url to sqlite:///PATH or postgresql://USER:PASSWORD@HOST/NAME",
    )


def _create_file(path: Path) -> None:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _FILE_MODE)
    except FileExistsError:
        return
    try:
        os.fchmod(descriptor, _FILE_MODE)
    finally:
        os.close(descriptor)
    sync_folder(path.parent)


def _postgresql(url: str, **options: str) -> Database:
    if importlib.util.find_spec("psycopg") is None:
        raise CatalogueError(
            f"The catalogue {without_password(url)} needs the PostgreSQL driver, "
            "which is not installed",
            "Install it with: pip install 'recorderd[postgresql]'",
        )
    given: dict[str, Any] = {
        "prefer_psycopg3": True,
        "connect_timeout": _POSTGRESQL_CONNECT_SECONDS,
        **options,
    }
    with translated(url):
        try:
            database: Database = db_url.connect(
                url, unquote_user=True, unquote_password=True, **given
            )
        except ValueError as error:
            raise CatalogueError(
                f"{without_password(url)} is no valid database URL",
                "Write it as postgresql://USER:PASSWORD@HOST:PORT/NAME",
            ) from error
    return database


def _answers(database: Database) -> bool:
    """Whether an open connection still serves; if not, it is closed."""
    if database.is_closed():
        return False
    try:
        database.execute_sql("SELECT 1")  # type: ignore[no-untyped-call]
    except PeeweeException:
        with suppress(PeeweeException):
            database.close()
        return False
    return True


def _sqlite_error(error: sqlite3.Error, url: str) -> Exception:
    place = sqlite_path(url)
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    match code:
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return CatalogueUnavailableError(
                f"The catalogue {place} is locked by another program",
                "Close any program that has it open, such as a database browser or a backup",
            )
        case sqlite3.SQLITE_INTERRUPT:
            return _too_long()
        case sqlite3.SQLITE_FULL:
            return CatalogueUnavailableError(
                f"The disk with the catalogue {place} is full", "Delete what is not needed from it"
            )
        case (
            sqlite3.SQLITE_READONLY
            | sqlite3.SQLITE_CANTOPEN
            | sqlite3.SQLITE_PERM
            | sqlite3.SQLITE_AUTH
        ):
            return CatalogueUnavailableError(
                f"The catalogue {place} may not be opened or written ({error})",
                "Check that its disk is not mounted read-only and that the file and its folder "
                "belong to the user the service runs as",
            )
        case sqlite3.SQLITE_IOERR:
            return CatalogueUnavailableError(
                f"The disk with the catalogue {place} fails ({error})",
                "Check the disk and its cable; the journal of the kernel says more (journalctl -k)",
            )
        case sqlite3.SQLITE_PROTOCOL | sqlite3.SQLITE_NOMEM:
            return CatalogueUnavailableError(
                f"The catalogue {place} cannot be used just now ({error})",
                "Nothing need be done if this passes; otherwise check the computer's free memory",
            )
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return CatalogueError(
                f"The catalogue {place} is damaged ({error})",
                "Stop recorderd, move the file and those beside it that begin with its name to "
                "another place and keep them, put back a backup or let a new one be made; "
                "the videos are not affected",
            )
        case _:
            return InvariantViolationError(f"The catalogue {place} refused a statement: {error}")


def _server_error(error: PeeweeException, url: str) -> Exception:
    text = str(error).partition("\n")[0]
    shown = without_password(url)
    if isinstance(error, ImproperlyConfigured):
        return CatalogueError(f"The catalogue {shown} cannot be opened: {text}", "Check it")
    if isinstance(error, ProgrammingError | DataError | IntegrityError | NotSupportedError):
        return InvariantViolationError(f"The catalogue {shown} refused a statement: {text}")
    state = getattr(getattr(error, "orig", None), "sqlstate", None)
    if state == _POSTGRESQL_QUERY_CANCELED:
        return _too_long()
    if state == _POSTGRESQL_DISK_FULL:
        return CatalogueUnavailableError(
            f"The disk of the database server {shown} is full",
            "Delete what is not needed from it",
        )
    return CatalogueUnavailableError(
        f"The catalogue {shown} does not answer: {text}",
        "Check the network and that the database server runs",
    )


def _too_long() -> CatalogueError:
    return CatalogueTooSlowError(
        "The search took too long and was given up",
        "Give more of the order id, or a shorter range of dates",
    )
