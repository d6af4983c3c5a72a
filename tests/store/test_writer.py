"""The catalogue's thread: in order, through locks, heard when it fails, drained at the end."""

from __future__ import annotations

import queue
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from recorderd.core.events import FaultCleared, FaultRaised
from recorderd.core.model import Fault, RecordingId
from recorderd.errors import CatalogueError, InvariantViolationError
from recorderd.store.catalogue import Catalogue
from recorderd.store.database import CatalogueUnavailableError
from recorderd.store.writer import CatalogueThread

from .rows import new

LIMIT = 20.0
"""Seconds after which a test that waits has failed; nothing waits that long."""


def nothing(_: object) -> None:
    pass


class Time:
    """A clock that moves only when the thread waits; each wait can be watched and acted on."""

    def __init__(self) -> None:
        self.now = 100.0
        self.pauses: list[float] = []
        self.on_pause: Callable[[int], object] = nothing

    def at_pause(self, number: int, action: Callable[[], object]) -> None:
        """Do something during one of the pauses, counted from 1."""
        self.on_pause = lambda count: action() if count == number else None

    def clock(self) -> float:
        return self.now

    def wait(self, event: threading.Event, seconds: float) -> None:
        self.now += seconds
        self.pauses.append(seconds)
        self.on_pause(len(self.pauses))


class Ears:
    """Hears what the thread says."""

    def __init__(self) -> None:
        self.heard: queue.Queue[FaultRaised | FaultCleared | Exception] = queue.Queue()

    def __call__(self, event: FaultRaised | FaultCleared | Exception) -> None:
        self.heard.put(event)

    def all(self) -> list[FaultRaised | FaultCleared | Exception]:
        return [self.heard.get_nowait() for _ in range(self.heard.qsize())]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "catalogue.db"


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def ears() -> Ears:
    return Ears()


@pytest.fixture
def start(file: Path, time: Time, ears: Ears) -> Iterator[Callable[..., CatalogueThread]]:
    started: list[CatalogueThread] = []

    def opened() -> Catalogue:
        return Catalogue.open(f"sqlite:///{file}", "bench-1", busy_seconds=0.001)

    def start(open_catalogue: Callable[[], Catalogue] = opened, **options: Any) -> CatalogueThread:
        thread = CatalogueThread(
            open_catalogue, ears, ears, clock=time.clock, wait=time.wait, **options
        )
        started.append(thread)
        return thread

    yield start
    for thread in started:
        thread.close(0)


def result_of(thread: CatalogueThread, job: Callable[[Catalogue], Any]) -> Any:
    results: queue.Queue[Any] = queue.Queue()
    thread.submit(job, results.put)
    return results.get(timeout=LIMIT)


def locked_by_another(file: Path) -> sqlite3.Connection:
    other = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    return other


def test_jobs_run_in_order_on_one_thread_and_results_come_back(
    start: Callable[..., CatalogueThread],
) -> None:
    thread = start()
    results: queue.Queue[tuple[int, str]] = queue.Queue()

    def job(catalogue: Catalogue) -> tuple[int, str]:
        return catalogue.register(new("SO-1")), threading.current_thread().name

    for _ in range(50):
        thread.submit(job, results.put)
    made = [results.get(timeout=LIMIT) for _ in range(50)]
    assert made == [(take, "catalogue") for take in range(1, 51)]


def test_a_lock_is_waited_out_in_order_and_heard(
    start: Callable[..., CatalogueThread], file: Path, time: Time, ears: Ears
) -> None:
    thread = start()
    assert result_of(thread, lambda catalogue: catalogue.register(new("SO-1"))) == 1
    other = locked_by_another(file)
    time.at_pause(30, lambda: other.execute("ROLLBACK"))
    began = time.now
    takes: queue.Queue[int] = queue.Queue()
    for _ in range(3):
        thread.submit(lambda catalogue: catalogue.register(new("SO-1")), takes.put)
    assert [takes.get(timeout=LIMIT) for _ in range(3)] == [2, 3, 4]
    assert time.pauses[:4] == pytest.approx([0.1, 0.2, 0.4, 0.3])
    assert time.now - began > 20
    raised, cleared = ears.all()
    assert isinstance(raised, FaultRaised)
    assert raised.fault == Fault.CATALOGUE
    assert "locked" in raised.problem
    assert "Close any program" in raised.problem
    assert cleared == FaultCleared(Fault.CATALOGUE)
    other.close()


