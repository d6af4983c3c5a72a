"""The catalogue keeps its word: takes, states, clocks, and errors a technician understands."""

from __future__ import annotations

import dataclasses
import os
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from recorderd.core.model import RecordingId, RecordingState
from recorderd.errors import CatalogueError, InvariantViolationError
from recorderd.store.catalogue import Catalogue, ClockReading, KnownTimes
from recorderd.store.database import CatalogueUnavailableError
from recorderd.store.reader import RecordingRow, find
from recorderd.store.schema import microseconds

from .rows import MONOTONIC_NS, START, captured, new


@pytest.fixture
def catalogue(url: str) -> Iterator[Catalogue]:
    opened = Catalogue.open(url, "bench-1")
    yield opened
    opened.close()


def row_of(url: str, recording_id: RecordingId) -> RecordingRow:
    (row,) = (row for row in find(url, "", 100) if row.id == recording_id)
    return row


# --- takes and parts -----------------------------------------------------------------------


def test_takes_count_up_by_order(catalogue: Catalogue) -> None:
    assert [catalogue.register(new("A")) for _ in range(3)] == [1, 2, 3]
    assert catalogue.register(new("B")) == 1
    assert catalogue.register(new("a")) == 1


def test_a_later_part_belongs_to_the_take_it_continues(catalogue: Catalogue) -> None:
    catalogue.register(new())
    first = new()
    assert catalogue.register(first) == 2
    second = new(part=2, continues=first.id)
    assert catalogue.register(second) == 2
    assert catalogue.register(new()) == 3
    assert catalogue.register(new(part=3, continues=second.id)) == 2


def test_a_take_is_never_given_twice_even_after_a_loss(catalogue: Catalogue) -> None:
    gone = new()
    catalogue.register(gone)
    catalogue.lost(gone.id, "nothing was written")
    assert catalogue.register(new()) == 2


def test_registering_twice_is_once(catalogue: Catalogue) -> None:
    first = new()
    assert catalogue.register(first) == 1
    assert catalogue.register(new()) == 2
    assert catalogue.register(first) == 1
    assert len(catalogue.unfinished()) == 2


def test_what_cannot_be_a_recording_is_refused(catalogue: Catalogue) -> None:
    first = new()
    catalogue.register(first)
    catalogue.register(new(part=2, continues=first.id))
    impossible = [
        new("other", recording_id=first.id),
        new(part=2),
        new(part=1, continues=first.id),
        new(part=2, continues=first.id),
        new("other", part=3, continues=first.id),
        new(part=2, continues=RecordingId("nobody")),
        new(path="/etc/passwd"),
        new(path="../../etc/passwd"),
    ]
    for each in impossible:
        with pytest.raises(InvariantViolationError):
            catalogue.register(each)
    assert len(catalogue.unfinished()) == 2


