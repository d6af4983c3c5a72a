"""The catalogue's tables: peewee models to query with, migrations to make and change them.

The models say how the newest schema looks; a migration, once released, is never edited.
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

MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = (
    (
        """CREATE TABLE meta (key TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL)""",
        """CREATE TABLE recordings (
            id TEXT NOT NULL PRIMARY KEY,
            order_id TEXT NOT NULL,
            label_text TEXT NOT NULL,
            search_text TEXT NOT NULL,
            symbology TEXT NOT NULL,
            take INTEGER NOT NULL,
            part INTEGER NOT NULL,
            continues TEXT REFERENCES recordings (id),
            station TEXT NOT NULL,
            footage_id TEXT,
            state TEXT NOT NULL,
            problem TEXT,
            stop_reason TEXT,
            recovered BOOLEAN NOT NULL,
            started_at BIGINT NOT NULL,
            ended_at BIGINT,
            boot_id TEXT NOT NULL,
            monotonic_ns BIGINT NOT NULL,
            clock TEXT NOT NULL,
            duration_ms BIGINT,
            path TEXT NOT NULL,
            bytes BIGINT,
            codec TEXT,
            encoder TEXT,
            mode TEXT,
            width INTEGER,
            height INTEGER,
            frames BIGINT,
            dropped BIGINT,
            flagged BOOLEAN NOT NULL,
            held BOOLEAN NOT NULL,
            void BOOLEAN NOT NULL,
            sha256 TEXT,
            previous_seal TEXT,
            seal TEXT,
            transcoded_from TEXT,
            deleted_at BIGINT
        )""",
        """CREATE UNIQUE INDEX recordings_take ON recordings ({order_key}, take, part)""",
        """CREATE INDEX recordings_order ON recordings {equality} (order_id)""",
        """CREATE INDEX recordings_started_at ON recordings (started_at)""",
        """CREATE INDEX recordings_state ON recordings (state)""",
        """CREATE TABLE events (
            id {counter} NOT NULL PRIMARY KEY,
            at BIGINT NOT NULL,
            station TEXT NOT NULL,
            event TEXT NOT NULL,
            detail TEXT NOT NULL,
            recording_id TEXT
        )""",
        """CREATE INDEX events_recording ON events (recording_id)""",
        """CREATE INDEX events_at ON events (at)""",
        """{sqlite_only} CREATE VIRTUAL TABLE recording_fragments USING fts5 (
            id UNINDEXED, search_text, tokenize='trigram case_sensitive 1'
        )""",
        """{sqlite_only} CREATE TRIGGER recording_fragments_insert AFTER INSERT ON recordings BEGIN
            INSERT INTO recording_fragments (id, search_text) VALUES (new.id, new.search_text);
        END""",
    ),
    (
        """CREATE INDEX recordings_flagged ON recordings (started_at) WHERE flagged""",
        """CREATE INDEX recordings_station ON recordings (station, started_at)""",
    ),
    (
        # Each index of a fact holds the others, so that rows need not be read to check them.
        """DROP INDEX recordings_state""",
        """DROP INDEX recordings_station""",
        """DROP INDEX recordings_flagged""",
        """CREATE INDEX recordings_state ON recordings (state, started_at, station, flagged)""",
        """CREATE INDEX recordings_station ON recordings (station, started_at, state, flagged)""",
        """CREATE INDEX recordings_flagged ON recordings (started_at, state, station)
            WHERE flagged""",
        """CREATE INDEX recordings_dropped ON recordings (dropped) WHERE dropped > 0""",
        """{sqlite_only} DROP TRIGGER recording_fragments_insert""",
        """{sqlite_only} DROP TABLE recording_fragments""",
        """{sqlite_only} CREATE VIRTUAL TABLE recording_fragments USING fts5 (
            id UNINDEXED, search_text, tokenize='trigram case_sensitive 1', columnsize=0
        )""",
        """{sqlite_only} CREATE VIRTUAL TABLE recording_trigrams USING fts5vocab (
            recording_fragments, instance
        )""",
        """{sqlite_only} INSERT INTO recording_fragments (rowid, id, search_text)
            SELECT
                (started_at >> 26 << 15)
                    + row_number() OVER (PARTITION BY started_at >> 26 ORDER BY id) - 1,
                id,
                char(10) || search_text || char(10, 10)
            FROM recordings ORDER BY 1""",
        """{sqlite_only} INSERT INTO recording_fragments (recording_fragments)
            VALUES ('optimize')""",
        """{sqlite_only} CREATE TRIGGER recording_fragments_insert AFTER INSERT ON recordings BEGIN
            INSERT INTO recording_fragments (rowid, id, search_text) VALUES ({sqlite_fragments});
        END""",
        """{sqlite_only} CREATE TRIGGER recording_fragments_update
        AFTER UPDATE OF id, started_at, search_text ON recordings
        WHEN new.started_at >> 26 <> old.started_at >> 26
            OR new.search_text <> old.search_text OR new.id <> old.id
        BEGIN
            DELETE FROM recording_fragments WHERE {sqlite_old_fragments};
            INSERT INTO recording_fragments (rowid, id, search_text) VALUES ({sqlite_fragments});
        END""",
        """{sqlite_only} CREATE TRIGGER recording_fragments_delete AFTER DELETE ON recordings BEGIN
            DELETE FROM recording_fragments WHERE {sqlite_old_fragments};
        END""",
        """{postgresql_only} DO $$
        BEGIN
            CREATE EXTENSION IF NOT EXISTS pg_trgm;
            CREATE INDEX recordings_fragments ON recordings USING gin (search_text gin_trgm_ops);
        EXCEPTION
            WHEN insufficient_privilege OR undefined_file OR undefined_object
                OR feature_not_supported
            THEN RAISE WARNING USING MESSAGE = 'Searches will be slow: ' || SQLERRM;
        END $$""",
    ),
    (
        """CREATE TABLE seals (
            id {counter} NOT NULL PRIMARY KEY,
            station TEXT NOT NULL,
            number BIGINT NOT NULL,
            recording_id TEXT NOT NULL,
            statement TEXT NOT NULL,
            seal TEXT NOT NULL,
            signature TEXT NOT NULL
        )""",
        """CREATE UNIQUE INDEX seals_number ON seals (station, number)""",
        """CREATE INDEX seals_recording ON seals (recording_id)""",
        """{sqlite_only} CREATE TRIGGER seals_stay BEFORE UPDATE ON seals BEGIN
            SELECT RAISE(ABORT, 'a seal is never changed');
        END""",
        """{sqlite_only} CREATE TRIGGER seals_are_kept BEFORE DELETE ON seals BEGIN
            SELECT RAISE(ABORT, 'a seal is never deleted');
        END""",
        """CREATE TABLE time_stamps (
            id {counter} NOT NULL PRIMARY KEY,
            seal TEXT NOT NULL,
            authority TEXT NOT NULL,
            stamped_at BIGINT NOT NULL,
            response TEXT NOT NULL
        )""",
        """CREATE UNIQUE INDEX time_stamps_seal ON time_stamps (seal)""",
        """ALTER TABLE recordings ADD COLUMN crc32 BIGINT""",
        """ALTER TABLE recordings ADD COLUMN sealed TEXT""",
        """CREATE INDEX recordings_unsealed ON recordings (station, started_at)
            WHERE sealed IS NULL AND sha256 IS NOT NULL""",
        """CREATE INDEX recordings_deletion_unsealed ON recordings (station, started_at)
            WHERE state = 'deleted' AND (sealed IS NULL OR sealed <> 'deleted')""",
    ),
    ("""ALTER TABLE recordings ADD COLUMN missing_ms BIGINT""",),
    (
        """ALTER TABLE events ADD COLUMN boot_id TEXT""",
        """ALTER TABLE events ADD COLUMN monotonic_ns BIGINT""",
        """ALTER TABLE events ADD COLUMN clock TEXT""",
        """CREATE INDEX events_clock ON events (boot_id) WHERE clock = 'unsynchronised'""",
        """CREATE INDEX recordings_boot ON recordings (boot_id, monotonic_ns)""",
        """CREATE INDEX recordings_without_hash ON recordings (started_at)
            WHERE (sha256 IS NULL OR crc32 IS NULL)""",
        """CREATE INDEX recordings_deferred ON recordings (started_at)
            WHERE mode = 'defer' AND transcoded_from IS NULL""",
        """CREATE TABLE job_failures (
            recording_id TEXT NOT NULL,
            job TEXT NOT NULL,
            tries INTEGER NOT NULL,
            at BIGINT NOT NULL,
            retry_at BIGINT,
            problem TEXT NOT NULL,
            remedy TEXT NOT NULL,
            PRIMARY KEY (recording_id, job)
        )""",
    ),
)
"""Statements that bring the schema from version N to N + 1, in SQL for both databases.

