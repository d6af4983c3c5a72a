"""The catalogue's tables: peewee models to query with, migrations to make and change them.

The models say how the newest schema looks.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

from peewee import (
    AutoField,
    BigIntegerField,
    BooleanField,
    CompositeKey,
    Database,
    IntegerField,
    Model,
    PostgresqlDatabase,
    TextField,
)

from recorderd.errors import CatalogueError
from recorderd.store.database import transaction
from recorderd.store.migrations import MIGRATIONS, POSTGRESQL_WORDS, SQLITE_WORDS

_ESCAPE: Final = "\ufdd0"
"""A Unicode noncharacter (U+FDD0, reserved for a program's own use) that no label holds."""
_NOT_STORABLE: Final = re.compile(f"[\0{_ESCAPE}\ud800-\udfff]")
_ESCAPED: Final = re.compile(f"{_ESCAPE}([0-9a-f]{{4}})")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def stored_text(text: str) -> str:
    """Write NUL and lone surrogates, which databases refuse, as U+FDD0 and four hex digits.

    All other text is stored as it is. `exact_text` undoes it without loss.
    """
    return _NOT_STORABLE.sub(lambda found: f"{_ESCAPE}{ord(found[0]):04x}", text)


def exact_text(stored: str) -> str:
    """Give back the text as it was before `stored_text`."""
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), stored)


def search_text(*texts: str) -> str:
    """Fold texts into the one in which fragments are looked for, upper and lower case alike.

    The result can be stored as it is.
    """
    return stored_text("\n".join(unicodedata.normalize("NFKC", text).casefold() for text in texts))


def microseconds(moment: datetime) -> int:
    """Turn an aware moment into whole microseconds since 1970 UTC, as it is stored."""
    return (moment - _EPOCH) // _MICROSECOND


def moment_of(value: int) -> datetime:
    """The aware moment that `microseconds` was made of."""
    return _EPOCH + value * _MICROSECOND


class ExactTextField(TextField):
    """Text from a label or a person: comes back exactly as it was, whatever it is."""

    def db_value(self, value: str | None) -> str | None:
        return None if value is None else stored_text(value)

    def python_value(self, value: str | None) -> str | None:
        return None if value is None else exact_text(value)


class MomentField(BigIntegerField):
    """An aware moment, stored as microseconds since 1970 UTC so that it sorts and adds."""

    def db_value(self, value: datetime | int | None) -> int | None:
        return microseconds(value) if isinstance(value, datetime) else value

    def python_value(self, value: int | None) -> datetime | None:
        return None if value is None else _EPOCH + value * _MICROSECOND


class Recording(Model):
    """One video file of one part of one take of an order, from its registration on.

    `path` is relative to the footage folder; `footage_id` says which disk that is.
    """

    id = TextField(primary_key=True)
    order_id = ExactTextField()
    label_text = ExactTextField()
    search_text = TextField()
    symbology = TextField()
    take = IntegerField()
    part = IntegerField()
    continues = TextField(null=True)
    station = ExactTextField()
    footage_id = TextField(null=True)
    state = TextField()
    problem = ExactTextField(null=True)
    stop_reason = TextField(null=True)
    recovered = BooleanField(default=False)
    started_at = MomentField()
    ended_at = MomentField(null=True)
    boot_id = TextField()
    monotonic_ns = BigIntegerField()
    clock = TextField()
    duration_ms = BigIntegerField(null=True)
    path = TextField()
    bytes = BigIntegerField(null=True)
    codec = TextField(null=True)
    encoder = TextField(null=True)
    mode = TextField(null=True)
    width = IntegerField(null=True)
    height = IntegerField(null=True)
    frames = BigIntegerField(null=True)
    dropped = BigIntegerField(null=True)
    flagged = BooleanField(default=False)
    held = BooleanField(default=False)
    void = BooleanField(default=False)
    sha256 = TextField(null=True)
    crc32 = BigIntegerField(null=True)
    sealed = TextField(null=True)
    previous_seal = TextField(null=True)
    seal = TextField(null=True)
    transcoded_from = TextField(null=True)
    deleted_at = MomentField(null=True)
    missing_ms = BigIntegerField(null=True)


class LoggedEvent(Model):
    """One entry of the event log. `recording_id` need not have a row: a log takes anything."""

    id = AutoField()
    at = MomentField()
    station = ExactTextField()
    event = ExactTextField()
    detail = ExactTextField()
    recording_id = TextField(null=True)
    boot_id = TextField(null=True)
    monotonic_ns = BigIntegerField(null=True)
    clock = TextField(null=True)


