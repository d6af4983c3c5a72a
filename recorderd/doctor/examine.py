"""Lets all checks look: the quick ones at once, the slow ones one after the other."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Sequence
from typing import Protocol

from recorderd.doctor.check import Check, Finding, HandsCheck, Result, bad
from recorderd.doctor.examination import Examination
from recorderd.errors import RecorderdError

_TICK_SECONDS = 0.2


class Screen(Protocol):
    """Whoever shows how it goes. Called on the main thread."""

    def found(self, result: Result) -> None:
        """A check has come to its end."""

    def looking(self, names: Sequence[str]) -> None:
        """These have not; called a few times a second."""


def examine(
    examination: Examination,
    checks: Sequence[Check],
    hands_checks: Sequence[HandsCheck],
    screen: Screen,
) -> list[Result]:
    """All results, in the order of the checks. No check can keep it longer than its limit."""
    found = _look_all(examination, checks, screen)
    for check in hands_checks:
        began = time.monotonic()
        finding = guarded(check, examination)
        found[check.name] = Result(check.name, finding, time.monotonic() - began)
        screen.found(found[check.name])
    return [found[check.name] for check in (*checks, *hands_checks)]


def _look_all(
    examination: Examination, checks: Sequence[Check], screen: Screen
) -> dict[str, Result]:
    answers: queue.SimpleQueue[tuple[Check, Finding]] = queue.SimpleQueue()
    began: dict[Check, float] = {}
    waiting = [check for check in checks if check.slow]
    results: dict[str, Result] = {}

    def start(check: Check) -> None:
        def work() -> None:
            answers.put((check, guarded(check, examination)))

        began[check] = time.monotonic()
        # A daemon: a disk or a driver that hangs for ever must not keep the command.
        threading.Thread(target=work, name=f"check {check.name}", daemon=True).start()

    def end(check: Check, finding: Finding) -> None:
        result = Result(check.name, finding, time.monotonic() - began.pop(check))
        results[check.name] = result
        screen.found(result)

    for check in checks:
        if not check.slow:
            start(check)
    while began or waiting:
        if waiting and not any(check.slow for check in began):
            start(waiting.pop(0))
        screen.looking([check.name for check in began])
        try:
            check, finding = answers.get(timeout=_TICK_SECONDS)
        except queue.Empty:
            pass
        else:
            if check in began:  # else it was given up meanwhile
                end(check, finding)
        for check in list(began):
            if time.monotonic() - began[check] > check.limit_seconds:
                end(check, _given_up(check))
    return results


def guarded(check: Check | HandsCheck, examination: Examination) -> Finding:
    try:
        return check.look(examination)
    except RecorderdError as error:
        return bad(error.problem, error.remedy)
    except OSError as error:
        what = f"{error.filename}: " if error.filename else ""
        return bad(
            f"{what}{error.strerror or error}",
            "Use sudo; if that does not help, look at the disk and the journal",
        )
    except Exception as error:
        return bad(
            f"This check failed itself: {error!r}",
            "Please report it with what 'recorderd doctor --support FILE' writes",
        )


def _given_up(check: Check) -> Finding:
    return bad(
        f"There was no answer within {check.limit_seconds:g} seconds",
        "Something hangs: run recorderd doctor again; if it stays so, restart the computer",
    )