`recording_fragments` makes looking for a fragment among a million rows a matter of
milliseconds. Its rows are numbered as their recordings started: each 2**26 microseconds (67
seconds) have 2**15 numbers, given in the order in which the rows come. So a recording whose
start is found to lie a few seconds earlier, as most are, seldom needs another number. Its
texts stand on lines of their own, with one more line end, so that each character begins a
trigram. `recording_trigrams` lists the trigrams there are (https://sqlite.org/fts5.html).

PostgreSQL (13 or later) lets the owner of a database add pg_trgm, which does the same. Where it
is not installed or not allowed, searches are as right, but slower.
"""

_SKIP: Final = "--"
_SQLITE_WORDS: Final = {
    "order_key": "order_id",
    "equality": "",
    "counter": "INTEGER",
    "sqlite_only": "",
    "postgresql_only": _SKIP,
    "sqlite_fragments": """
        coalesce(
            (
                SELECT rowid + 1 FROM recording_fragments
                WHERE rowid >= new.started_at >> 26 << 15
                    AND rowid < ((new.started_at >> 26) + 1) << 15
                ORDER BY rowid DESC LIMIT 1
            ),
            new.started_at >> 26 << 15
        ),
        new.id,
        char(10) || new.search_text || char(10, 10)""",
    "sqlite_old_fragments": """
        rowid >= old.started_at >> 26 << 15
        AND rowid < ((old.started_at >> 26) + 1) << 15
        AND id = old.id""",
}
# A B-tree entry of PostgreSQL holds 2.7 kB at most, and a label may be longer.
_POSTGRESQL_WORDS: Final = {
    "order_key": "md5(order_id)",
    "equality": "USING hash",
    "counter": "BIGSERIAL",
    "sqlite_only": _SKIP,
    "postgresql_only": "",
    "sqlite_fragments": "",
    "sqlite_old_fragments": "",
}


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
    words = _POSTGRESQL_WORDS if isinstance(database, PostgresqlDatabase) else _SQLITE_WORDS
    found = schema_version(database)
    if found < newest:
        with transaction(database):
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