@settings(
    max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(st.text(st.characters(exclude_categories=()), max_size=60))
@example("\0\ud800\udc00\ufdd0")
@example("'; DROP TABLE recordings; --")
@example("x" * 4096)
def test_any_label_is_kept_exactly_and_found(catalogue: Catalogue, url: str, text: str) -> None:
    entry = new(text, label_text=f"label of {text}")
    catalogue.register(entry)
    (kept,) = (each for each in catalogue.unfinished() if each.id == entry.id)
    assert kept.order == entry.order
    assert entry.id in {row.id for row in find(url, text, 1000)}
    catalogue.lost(entry.id, text)
    assert row_of(url, entry.id).problem == text


# --- states --------------------------------------------------------------------------------


def test_the_life_of_a_recording(catalogue: Catalogue, url: str) -> None:
    entry = new("SO-1", label_text="order:SO-1")
    catalogue.register(entry)
    assert row_of(url, entry.id).state == RecordingState.RECORDING
    file = captured(entry)
    catalogue.captured(entry.id, file)
    assert row_of(url, entry.id).state == RecordingState.CAPTURED
    catalogue.saved(entry.id)
    row = row_of(url, entry.id)
    assert row.state == RecordingState.SAVED
    for name in {field.name for field in dataclasses.fields(file)} - {"first_ns"}:
        assert getattr(row, name) == getattr(file, name)
    assert (row.order_id, row.label_text, row.symbology) == ("SO-1", "order:SO-1", "qr")
    assert (row.take, row.part, row.station, row.clock) == (1, 1, "bench-1", "synchronised")
    assert {row.flagged, row.held, row.void, row.recovered} == {False}


def test_a_recovered_file_ends_as_recovered(catalogue: Catalogue, url: str) -> None:
    entry = new()
    catalogue.register(entry)
    catalogue.captured(entry.id, captured(entry, recovered=True))
    assert catalogue.unfinished()[0].recovered
    catalogue.saved(entry.id)
    assert row_of(url, entry.id).state == RecordingState.RECOVERED


Step = Callable[[Catalogue, RecordingId], None]

ENTRY = new()
STEPS: dict[str, Step] = {
    "captured": lambda catalogue, id: catalogue.captured(id, captured(ENTRY)),
    "saved": lambda catalogue, id: catalogue.saved(id),
    "damaged": lambda catalogue, id: catalogue.damaged(id, "no picture in it"),
    "lost": lambda catalogue, id: catalogue.lost(id, "no file"),
}
POSSIBLE = {
    ("recording", "captured"),
    ("recording", "damaged"),
    ("recording", "lost"),
    ("captured", "captured"),
    ("captured", "saved"),
    ("captured", "damaged"),
    ("captured", "lost"),
    ("saved", "saved"),
    ("damaged", "damaged"),
    ("lost", "lost"),
}
WAY_TO = {
    "recording": [],
    "captured": ["captured"],
    "saved": ["captured", "saved"],
    "damaged": ["captured", "damaged"],
    "lost": ["lost"],
}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("state", WAY_TO)
def test_only_possible_steps_are_taken(
    catalogue: Catalogue, url: str, state: str, step: str
) -> None:
    catalogue.register(ENTRY)
    for earlier in WAY_TO[state]:
        STEPS[earlier](catalogue, ENTRY.id)
    before = row_of(url, ENTRY.id)
    assert before.state == state
    if (state, step) in POSSIBLE:
        STEPS[step](catalogue, ENTRY.id)
        assert row_of(url, ENTRY.id).state == step
    else:
        with pytest.raises(InvariantViolationError, match=f"is {state} and cannot become"):
            STEPS[step](catalogue, ENTRY.id)
        assert row_of(url, ENTRY.id) == before


def test_a_second_capture_with_another_file_is_refused(catalogue: Catalogue) -> None:
    catalogue.register(ENTRY)
    file = captured(ENTRY)
    catalogue.captured(ENTRY.id, file)
    with pytest.raises(InvariantViolationError, match="captured twice"):
        catalogue.captured(ENTRY.id, dataclasses.replace(file, bytes=1))


def test_a_recording_nobody_registered_is_a_bug(catalogue: Catalogue) -> None:
    for step in (*STEPS.values(), Catalogue.flag, Catalogue.void):
        with pytest.raises(InvariantViolationError, match="no recording"):
            step(catalogue, RecordingId("nobody"))


def test_flag_and_void(catalogue: Catalogue, url: str) -> None:
    catalogue.register(ENTRY)
    other = new("other")
    catalogue.register(other)
    for _ in range(2):
        catalogue.flag(ENTRY.id)
        catalogue.void(ENTRY.id)
    assert row_of(url, ENTRY.id).flagged
    assert row_of(url, ENTRY.id).void
    assert not row_of(url, other.id).flagged
    assert row_of(url, ENTRY.id).state == RecordingState.RECORDING


def test_flag_and_void_mark_the_whole_take(catalogue: Catalogue, url: str) -> None:
    """Whichever part the packer meant, and also one that is still to come."""
    first, earlier_take = new("SO-9"), new("SO-9")
    catalogue.register(earlier_take)
    catalogue.register(first)
    second = new("SO-9", part=2, continues=first.id)
    catalogue.register(second)
    catalogue.flag(second.id)
    catalogue.void(first.id)
    third = new("SO-9", part=3, continues=second.id)
    catalogue.register(third)
    for part in (first, second, third):
        assert row_of(url, part.id).flagged
        assert row_of(url, part.id).void
    assert not row_of(url, earlier_take.id).flagged
    assert not row_of(url, earlier_take.id).void


def test_amending_says_more_about_a_file_but_never_its_state(
    catalogue: Catalogue, url: str
) -> None:
    catalogue.register(ENTRY)
    catalogue.amend(ENTRY.id, {"codec": "hevc", "bytes": 7})
    row = row_of(url, ENTRY.id)
    assert (row.codec, row.bytes, row.state) == ("hevc", 7, RecordingState.RECORDING)
    with pytest.raises(InvariantViolationError):
        catalogue.amend(ENTRY.id, {"state": "saved"})
    with pytest.raises(InvariantViolationError):
        catalogue.amend(RecordingId("nobody"), {"codec": "hevc"})


def test_the_event_log_takes_anything(catalogue: Catalogue) -> None:
    catalogue.note("scan", "text \0 \ud800", None, START)
    catalogue.note("fault", "camera lost", RecordingId("not-registered-yet"), START)
    events = catalogue.tables.events
    kept = [(row.at, row.event, row.detail, row.recording_id) for row in events.select()]
    assert kept == [
        (START, "scan", "text \0 \ud800", None),
        (START, "fault", "camera lost", "not-registered-yet"),
    ]


# --- what recovery asks --------------------------------------------------------------------


def test_unfinished_lists_what_has_no_end(catalogue: Catalogue) -> None:
    entries = [new(f"SO-{number}", after=10 * number) for number in range(5)]
    for entry in entries:
        catalogue.register(entry)
    for entry in entries[1:4]:
        catalogue.captured(entry.id, captured(entry))
    catalogue.saved(entries[2].id)
    catalogue.damaged(entries[3].id, "no picture")
    assert [(each.id, each.state.value, each.path) for each in catalogue.unfinished()] == [
        (entries[0].id, "recording", entries[0].path),
        (entries[1].id, "captured", entries[1].path),
        (entries[4].id, "recording", entries[4].path),
    ]
    assert catalogue.unfinished()[0].started_at == entries[0].started_at


def test_stations_that_share_a_database_leave_each_others_recordings_alone(url: str) -> None:
    one, other = Catalogue.open(url, "bench-1"), Catalogue.open(url, "bench-2")
    one.set_footage_id("disk-1")
    other.set_footage_id("disk-2")
    assert one.register(new("SO-1")) == 1
    assert other.register(new("SO-1")) == 2
    assert len(one.unfinished()) == len(other.unfinished()) == 1
    assert one.unfinished()[0].id != other.unfinished()[0].id
    one.close()
    renamed = Catalogue.open(url, "bench-1-renamed")
    renamed.set_footage_id("disk-1")
    assert len(renamed.unfinished()) == 1
    renamed.close()
    other.close()


def test_the_footage_disk_is_set_once(catalogue: Catalogue, url: str) -> None:
    assert catalogue.footage_id is None
    catalogue.set_footage_id("disk-1")
    catalogue.set_footage_id("disk-1")
    with pytest.raises(InvariantViolationError, match="disk-1"):
        catalogue.set_footage_id("disk-2")
    catalogue.close()
    again = Catalogue.open(url, "bench-1")
    assert again.footage_id == "disk-1"
    again.close()


# --- clocks --------------------------------------------------------------------------------

SHIFT = timedelta(days=200, seconds=1, microseconds=7)
TRUE_OFFSET_NS = (
    (START - START.fromtimestamp(0, START.tzinfo)) // timedelta(microseconds=1) * 1000
    - MONOTONIC_NS
    + SHIFT // timedelta(microseconds=1) * 1000
)


def test_rows_from_before_the_clock_was_set_are_corrected_and_say_so(
    catalogue: Catalogue, url: str
) -> None:
    finished, running = new(clock="unsynchronised"), new(clock="unsynchronised", after=90)
    sure, other_boot = new(after=95), new(clock="unsynchronised", boot_id="boot-0")
    for entry in (finished, running, sure, other_boot):
        catalogue.register(entry)
    file = captured(finished)
    catalogue.captured(finished.id, file)
    untouched = [row_of(url, sure.id), row_of(url, other_boot.id)]

    assert catalogue.correct_clock("boot-1", TRUE_OFFSET_NS) == 2
    assert catalogue.correct_clock("boot-1", TRUE_OFFSET_NS + 10**9) == 0

    row = row_of(url, finished.id)
    assert row.clock == "corrected"
    assert row.started_at == file.started_at + SHIFT
    assert row.ended_at == file.ended_at + SHIFT
    assert row_of(url, running.id).started_at == running.started_at + SHIFT
    assert row_of(url, running.id).ended_at is None
    assert [row_of(url, sure.id), row_of(url, other_boot.id)] == untouched


def test_a_recording_that_was_dated_anew_while_it_ran_begins_with_its_first_picture(
    catalogue: Catalogue, url: str
) -> None:
    """The player adds a picture's place in the video to the row's start."""
    entry = new(clock="unsynchronised")
    catalogue.register(entry)
    catalogue.correct_clock("boot-1", TRUE_OFFSET_NS)
    catalogue.captured(entry.id, captured(entry, earlier=3, seconds=60))
    catalogue.captured(entry.id, captured(entry, earlier=3, seconds=60))
    row = row_of(url, entry.id)
    assert row.started_at == entry.started_at + SHIFT - timedelta(seconds=3)
    assert row.ended_at == row.started_at + timedelta(seconds=60)
    assert row.clock == "corrected"


def test_events_are_corrected_with_the_recordings(catalogue: Catalogue) -> None:
    def reading(after: float, clock: str = "unsynchronised", boot: str = "boot-1") -> ClockReading:
        return ClockReading(boot, MONOTONIC_NS + round(after * 1e9), clock)

    in_1970 = datetime(1970, 1, 1, tzinfo=UTC)
    catalogue.note("ready", "", None, in_1970, reading(1))
    catalogue.note("pedal", "down", None, in_1970, reading(0.5))
    catalogue.note("sure", "", None, START, reading(2, "synchronised"))
    catalogue.note("before", "", None, in_1970, reading(3, boot="boot-0"))
    catalogue.note("of another program", "", None, in_1970)
    for _ in range(2):
        catalogue.correct_clock("boot-1", TRUE_OFFSET_NS)
    with catalogue.reading() as tables:
        found = {row.event: (row.at, row.clock) for row in tables.events.select()}
    assert found == {
        "ready": (START + SHIFT + timedelta(seconds=1), "corrected"),
        "pedal": (START + SHIFT + timedelta(seconds=0.5), "corrected"),
        "sure": (START, "synchronised"),
        "before": (in_1970, "unsynchronised"),
        "of another program": (in_1970, None),
    }


def test_a_better_guess_moves_the_whole_boot_and_claims_nothing(
    catalogue: Catalogue, url: str
) -> None:
    """Whoever sets the clock by hand knows better than 1970, but is no time server."""
    first, running = new(clock="unsynchronised"), new(clock="unsynchronised", after=90)
    for entry in (first, running):
        catalogue.register(entry)
    catalogue.captured(first.id, captured(first))
    assert catalogue.correct_clock("boot-1", TRUE_OFFSET_NS, "unsynchronised") == 2
    catalogue.captured(running.id, captured(running))
    rows = [row_of(url, entry.id) for entry in (first, running)]
    assert [row.clock for row in rows] == ["unsynchronised"] * 2
    earlier = timedelta(seconds=3)
    assert rows[0].started_at == first.started_at + SHIFT - earlier
    assert rows[1].started_at == running.started_at + SHIFT - earlier
    assert catalogue.correct_clock("boot-1", TRUE_OFFSET_NS) == 2


def test_what_is_known_of_time(catalogue: Catalogue) -> None:
    assert catalogue.known_times("boot-1") == KnownTimes()
    right, guessed = new(boot_id="boot-0"), new(boot_id="boot-0", clock="unsynchronised", after=500)
    for entry in (right, guessed):
        catalogue.register(entry)
    start_us = microseconds(START)
    assert catalogue.known_times("boot-1") == KnownTimes(start_us, start_us + 500_000_000)
    this = new(clock="unsynchronised", after=900)
    catalogue.register(this)
    known = catalogue.known_times("boot-1")
    assert (known.trusted_us, known.newest_us) == (start_us, start_us + 500_000_000)
    assert known.boot_offset_ns == start_us * 1000 - MONOTONIC_NS
    assert known.boot_moment_ns == MONOTONIC_NS + 900 * 10**9
    assert not known.boot_is_trusted
    catalogue.correct_clock("boot-1", TRUE_OFFSET_NS)
    known = catalogue.known_times("boot-1")
    assert known.boot_is_trusted
    assert known.boot_offset_ns == TRUE_OFFSET_NS


def test_what_was_begun_first_is_salvaged_first_whatever_its_id(catalogue: Catalogue) -> None:
    """An id that was made before the clock was set says 1970, and sorts first."""
    first = new("SO-1")
    second = new("SO-2", after=5, recording_id=RecordingId("00000000-0000-7000-8000-000000000001"))
    for entry in (first, second):
        catalogue.register(entry)
    assert [row.order.order_id for row in catalogue.unfinished()] == ["SO-1", "SO-2"]


# --- files and errors ----------------------------------------------------------------------


def test_the_database_is_safe_and_shared_with_the_group(sqlite_url: str, tmp_path: Path) -> None:
    previous = os.umask(0o077)
    try:
        catalogue = Catalogue.open(sqlite_url, "bench-1")
        catalogue.register(new())
    finally:
        os.umask(previous)
    pragma = catalogue._database.pragma  # type: ignore[attr-defined]
    assert pragma("journal_mode") == "wal"
    assert pragma("synchronous") == 2
    assert pragma("foreign_keys") == 1
    modes = {path.name: oct(path.stat().st_mode & 0o777) for path in tmp_path.iterdir()}
    assert modes == {
        "catalogue.db": "0o660",
        "catalogue.db-wal": "0o660",
        "catalogue.db-shm": "0o660",
    }
    catalogue.close()


@pytest.mark.parametrize("name", ["a b#c?d%41.db", "ü.db", ":memory:"])
def test_any_path_can_hold_the_database(tmp_path: Path, name: str) -> None:
    url = f"sqlite:///{tmp_path / name}"
    catalogue = Catalogue.open(url, "bench-1")
    catalogue.register(new())
    catalogue.close()
    assert (tmp_path / name).is_file()
    assert len(find(url, "")) == 1


def test_a_locked_database_is_worth_another_try(sqlite_url: str, tmp_path: Path) -> None:
    catalogue = Catalogue.open(sqlite_url, "bench-1", busy_seconds=0.01)
    other = sqlite3.connect(tmp_path / "catalogue.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(CatalogueUnavailableError, match="locked") as caught:
        catalogue.register(new())
    assert "Close any program" in caught.value.remedy
    other.execute("ROLLBACK")
    assert catalogue.register(new()) == 1
    other.close()
    catalogue.close()


def test_a_full_disk_is_worth_another_try(small_disk: Path) -> None:
    catalogue = Catalogue.open(f"sqlite:///{small_disk / 'catalogue.db'}", "bench-1")
    with pytest.raises(OSError, match="No space left"):
        (small_disk / "ballast").write_bytes(b"x" * 2_000_000)

    def register_until_full() -> None:
        for _ in range(100):
            catalogue.register(new(label_text="x" * 4000))

    with pytest.raises(CatalogueUnavailableError, match="is full"):
        register_until_full()
    before = len(catalogue.unfinished())
    (small_disk / "ballast").unlink()
    assert catalogue.register(new()) == before + 1
    catalogue.close()


@pytest.mark.parametrize("damage", ["header", "middle", "nonsense"])
def test_a_damaged_database_is_said_so_and_kept(
    sqlite_url: str, tmp_path: Path, damage: str
) -> None:
    catalogue = Catalogue.open(sqlite_url, "bench-1")
    for number in range(200):
        catalogue.register(new(f"SO-{number}", label_text="y" * 300))
    catalogue.close()
    path = tmp_path / "catalogue.db"
    contents = bytearray(path.read_bytes())
    if damage == "header":
        contents[:100] = b"z" * 100
    elif damage == "middle":
        contents[4096:] = b"z" * (len(contents) - 4096)
    else:
        contents = bytearray(b"this is not a database, it is a text\n" * 100)
    path.write_bytes(contents)
    with pytest.raises(CatalogueError, match="is damaged") as caught:
        Catalogue.open(sqlite_url, "bench-1").register(new("SO-5"))
    assert not isinstance(caught.value, CatalogueUnavailableError)
    assert "keep them" in caught.value.remedy
    with pytest.raises(CatalogueError, match="is damaged"):
        find(sqlite_url, "SO-5")
    assert path.read_bytes() == contents


def test_a_read_only_disk_is_said_so(small_disk: Path) -> None:
    url = f"sqlite:///{small_disk / 'catalogue.db'}"
    Catalogue.open(url, "bench-1").close()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(CatalogueUnavailableError, match="may not be opened or written"):
        Catalogue.open(url, "bench-1").register(new())


def test_a_folder_that_cannot_be_made_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CatalogueUnavailableError, match="is a file"):
        Catalogue.open(f"sqlite:///{tmp_path}/file/catalogue.db", "bench-1")


def test_postgresql_without_its_driver_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(CatalogueError) as caught:
        Catalogue.open("postgresql://user:secret@nowhere/db", "bench-1")
    assert "recorderd[postgresql]" in caught.value.remedy
    assert "secret" not in str(caught.value)


def test_a_server_that_does_not_answer_is_worth_another_try() -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(CatalogueUnavailableError, match="does not answer") as caught:
        Catalogue.open("postgresql://user:secret@127.0.0.1:1/db", "bench-1")
    assert "secret" not in str(caught.value)