@pytest.mark.parametrize("seconds", [600.0 + 0.9 * number for number in range(8)])
def test_rows_follow_within_a_second_after_a_long_outage(
    start: Callable[..., CatalogueThread], file: Path, time: Time, seconds: float
) -> None:
    """Whatever the moment at which the cause goes away; and trying costs one attempt a second."""
    away_until = time.now + seconds
    attempts = 0

    def opened() -> Catalogue:
        nonlocal attempts
        attempts += 1
        if time.now < away_until:
            raise CatalogueUnavailableError("The database is away", "Wait")
        return Catalogue.open(f"sqlite:///{file}", "bench-1")

    thread = start(opened)
    assert result_of(thread, lambda catalogue: catalogue.register(new("SO-1"))) == 1
    assert time.now - away_until <= 1.0
    assert attempts <= seconds + 5


def test_a_short_lock_is_not_a_fault(
    start: Callable[..., CatalogueThread], file: Path, time: Time, ears: Ears
) -> None:
    thread = start()
    result_of(thread, lambda catalogue: catalogue.register(new("SO-1")))
    other = locked_by_another(file)
    time.at_pause(3, lambda: other.execute("ROLLBACK"))
    assert result_of(thread, lambda catalogue: catalogue.register(new("SO-1"))) == 2
    assert ears.all() == []
    other.close()


def test_the_fault_is_raised_after_one_second_of_trying(
    start: Callable[..., CatalogueThread], file: Path, time: Time, ears: Ears
) -> None:
    thread = start()
    result_of(thread, lambda catalogue: catalogue.register(new("SO-1")))
    other = locked_by_another(file)
    began = time.now
    heard_at: list[float] = []

    def look(count: int) -> None:
        if not ears.heard.empty() and not heard_at:
            heard_at.append(time.now - time.pauses[-1])
            other.execute("ROLLBACK")

    time.on_pause = look
    result_of(thread, lambda catalogue: catalogue.register(new("SO-1")))
    assert heard_at == pytest.approx([began + 1.0])
    other.close()


def test_opening_is_tried_until_it_succeeds(
    start: Callable[..., CatalogueThread], tmp_path: Path, time: Time, ears: Ears
) -> None:
    obstacle = tmp_path / "state"
    obstacle.write_text("a file where the state folder should be")
    time.at_pause(8, obstacle.unlink)
    thread = start(lambda: Catalogue.open(f"sqlite:///{obstacle}/catalogue.db", "bench-1"))
    assert result_of(thread, lambda catalogue: catalogue.register(new("SO-1"))) == 1
    raised, cleared = ears.all()
    assert isinstance(raised, FaultRaised)
    assert "is a file" in raised.problem
    assert isinstance(cleared, FaultCleared)


def test_a_damaged_database_is_heard_at_once_and_taken_up_again_when_mended(
    start: Callable[..., CatalogueThread], file: Path, time: Time, ears: Ears
) -> None:
    file.write_bytes(b"this is not a database, it is a text\n" * 100)
    time.at_pause(1, file.unlink)
    thread = start()
    assert result_of(thread, lambda catalogue: catalogue.register(new("SO-1"))) == 1
    assert time.pauses == [0.1]
    raised, cleared = ears.all()
    assert isinstance(raised, FaultRaised)
    assert "damaged" in raised.problem
    assert isinstance(cleared, FaultCleared)