class JobFailure(Model):
    """A background job that failed for a recording: how often, why, and when it is tried again.

    Without `retry_at` it was given up. The row goes when the job has succeeded.
    """

    recording_id = TextField()
    job = TextField()
    tries = IntegerField()
    at = MomentField()
    retry_at = MomentField(null=True)
    problem = ExactTextField()
    remedy = ExactTextField()

    class Meta:
        primary_key = CompositeKey("recording_id", "job")


class StoredSeal(Model):
    """One link of a station's chain of seals; never changed, never deleted.

    `statement` is the very text that `seal` (SHA-256) and `signature` (Ed25519) belong to.
    """

    id = AutoField()
    station = ExactTextField()
    number = BigIntegerField()
    recording_id = TextField()
    statement = TextField()
    seal = TextField()
    signature = TextField()


class TimeStamp(Model):
    """What a time-stamping authority answered for a seal (RFC 3161), in hexadecimal."""

    id = AutoField()
    seal = TextField()
    authority = ExactTextField()
    stamped_at = MomentField()
    response = TextField()


class Meta(Model):
    """Facts about the catalogue itself."""

    key = ExactTextField(primary_key=True)
    value = ExactTextField()


@dataclass(frozen=True, slots=True)
class Tables:
    """The models bound to one database, so that two databases can be open side by side."""

    recordings: type[Recording]
    events: type[LoggedEvent]
    failures: type[JobFailure]
    meta: type[Meta]
    seals: type[StoredSeal]
    time_stamps: type[TimeStamp]


_Bound = TypeVar("_Bound", bound=Model)


def tables_of(database: Database) -> Tables:
    """Bind the models to a database."""

    def bound(model: type[_Bound], name: str) -> type[_Bound]:
        options = type("Meta", (), {"database": database, "table_name": name})
        make_class: Any = type(model)
        made: type[_Bound] = make_class(model.__name__, (model,), {"Meta": options})
        return made

    return Tables(
        recordings=bound(Recording, "recordings"),
        events=bound(LoggedEvent, "events"),
        failures=bound(JobFailure, "job_failures"),
        meta=bound(Meta, "meta"),
        seals=bound(StoredSeal, "seals"),
        time_stamps=bound(TimeStamp, "time_stamps"),
    )


SCHEMA_VERSION_KEY: Final = "schema_version"
FOOTAGE_KEY: Final = "footage_id of "
"""In `meta`, before the name of a station: the id of the disk on which its footage lies."""

_LOCK: Final = int.from_bytes(b"recorder")
"""The number under which stations that bring a schema up to date wait for each other."""
_SKIP: Final = "--"


def schema_version(database: Database) -> int:
    """Tell the version of a database's schema, 0 for an empty one.

    Raises CatalogueError if the database belongs to some other program.
    """
    names = set(database.get_tables())
    if "meta" not in names:
        if names:
            raise CatalogueError(
                "The database holds tables of another program",
                "Give recorderd a database of its own with storage.database_url",
            )
        return 0
    row = database.execute_sql(  # type: ignore[no-untyped-call]
        f"SELECT value FROM meta WHERE key = {database.param}",  # noqa: S608 - a mark, no text
        (SCHEMA_VERSION_KEY,),
    ).fetchone()
    if row is None or not row[0].isdecimal():
        raise CatalogueError(
            "The catalogue does not say which version it has",
            "Put back a backup of it, or give recorderd a database of its own",
        )
    return int(row[0])


def migrate(database: Database, migrations: Sequence[Sequence[str]] = MIGRATIONS) -> int:
    """Bring the schema to the newest version; all steps in one transaction or none.

    Returns the version found before. Raises CatalogueError for a newer schema than ours.
    """
    newest = len(migrations)
    is_server = isinstance(database, PostgresqlDatabase)
    words = POSTGRESQL_WORDS if is_server else SQLITE_WORDS
    found = schema_version(database)
    if found < newest:
        with transaction(database):
            if is_server:
                # SQLite's transactions wait for each other anyway.
                database.execute_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")  # type: ignore[no-untyped-call]
            # Another process may have been quicker.
            found = schema_version(database)
            for statements in migrations[found:]:
                for statement in statements:
                    sql = statement.format_map(words)
                    if not sql.startswith(_SKIP):
                        database.execute_sql(sql)  # type: ignore[no-untyped-call]
            meta = tables_of(database).meta
            meta.delete().where(meta.key == SCHEMA_VERSION_KEY).execute()
            meta.insert(key=SCHEMA_VERSION_KEY, value=str(max(found, newest))).execute()
    refuse_newer(found, newest)
    return found


def refuse_newer(found: int, newest: int = len(MIGRATIONS)) -> None:
    """Raise CatalogueError if a schema was made by a newer recorderd than this one."""
    if found > newest:
        raise CatalogueError(
            f"The catalogue was made by a newer recorderd (schema {found}, this one knows up to "
            f"{newest})",
            "Install that newer recorderd again, or put back the catalogue's backup",
        )
