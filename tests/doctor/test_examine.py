from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from recorderd.doctor.check import Finding, Result, Verdict, good
from recorderd.doctor.examination import Examination
from recorderd.doctor.examine import examine
from recorderd.doctor.run import CHECKS, HANDS_CHECKS
from recorderd.doctor.terminal_screen import NAME_WIDTH
from recorderd.errors import DeviceError
from tests.doctor.stations import examination, loaded_in


class Asked:
    """A check that does what it is told."""

    def __init__(
        self,
        name: str,
        work: Callable[[], Finding],
        *,
        slow: bool = False,
        limit_seconds: float = 20.0,
    ) -> None:
        self.name, self.slow, self.limit_seconds = name, slow, limit_seconds
        self._work = work

    def look(self, examination: Examination, /) -> Finding:
        return self._work()


class Seen:
    """A screen that remembers."""

    def __init__(self) -> None:
        self.results: list[Result] = []
        self.names: set[str] = set()

    def found(self, result: Result) -> None:
        self.results.append(result)

    def looking(self, names: Sequence[str]) -> None:
        self.names |= set(names)


def raising(error: Exception) -> Callable[[], Finding]:
    def work() -> Finding:
        raise error

    return work


def test_a_check_that_hangs_holds_up_nobody(tmp_path: Path) -> None:
    for_ever = threading.Event()

    def hang() -> Finding:
        for_ever.wait()
        return good("never")

    checks = [
        Asked("hangs", hang, slow=True, limit_seconds=0.3),
        Asked("next", lambda: good("fine"), slow=True),
        Asked("quick", lambda: good("fine")),
    ]
    screen = Seen()
    results = examine(examination(loaded_in(tmp_path)), checks, [], screen)
    for_ever.set()
    assert [result.name for result in results] == ["hangs", "next", "quick"]
    assert [result.finding.verdict for result in results] == [
        Verdict.BAD,
        Verdict.GOOD,
        Verdict.GOOD,
    ]
    assert "no answer within 0.3 seconds" in results[0].finding.seen
    assert screen.results[0].name == "quick"
    assert "hangs" in screen.names


def test_slow_checks_never_look_at_once(tmp_path: Path) -> None:
    at_work = threading.Semaphore(1)

    def alone() -> Finding:
        assert at_work.acquire(blocking=False)
        threading.Event().wait(0.01)
        at_work.release()
        return good("alone")

    checks = [Asked(str(number), alone, slow=True) for number in range(5)]
    results = examine(examination(loaded_in(tmp_path)), checks, [], Seen())
    assert {result.finding.verdict for result in results} == {Verdict.GOOD}


@pytest.mark.parametrize(
    ("error", "seen", "remedy"),
    [
        (DeviceError("It is gone", "Plug it in"), "It is gone", "Plug it in"),
        (PermissionError(13, "Permission denied", "/x"), "/x: Permission denied", "sudo"),
        (KeyError("bug"), "This check failed itself", "--support"),
    ],
)
def test_errors_are_findings(error: Exception, seen: str, remedy: str, tmp_path: Path) -> None:
    hands = [Asked("check", raising(error))]
    for checks, hands_checks in ((hands, []), ([], hands)):
        (result,) = examine(examination(loaded_in(tmp_path)), checks, hands_checks, Seen())
        assert result.finding.verdict is Verdict.BAD
        assert seen in result.finding.seen
        assert remedy in result.finding.remedy


def test_names_fit_their_column_and_are_used_once() -> None:
    names = [check.name for check in (*CHECKS, *HANDS_CHECKS)]
    assert len(set(names)) == len(names)
    assert all(len(name) < NAME_WIDTH for name in names)
