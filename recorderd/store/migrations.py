"""How the catalogue's tables came to be, step by step, in SQL for both databases.

A step that has been released is never edited: each database has gone through all of them.
"""

from __future__ import annotations

from typing import Final

FIRST_LINE: Final = "split_part(search_text, chr(10), 1)"
LAST_LINE: Final = "reverse(split_part(reverse(search_text), chr(10), 1))"
"""On PostgreSQL, the folded order id and the folded label, as far as they are one line each."""

NUMBER_ALL: Final = """
    INSERT INTO recording_fragments (rowid, id, search_text)
    SELECT
        (started_at >> 26 << 15)
            + row_number() OVER (PARTITION BY started_at >> 26 ORDER BY id) - 1,
        id,
        char(10) || search_text || char(10, 10)
    FROM recordings ORDER BY 1
"""
"""Fills SQLite's empty index of fragments, far quicker than row by row."""

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
        "{sqlite_only}" + NUMBER_ALL,
        """{sqlite_only} INSERT INTO recording_fragments (recording_fragments)
            VALUES ('optimize')""",
        """{sqlite_only} CREATE TRIGGER recording_fragments_insert AFTER INSERT ON recordings BEGIN
            INSERT INTO recording_fragments (rowid, id, search_text) VALUES ({numbered});
        END""",
        """{sqlite_only} CREATE TRIGGER recording_fragments_update
        AFTER UPDATE OF id, started_at, search_text ON recordings
        WHEN new.started_at >> 26 <> old.started_at >> 26
            OR new.search_text <> old.search_text OR new.id <> old.id
        BEGIN
            DELETE FROM recording_fragments WHERE {numbered_before};
            INSERT INTO recording_fragments (rowid, id, search_text) VALUES ({numbered});
        END""",
        """{sqlite_only} CREATE TRIGGER recording_fragments_delete AFTER DELETE ON recordings BEGIN
            DELETE FROM recording_fragments WHERE {numbered_before};
        END""",
        """{postgresql_only} CREATE INDEX recordings_first_line ON recordings
            USING hash (({first_line}))""",
        """{postgresql_only} CREATE INDEX recordings_last_line ON recordings
            USING hash (({last_line}))""",
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
    (
        # With the id in them a server need not read rows to tell which they are.
        """{postgresql_only} DROP INDEX recordings_state""",
        """{postgresql_only} DROP INDEX recordings_station""",
        """{postgresql_only} CREATE INDEX recordings_state
            ON recordings (state, started_at, id, station, flagged)""",
        """{postgresql_only} CREATE INDEX recordings_station
            ON recordings (station, started_at, id, state, flagged)""",
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

SQLITE_WORDS: Final = {
    "order_key": "order_id",
    "equality": "",
    "counter": "INTEGER",
    "sqlite_only": "",
    "postgresql_only": "--",
    "numbered": """
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
        char(10) || new.search_text || char(10, 10)
    """,
    "numbered_before": """
        rowid >= old.started_at >> 26 << 15
        AND rowid < ((old.started_at >> 26) + 1) << 15
        AND id = old.id
    """,
    "first_line": "",
    "last_line": "",
}
# A B-tree entry of PostgreSQL holds 2.7 kB at most, and a label may be longer.
POSTGRESQL_WORDS: Final = {
    "order_key": "md5(order_id)",
    "equality": "USING hash",
    "counter": "BIGSERIAL",
    "sqlite_only": "--",
    "postgresql_only": "",
    "numbered": "",
    "numbered_before": "",
    "first_line": FIRST_LINE,
    "last_line": LAST_LINE,
}
"""What the words in braces mean; a statement that begins with -- is passed over."""
