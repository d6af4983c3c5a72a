"""Wall time from monotonic time, and whether it can be trusted."""

from __future__ import annotations

import ctypes
import dataclasses
import time
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from recorderd.station import clock
from recorderd.station.clock import StationClock
from recorderd.store.catalogue import Catalogue
from recorderd.store.records import KnownTimes
from tests.store import rows


def test_moment_of_this_boot_in_utc() -> None:
    found = clock.wall_time(time.monotonic_ns())
    assert found.tzinfo is UTC
    assert abs((found - datetime.now(UTC)).total_seconds()) < 1


def test_by_the_clock_as_it_is_set_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 1_700_000_000_123_456_000)
    monkeypatch.setattr(time, "monotonic_ns", lambda: 5_000_000_000)
    assert clock.wall_minus_monotonic_ns() == 1_699_999_995_123_456_000
    expected = datetime(2023, 11, 14, 22, 13, 22, 123456, tzinfo=UTC)
    assert clock.wall_time(7_000_000_000) == expected


def _kernel(
    monkeypatch: pytest.MonkeyPatch, answer: int, largest_error: int, timesync_file: Path
) -> None:
    class Library:
        def adjtimex(self, asked: Any) -> int:
            asked._obj.maxerror = largest_error
            return answer

    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: Library())
    monkeypatch.setattr(clock, "TIMESYNC_FILE", timesync_file)


