"""The wiring of the station: a real catalogue and disk, an engine that the test plays."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from recorderd.core.model import RecordingId
from recorderd.core.signals import Signal
from recorderd.engine.messages import (
    FilesSetAside,
    NothingLeft,
    Salvage,
    SalvagePostponed,
    SetAside,
    Start,
    Stop,
    Verified,
    Verify,
)
from recorderd.panel import test_request as panel_test
from recorderd.station import clock
from recorderd.station import station as station_module
from recorderd.store.reader import find
from tests.station.bench import Bench

UNKNOWN = RecordingId("0190a000-0000-7000-8000-000000000000")


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    with Bench(tmp_path, monkeypatch) as running:
        running.start_engine()
        running.panel.wait_for(Signal.READY)
        yield running


def _recorded(bench: Bench, order_id: str) -> RecordingId:
    """Record an order up to the point where its file is asked to be closed."""
    bench.scan(order_id)
    recording_id = bench.asked(Start).recording_id
    bench.panel.wait_for(Signal.STARTED)
    bench.press()
    assert bench.asked(Stop).recording_id == recording_id
    return recording_id


def _events(bench: Bench) -> list[tuple[str, str]]:
    path = bench.settings.state_folder / "catalogue.db"
    with sqlite3.connect(path) as database:
        return database.execute("SELECT event, detail FROM events ORDER BY id").fetchall()


def test_order_from_label_to_saved_row(bench: Bench) -> None:
    recording_id = _recorded(bench, "SO-1")
    bench.captured(recording_id)
    verify = bench.asked(Verify)
    assert (verify.frames, verify.duration_ns) == (30, 1_000_000_000)
    (row,) = bench.rows()
    assert (row.state, row.frames, row.stop_reason) == ("captured", 30, "pedal")
    bench.link.report(Verified(recording_id, None))
    bench.panel.wait_for(Signal.SAVED)
    (row,) = bench.rows()
    assert (row.state, row.order_id, row.take) == ("saved", "SO-1", 1)


def test_answers_for_recordings_nobody_knows(bench: Bench) -> None:
    """Also what comes twice: the second answer changes nothing."""
    bench.captured(UNKNOWN)
    bench.link.report(Verified(UNKNOWN, None))
    bench.link.report(NothingLeft(UNKNOWN, "gone"))
    recording_id = _recorded(bench, "SO-1")
    bench.captured(recording_id)
    bench.captured(recording_id, recovered=True)
    bench.asked(Verify)
    bench.link.report(Verified(recording_id, None))
    bench.link.report(Verified(recording_id, "the first picture does not decode"))
    bench.link.report(NothingLeft(recording_id, "gone"))
    bench.panel.wait_for(Signal.SAVED)
    assert [row.state for row in bench.rows()] == ["saved"]
    assert bench.crash is None


def test_damaged_file_is_kept_and_said(bench: Bench) -> None:
    recording_id = _recorded(bench, "SO-1")
    bench.captured(recording_id)
    bench.asked(Verify)
    bench.link.report(Verified(recording_id, "the last picture does not decode"))
    bench.panel.wait_for(Signal.FAILED)
    (row,) = bench.rows()
    assert (row.state, row.problem) == ("damaged", "the last picture does not decode")


@pytest.mark.parametrize("answer", ["captured", "nothing left"])
def test_recording_that_ends_by_itself_goes_on_in_a_second_part(bench: Bench, answer: str) -> None:
    bench.scan("SO-1")
    first = bench.asked(Start).recording_id
    started = bench.panel.wait_for(Signal.STARTED)
    if answer == "captured":
        bench.captured(first)
        assert bench.asked(Stop).recording_id == first
        assert bench.asked(Verify).recording_id == first
        bench.link.report(Verified(first, None))
        second = bench.asked(Start)
    else:
        bench.link.report(NothingLeft(first, "the camera was lost meanwhile"))
        assert bench.asked(Stop).recording_id == first
        # The next part may begin before or after it is certain that nothing is left of this one.
        asked = [bench.asked(object), bench.asked(object)]
        (second,) = [command for command in asked if isinstance(command, Start)]
        assert [each.recording_id for each in asked if isinstance(each, SetAside)] == [first]
        bench.link.report(FilesSetAside(first, ()))
        bench.wait_until(lambda: bench.rows()[0].state == "lost")
    assert second.tags["part"] == "2"
    bench.panel.wait_for(Signal.STARTED, after=started)
    rows = bench.rows()
    assert rows[0].state == ("saved" if answer == "captured" else "lost")
    assert rows[0].stop_reason == ("camera-lost" if answer == "captured" else None)
    assert [(row.take, row.part) for row in rows] == [(1, 1), (1, 2)]


def test_engine_dies_while_recordings_are_closing(bench: Bench) -> None:
    """One file is still being closed, another only has to be checked: the next engine does
    each what is left of it."""
    checked = _recorded(bench, "SO-1")
    bench.captured(checked)
    bench.asked(Verify)
    closing = _recorded(bench, "SO-2")
    bench.lose_engine()
    bench.panel.wait_for(Signal.FAULT_IDLE)
    bench.start_engine()
    assert bench.asked(Verify).recording_id == checked
    assert bench.asked(Salvage).recording_id == closing
    bench.captured(closing, recovered=True)
    bench.link.report(Verified(checked, None))
    assert bench.asked(Verify).recording_id == closing
    bench.link.report(Verified(closing, None))
    bench.panel.wait_for(Signal.READY, after=bench.panel.wait_for(Signal.SAVED))
    assert [row.state for row in bench.rows()] == ["saved", "recovered"]


@pytest.mark.parametrize("news", ["not verified", "nothing left", "postponed"])
def test_disk_that_is_away_is_no_reason_to_give_a_recording_up(bench: Bench, news: str) -> None:
    """What the engine cannot find then is looked for again when the disk is back."""
    recording_id = _recorded(bench, "SO-1")
    if news == "not verified":
        bench.captured(recording_id)
        bench.asked(Verify)
    footage = bench.settings.footage_folder
    footage.rename(footage.with_name("elsewhere"))
    if news == "not verified":
        bench.link.report(Verified(recording_id, "the file cannot be read"))
    elif news == "nothing left":
        bench.link.report(NothingLeft(recording_id, "no file was left"))
    else:
        bench.link.report(SalvagePostponed(recording_id, "the disk fails"))
    bench.panel.wait_for(Signal.FAILED)
    bench.panel.wait_for(Signal.FAULT_IDLE)
    assert [row.state for row in bench.rows()] == [
        "captured" if news == "not verified" else "recording"
    ]
    footage.with_name("elsewhere").rename(footage)
    if news != "not verified":
        asked = bench.asked(Salvage)
        while not bench.link.sent.empty():
            asked = bench.asked(Salvage)
        bench.captured(asked.recording_id, recovered=True)
    assert bench.asked(Verify).recording_id == recording_id
    bench.link.report(Verified(recording_id, None))
    bench.wait_for_row("saved" if news == "not verified" else "recovered")


def test_catalogue_locked_while_recording(bench: Bench) -> None:
    """Someone browses the database: heard within two seconds, recording goes on, and all is
    written down once the lock is gone."""
    database = sqlite3.connect(
        bench.settings.state_folder / "catalogue.db", isolation_level=None, timeout=5
    )
    database.execute("BEGIN IMMEDIATE")
    locked = time.monotonic()
    bench.scan("SO-1")
    recording_id = bench.asked(Start).recording_id
    assert bench.panel.wait_for(Signal.STARTED) - locked < 1, "the lamp does not wait for it"
    assert bench.panel.wait_for(Signal.FAULT_RECORDING) - locked < 2
    bench.press()
    assert bench.asked(Stop).recording_id == recording_id
    bench.captured(recording_id)
    assert bench.link.sent.empty(), "no promise is on its way while the row is not written"
    assert Signal.SAVED not in [signal for _, signal in bench.panel.signals]
    database.execute("ROLLBACK")
    database.close()
    bench.asked(Verify)
    bench.link.report(Verified(recording_id, None))
    bench.panel.wait_for(Signal.SAVED)
    (row,) = bench.rows()
    assert (row.state, row.stop_reason, row.frames) == ("saved", "pedal", 30)
    assert [event for event, _ in _events(bench)].count("recording started") == 1


def test_rows_of_before_the_clock_was_set_are_corrected_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock may come right while the station does not run."""
    monkeypatch.setattr(clock, "synchronisation", lambda: clock.UNSYNCHRONISED)
    monkeypatch.setattr(time, "time_ns", lambda: time.monotonic_ns() + 1_000_000_000_000)
    with Bench(tmp_path, monkeypatch) as bench:
        bench.start_engine()
        bench.panel.wait_for(Signal.READY)
        recording_id = _recorded(bench, "SO-1")
        bench.captured(recording_id)
        bench.asked(Verify)
        bench.link.report(Verified(recording_id, None))
        bench.panel.wait_for(Signal.SAVED)
        assert bench.rows()[0].started_at.year == 1970
    monkeypatch.undo()
    monkeypatch.setattr(clock, "synchronisation", lambda: clock.SYNCHRONISED)
    with Bench(tmp_path, monkeypatch) as bench:
        bench.start_engine()
        bench.panel.wait_for(Signal.READY)
    (row,) = bench.rows()
    assert row.clock == "corrected"
    assert abs(row.started_at.timestamp() - time.time()) < 60