def test_a_fault_that_changes_is_told_anew_but_not_repeated(
    start: Callable[..., CatalogueThread], time: Time, ears: Ears
) -> None:
    thread = start()
    problems = iter(["one"] * 10 + ["two"] * 5)

    def job(catalogue: Catalogue) -> str:
        for problem in problems:
            raise CatalogueUnavailableError(problem, "Wait")
        return "done"

    assert result_of(thread, job) == "done"
    heard = [event.problem if isinstance(event, FaultRaised) else "-" for event in ears.all()]
    assert heard == ["one. Wait.", "two. Wait.", "-"]


def test_a_bug_is_reported_and_the_next_job_still_runs(
    start: Callable[..., CatalogueThread], ears: Ears
) -> None:
    thread = start()
    thread.submit(lambda catalogue: catalogue.saved(RecordingId("nobody")), nothing)

    def bug(_: Catalogue) -> float:
        return 1 / 0

    thread.submit(bug, nothing)

    def bad_ear(_: object) -> None:
        raise CatalogueError("not from the database", "-")

    thread.submit(nothing, bad_ear)
    assert result_of(thread, lambda catalogue: catalogue.register(new("SO-1"))) == 1
    kinds = [type(event) for event in ears.all()]
    assert kinds == [InvariantViolationError, ZeroDivisionError, CatalogueError]


def test_closing_does_what_is_queued(start: Callable[..., CatalogueThread], file: Path) -> None:
    thread = start()
    for _ in range(20):
        thread.submit(lambda catalogue: catalogue.register(new("SO-1")), nothing)
    assert thread.close(10.0) == 0
    assert thread.close(10.0) == 0
    with sqlite3.connect(file) as reader:
        assert reader.execute("SELECT max(take) FROM recordings").fetchone() == (20,)
    assert not [each for each in threading.enumerate() if each.name == "catalogue"]
    with pytest.raises(CatalogueError, match="closed"):
        thread.submit(nothing, nothing)


def test_closing_gives_up_at_the_deadline_and_counts_what_is_left(
    start: Callable[..., CatalogueThread], file: Path, time: Time
) -> None:
    thread = start()
    result_of(thread, lambda catalogue: catalogue.register(new("SO-1")))
    other = locked_by_another(file)
    began_trying = threading.Event()
    time.at_pause(1, began_trying.set)
    for _ in range(3):
        thread.submit(lambda catalogue: catalogue.register(new("SO-1")), nothing)
    assert began_trying.wait(LIMIT)
    assert thread.close(4.0) == 3
    assert not [each for each in threading.enumerate() if each.name == "catalogue"]
    other.close()


def test_closing_cuts_a_long_pause_short(file: Path, ears: Ears) -> None:
    """With the real clock: a pause of seconds must not hold up the end of the service."""
    pausing = threading.Event()

    def wait(event: threading.Event, seconds: float) -> None:
        pausing.set()
        assert event.wait(LIMIT)

    def never() -> Catalogue:
        raise CatalogueUnavailableError("away", "Wait")

    thread = CatalogueThread(never, ears, ears, wait=wait)
    thread.submit(nothing, nothing)
    assert pausing.wait(LIMIT)
    assert thread.close(0.0) == 1


def test_a_full_queue_refuses_instead_of_waiting(
    start: Callable[..., CatalogueThread], ears: Ears
) -> None:
    thread = start(capacity=3)
    entered, go_on = threading.Event(), threading.Event()

    def slow(catalogue: Catalogue) -> None:
        entered.set()
        assert go_on.wait(LIMIT)

    thread.submit(slow, nothing)
    assert entered.wait(LIMIT)
    thread.submit(nothing, nothing)
    thread.submit(nothing, nothing)
    with pytest.raises(CatalogueError, match="last 3 entries"):
        thread.submit(nothing, nothing)
    go_on.set()
    assert thread.close(5.0) == 0