@pytest.mark.parametrize(
    ("answer", "largest_error", "expected"),
    [
        pytest.param(0, 1_000, "synchronised", id="set by NTP"),
        pytest.param(5, 17_288, "synchronised", id="chrony without rtcsync says TIME_ERROR"),
        pytest.param(4, 0, "synchronised", id="a leap second just now"),
        pytest.param(0, 15_999_999, "synchronised", id="nine hours without network"),
        pytest.param(5, 16_000_000, "unsynchronised", id="never set, or set by hand"),
        pytest.param(0, 20_000_000, "unsynchronised", id="days without network"),
        pytest.param(5, -1, "unsynchronised", id="nonsense"),
    ],
)
@pytest.mark.parametrize("touched", [False, True])
def test_what_the_kernel_says(
    answer: int,
    largest_error: int,
    expected: str,
    touched: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where the kernel may be asked, only it counts: the file stays when the network is lost."""
    file = tmp_path / "synchronized"
    if touched:
        file.touch()
    _kernel(monkeypatch, answer, largest_error, file)
    assert clock.synchronisation() == expected


def test_where_the_kernel_may_not_be_asked_the_file_of_timesyncd_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "synchronized"
    _kernel(monkeypatch, -1, 0, file)
    assert clock.synchronisation() == "unsynchronised"
    file.touch()
    assert clock.synchronisation() == "synchronised"


def test_this_kernel_answers() -> None:
    """And in the place where we look: timedated reads the same number."""
    asked = clock._Timex()
    assert ctypes.CDLL(None).adjtimex(ctypes.byref(asked)) >= 0
    assert 0 <= asked.maxerror <= 16_000_000 * 100
    assert clock.synchronisation() in {clock.SYNCHRONISED, clock.UNSYNCHRONISED}


NOW_2026 = 1_783_166_400
"""4 July 2026, noon, in seconds since 1970."""
HOUR = 3600


class Machine:
    """A machine whose clocks the test sets: up since `up` seconds, its clock says `wall`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.up = 100.0
        self.ahead = 0.0
        """The system clock's seconds since 1970, when the machine was started."""
        self.synchronised = False
        self.slept = 0.0
        monkeypatch.setattr(time, "monotonic_ns", lambda: round(self.up * 1e9))
        monkeypatch.setattr(time, "time_ns", lambda: round((self.ahead + self.up) * 1e9))
        monkeypatch.setattr(time, "clock_gettime_ns", lambda _: round((self.up + self.slept) * 1e9))
        monkeypatch.setattr(
            clock,
            "synchronisation",
            lambda: clock.SYNCHRONISED if self.synchronised else clock.UNSYNCHRONISED,
        )

    def says(self, seconds: float) -> None:
        """Somebody sets the system's clock."""
        self.ahead = seconds - self.up


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


def _seconds(station: StationClock, machine: Machine) -> float:
    return station.time_of(round(machine.up * 1e9)).timestamp()


def test_from_1970_to_the_right_time(machine: Machine) -> None:
    station = StationClock()
    assert (station.status, _seconds(station, machine)) == ("unsynchronised", 100)
    machine.up += 50
    assert not station.look()
    machine.says(NOW_2026)
    machine.synchronised = True
    assert station.look(), "what was written before is to be corrected"
    assert (station.status, _seconds(station, machine)) == ("synchronised", NOW_2026)
    assert not station.look()


@pytest.mark.parametrize("hours", [-5, 5])
def test_right_clock_is_carried_on_whatever_somebody_sets(machine: Machine, hours: int) -> None:
    """Setting the clock by hand takes the kernel's word back that it is right."""
    machine.says(NOW_2026)
    machine.synchronised = True
    station = StationClock()
    machine.up += 60
    machine.says(NOW_2026 + hours * HOUR)
    machine.synchronised = False
    assert not station.look()
    assert (station.status, _seconds(station, machine)) == ("synchronised", NOW_2026 + 60)
    machine.up += 25 * HOUR
    assert not station.look()
    assert station.status == "unsynchronised", "a quartz alone does not keep time for ever"
    assert _seconds(station, machine) == NOW_2026 + 60 + 25 * HOUR
    machine.says(NOW_2026 + 25 * HOUR + 58)
    machine.synchronised = True
    assert station.look()
    assert _seconds(station, machine) == NOW_2026 + 25 * HOUR + 58


@pytest.mark.parametrize("hours", [-5, 5])
def test_step_is_not_believed_before_the_clock_was_called_right_again(
    machine: Machine, hours: int
) -> None:
    """A row that begins between the step and the word that the clock is no longer right."""
    machine.says(NOW_2026)
    machine.synchronised = True
    station = StationClock()
    machine.up += 1
    machine.says(NOW_2026 + 1 + hours * HOUR)
    assert not station.look()
    assert (station.status, _seconds(station, machine)) == ("synchronised", NOW_2026 + 1)
    machine.up += 1
    machine.synchronised = False
    assert not station.look()
    assert (station.status, _seconds(station, machine)) == ("synchronised", NOW_2026 + 2)


def test_step_by_whoever_keeps_the_clock_right_is_followed(machine: Machine) -> None:
    machine.says(NOW_2026)
    machine.synchronised = True
    station = StationClock()
    machine.says(NOW_2026 + 7)
    station.look()
    assert _seconds(station, machine) == NOW_2026
    machine.up += 1
    station.look()
    assert (station.status, _seconds(station, machine)) == ("synchronised", NOW_2026 + 8)


def test_clock_that_is_set_while_it_is_asked(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is right, but what it said the moment before was not."""
    station = StationClock()

    def network_is_quicker() -> str:
        machine.says(NOW_2026)
        return clock.SYNCHRONISED

    monkeypatch.setattr(clock, "synchronisation", network_is_quicker)
    station.look()
    assert station.status == "unsynchronised"
    assert station.look(), "and now what was dated before is dated anew"
    assert (station.status, _seconds(station, machine)) == ("synchronised", NOW_2026)


def test_machine_that_slept(machine: Machine) -> None:
    machine.says(NOW_2026)
    machine.synchronised = True
    station = StationClock()
    machine.synchronised = False
    machine.slept = 8 * HOUR
    station.look()
    assert _seconds(station, machine) == NOW_2026 + 8 * HOUR


def test_clock_that_is_set_by_hand_before_it_was_ever_right(machine: Machine) -> None:
    station = StationClock()
    machine.says(NOW_2026)
    assert station.look(), "the rows of this boot go with it"
    assert (station.status, _seconds(station, machine)) == ("unsynchronised", NOW_2026)
    machine.says(NOW_2026 + 0.5)
    assert not station.look()


def test_clock_that_was_never_set_goes_on_from_the_newest_row(machine: Machine) -> None:
    """What is recorded next is to be listed next, also if the machine believes it is 1970."""
    station = StationClock()
    known = KnownTimes(trusted_us=NOW_2026 * 10**6, newest_us=(NOW_2026 + HOUR) * 10**6)
    assert station.recall(known)
    assert (station.status, _seconds(station, machine)) == ("unsynchronised", NOW_2026 + HOUR + 60)
    machine.up += 60
    assert not station.look()
    assert _seconds(station, machine) == NOW_2026 + HOUR + 120
    machine.says(NOW_2026 + 9 * HOUR)
    assert station.look(), "set by hand to something that can be"
    machine.says(NOW_2026 - 9 * HOUR)
    assert station.look()
    assert _seconds(station, machine) == NOW_2026 + HOUR + 120, "set to something that cannot be"


def test_clock_that_can_be_right_is_believed_whatever_a_wrong_row_says(machine: Machine) -> None:
    machine.says(NOW_2026 + HOUR)
    station = StationClock()
    in_2099 = 4_070_908_800 * 10**6
    assert not station.recall(KnownTimes(trusted_us=NOW_2026 * 10**6, newest_us=in_2099))
    assert _seconds(station, machine) == NOW_2026 + HOUR


def test_station_that_is_started_again_in_the_same_boot(machine: Machine) -> None:
    """It dates by the same offset as before, though nothing but the rows remembers it."""
    offset_ns = NOW_2026 * 10**9
    of_boot = KnownTimes(boot_offset_ns=offset_ns, boot_moment_ns=50 * 10**9)
    station = StationClock()
    station.recall(of_boot)
    assert (station.status, station.offset_ns) == ("unsynchronised", offset_ns)
    machine.says(NOW_2026 + HOUR)
    station = StationClock()
    assert station.recall(of_boot), "set by hand meanwhile: the rows go with it"
    assert _seconds(station, machine) == NOW_2026 + HOUR
    trusted = KnownTimes(NOW_2026 * 10**6, None, offset_ns, 50 * 10**9, boot_is_trusted=True)
    station = StationClock()
    assert station.recall(trusted)
    assert (station.status, station.offset_ns) == ("synchronised", offset_ns)
    machine.says(NOW_2026 + 7)
    machine.synchronised = True
    station = StationClock()
    assert station.recall(trusted), "rows from before may have been left"
    assert _seconds(station, machine) == NOW_2026 + 7


class BootOfRecordings(RuleBasedStateMachine):
    """Whatever is done to the clock, recordings of one boot keep their order in the list."""

    def __init__(self) -> None:
        super().__init__()
        self._patch = pytest.MonkeyPatch()
        self._folder = TemporaryDirectory()
        self.machine = Machine(self._patch)
        self.catalogue = Catalogue.open(f"sqlite:///{self._folder.name}/c.db", "bench-1")
        earlier = rows.new("earlier", boot_id="boot-0")
        self.catalogue.register(earlier)
        self.made = [earlier.id]
        self._start()

    def _start(self) -> None:
        self.station = StationClock()
        if self.station.recall(self.catalogue.known_times("boot-1")):
            self._date_anew()

    def _date_anew(self) -> None:
        right = self.station.status == "synchronised"
        self.catalogue.correct_clock(
            "boot-1", self.station.offset_ns, "corrected" if right else "unsynchronised"
        )

    @rule(seconds=st.floats(5, 30 * HOUR))
    def time_passes(self, seconds: float) -> None:
        self.machine.up += seconds
        if self.station.look():
            self._date_anew()

    @rule(seconds=st.sampled_from([0, 10 * HOUR, NOW_2026 - HOUR, NOW_2026 + 500 * HOUR]))
    def somebody_sets_the_clock(self, seconds: float) -> None:
        self.machine.says(seconds)
        self.machine.synchronised = False
        self.time_passes(1)

    @rule()
    def network_sets_the_clock(self) -> None:
        self.machine.says(NOW_2026 + 1000 * HOUR + self.machine.up)
        self.machine.synchronised = True
        self.time_passes(1)

    @rule()
    def network_is_lost(self) -> None:
        self.machine.synchronised = False

    @rule()
    def station_is_started_again(self) -> None:
        self.machine.up += 2
        self._start()

    @rule(finished=st.booleans())
    def order_is_recorded(self, finished: bool) -> None:
        now_ns = round(self.machine.up * 1e9)
        new = dataclasses.replace(
            rows.new(f"SO-{len(self.made)}"),
            started_at=self.station.time_of(now_ns),
            monotonic_ns=now_ns,
            clock=self.station.status,
        )
        self.catalogue.register(new)
        self.made.append(new.id)
        self.time_passes(5)
        if finished:
            self.catalogue.captured(new.id, rows.captured(new, earlier=3))

    @invariant()
    def list_is_in_order(self) -> None:
        with self.catalogue.reading() as tables:
            row = tables.recordings
            newest_first = row.select().order_by(row.started_at.desc(), row.id.desc())
            assert [found.id for found in newest_first] == self.made[::-1]

    def teardown(self) -> None:
        self.catalogue.close()
        self._patch.undo()
        self._folder.cleanup()


BootOfRecordings.TestCase.settings = settings(
    max_examples=25, stateful_step_count=15, deadline=None
)
TestBootOfRecordings = BootOfRecordings.TestCase