def test_clock_that_comes_right_while_an_order_is_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two orders in 1970, then the network answers during the second: all is dated anew."""
    true_offset_ns = time.time_ns() - time.monotonic_ns()
    set_by = [clock.UNSYNCHRONISED]
    monkeypatch.setattr(station_module, "STATUS_SECONDS", 0)
    monkeypatch.setattr(clock, "synchronisation", lambda: set_by[0])
    monkeypatch.setattr(
        time,
        "time_ns",
        lambda: time.monotonic_ns() + (true_offset_ns if set_by[0] == clock.SYNCHRONISED else 0),
    )
    began = datetime.now(UTC)
    with Bench(tmp_path, monkeypatch) as bench:
        bench.start_engine()
        bench.panel.wait_for(Signal.READY)
        first = _recorded(bench, "SO-1")
        bench.captured(first)
        bench.asked(Verify)
        bench.link.report(Verified(first, None))
        bench.panel.wait_for(Signal.SAVED)
        bench.scan("SO-2")
        start = bench.asked(Start)
        assert start.wall_offset_ns < 10**9, "the file's clock text is that of its row"
        bench.panel.wait_for(Signal.RECORDING)
        assert {row.started_at.year for row in bench.rows()} == {1970}
        set_by[0] = clock.SYNCHRONISED
        bench.wait_until(lambda: {row.clock for row in bench.rows()} == {"corrected"})
        bench.press()
        bench.asked(Stop)
        bench.captured(start.recording_id)
        bench.asked(Verify)
        bench.link.report(Verified(start.recording_id, None))
        bench.wait_until(lambda: {row.state for row in bench.rows()} == {"saved"})
    ended = datetime.now(UTC)
    newest_first = find(bench.settings.database_url, "", 10)
    assert [row.order_id for row in newest_first] == ["SO-2", "SO-1"]
    pre_roll = timedelta(seconds=5)
    for row in newest_first:
        assert row.ended_at is not None
        assert began - pre_roll < row.started_at < row.ended_at < ended
        assert row.ended_at - row.started_at == timedelta(seconds=1)
    with sqlite3.connect(bench.settings.state_folder / "catalogue.db") as database:
        events = database.execute("SELECT at, clock FROM events ORDER BY id").fetchall()
    assert {dated for _, dated in events} == {"corrected", "synchronised"}
    moments = [at for at, _ in events]
    assert moments == sorted(moments)
    assert moments[0] > began.timestamp() * 1e6


def test_what_it_refused_and_why_it_stopped_is_counted(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(station_module, "STATUS_SECONDS", 0)
    bench.press()
    bench.panel.wait_for(Signal.REFUSED)
    recording_id = _recorded(bench, "SO-1")
    bench.captured(recording_id)
    bench.asked(Verify)
    bench.link.report(Verified(recording_id, None))
    saved = bench.panel.wait_for(Signal.SAVED)
    bench.panel.wait_for(Signal.READY, after=saved)
    deadline = time.monotonic() + 10
    while (published := json.loads(bench.settings.status_file.read_bytes()))["recordings"]:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert (published["counters"]["refusals"], published["counters"]["recordings"]) == (1, 1)
    assert {reason: n for reason, n in published["stops"].items() if n} == {"pedal": 1}
    assert published["queues"]["inbox"]["limit"] == station_module.MOST_WAITING
    assert published["queues"]["catalogue"]["waiting"] < 10


def test_bug_in_the_station_ends_it(bench: Bench) -> None:
    bench.station.post(lambda: [][0])
    bench._thread.join(10)
    assert isinstance(bench.crash, IndexError)


def test_watchdog_is_told_only_what_is_true(bench: Bench) -> None:
    bench.told.wait_for("READY=1")
    bench.told.wait_for("WATCHDOG=1")
    bench.scan("SO-\nWATCHDOG=trigger")
    bench.scan("SO-1")
    bench.told.wait_for("STATUS=recording 'SO-1'")
    assert bench.told.words.count("READY=1") == 1


def test_nothing_is_ready_before_everything_has_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Bench(tmp_path, monkeypatch) as bench:
        bench.panel.wait_for(Signal.STARTING)
        assert "READY=1" not in bench.told.words
        bench.start_engine()
        bench.panel.wait_for(Signal.READY)
        bench.told.wait_for("READY=1")


@pytest.mark.parametrize(
    ("limit", "value"), [("WRITING_LIMIT", 0), ("HEARTBEAT_LIMIT", -1)], ids=["file", "heartbeat"]
)
def test_watchdog_starves(
    limit: str, value: int, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When no picture reaches the file of the order at hand, and when the engine is silent."""
    bench.scan("SO-1")
    bench.asked(Start)
    bench.panel.wait_for(Signal.RECORDING)
    monkeypatch.setattr(station_module, limit, value)
    bench.told.words.clear()
    bench.scan("SO-2")
    bench.asked(Stop)
    bench.asked(Start)
    bench.told.wait_for("STATUS=recording 'SO-2'")
    assert "WATCHDOG=1" not in bench.told.words[1:]


def test_more_time_is_asked_for_while_it_saves(bench: Bench) -> None:
    bench.scan("SO-1")
    bench.asked(Start)
    bench.station.shut_down()
    bench.told.wait_for("STOPPING=1")
    bench.told.wait_for("EXTEND_TIMEOUT_USEC=")


def test_a_technician_sees_the_lamps_and_the_pedal_is_counted(bench: Bench) -> None:
    panel_test.ask(bench.settings.run_folder)
    bench.panel.wait_for(Signal.TEST)
    bench.press()

    def counted() -> bool:
        counters = json.loads(bench.settings.status_file.read_text())["counters"]
        return (counters["panel_tests"], counters["pedal_presses"]) == (1, 1)

    bench.wait_until(counted)
