"""Rounds of trials side by side: each in a process, a session and a folder of its own."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import time
import traceback
from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from multiprocessing.connection import wait
from pathlib import Path
from random import Random
from shutil import rmtree
from typing import Final

from tests.faults import kills, rig
from tests.faults.faults import Fault
from tests.faults.invariants import Outcome

# Forked, so that a worker begins at once; whoever starts them has no threads.
_PROCESSES: Final = multiprocessing.get_context("fork")


def sensible_jobs() -> int:
    """A trial mostly waits: for pictures, for a start, for a fault to be over."""
    return 3 * (os.cpu_count() or 1)


@dataclass(frozen=True, slots=True)
class Round:
    """Some trials of one fault, one after another. Its seed chooses the instants."""

    fault: Fault
    seed: str
    count: int

    @property
    def name(self) -> str:
        return f"{self.fault.name}-{self.seed}"

    @property
    def limit_seconds(self) -> float:
        """Far more than it needs, however busy the machine is; whatever waits in a trial gives
        up before, and says why."""
        return 180.0 + 120.0 * self.count


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a round."""

    round: Round
    outcomes: list[Outcome] = field(default_factory=list)
    seconds: float = 0.0
    problem: str = ""
    """Why it did not come to its end by itself; a violation like any other."""
    cut_short: bool = False
    """The time for all rounds was over; the outcomes are those that were there by then."""

    @property
    def violations(self) -> list[str]:
        found = [text for outcome in self.outcomes for text in outcome.violations]
        if self.problem:
            made = f"after {len(self.outcomes)} of {self.round.count} trials"
            found.append(f"{made}: {self.problem}")
        return [f"seed {self.round.seed}: {text}" for text in found]


def prepare() -> None:
    """Make what all rounds share, in processes of their own: their threads must not be forked.

    Raises RuntimeError.
    """
    rig.workshop()
    for makers in ((rig.make_tools,), (rig.proofs, kills.unfinished)):
        processes = [_PROCESSES.Process(target=maker) for maker in makers]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
            if process.exitcode != 0:
                raise RuntimeError(f"preparing the trials ended with exit code {process.exitcode}")


def side_by_side(
    following: Callable[[], Round | None],
    folder: Path,
    jobs: int,
    deadline: float | None = None,
) -> Generator[Report, None, None]:
    """Run as many rounds at once as there are jobs; yields each report as it comes.

    `following` names the next round; None: there is none as long as no other one has ended. At
    the monotonic `deadline`, or when the caller has enough, all that still runs is ended. The
    folder of a round without violations is removed.
    """
    running: list[_Running] = []
    try:
        while True:
            while len(running) < jobs and not _over(deadline):
                chosen = following()
                if chosen is None:
                    break
                running.append(_Running(chosen, folder))
            if not running:
                return
            ends = [each.deadline for each in running]
            until = min(ends if deadline is None else [*ends, deadline])
            wait(
                [each.process.sentinel for each in running],
                timeout=max(0.0, until - time.monotonic()),
            )
            for each in list(running):
                report = each.look(_over(deadline))
                if report is not None:
                    running.remove(each)
                    yield report
    finally:
        for each in running:
            each.end()


def _over(deadline: float | None) -> bool:
    return deadline is not None and time.monotonic() >= deadline


class _Running:
    """A round that is under way."""

    def __init__(self, chosen: Round, folder: Path) -> None:
        self._round = chosen
        self._folder = folder / chosen.name
        self._folder.mkdir()
        self._outcomes = folder / f"{chosen.name}.outcomes"
        self._log = folder / f"{chosen.name}.log"
        self._began = time.monotonic()
        self.deadline = self._began + chosen.limit_seconds
        self.process = _PROCESSES.Process(
            target=_try, args=(chosen, self._folder, self._outcomes, self._log)
        )
        self.process.start()

    def look(self, time_is_over: bool) -> Report | None:
        """Its report, once it has ended or has to."""
        if self.process.exitcode is None and not time_is_over and not _over(self.deadline):
            return None
        ended_itself = self.process.exitcode is not None
        self.end()
        outcomes, end = _read(self._outcomes)
        problem = end
        if end is None and ended_itself:
            code = self.process.exitcode
            problem = f"it ended with exit code {code}: {self._log.read_text()[-3000:]}"
        elif end is None and not time_is_over:
            problem = f"it was not done after {self._round.limit_seconds:.0f} s"
        seconds = time.monotonic() - self._began
        report = Report(
            self._round,
            outcomes,
            seconds,
            problem or "",
            cut_short=end is None and not problem,
        )
        if not report.violations:
            self._clear_away()
        return report

    def end(self) -> None:
        """End whatever it has started, and take its mounts away."""
        for process in _session(self.process.pid or 0):
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self.process.join()
        for place in _mounts_below(self._folder):
            subprocess.run(["umount", "--lazy", place], check=False)

    def _clear_away(self) -> None:
        rmtree(self._folder, ignore_errors=True)
        self._outcomes.unlink(missing_ok=True)
        self._log.unlink(missing_ok=True)


def _try(chosen: Round, folder: Path, outcomes: Path, log: Path) -> None:
    """The worker: one line for each outcome, and a last one that says that it came to its end."""
    os.setsid()  # Ctrl-C is for whoever waits for it, and all of it can be found and ended
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with log.open("w") as words:
        os.dup2(words.fileno(), 1)
        os.dup2(words.fileno(), 2)
    with outcomes.open("w") as lines:
        problem = ""
        try:
            random = Random(chosen.name)
            for outcome in chosen.fault.trials(folder, chosen.count, random):
                print(json.dumps(asdict(outcome)), file=lines, flush=True)
        except Exception:
            problem = traceback.format_exc()[-3000:]
        print(json.dumps({"end": problem}), file=lines, flush=True)


def _read(outcomes: Path) -> tuple[list[Outcome], str | None]:
    """The outcomes, and why it ended (no words: all is well); None if it does not say."""
    found: list[Outcome] = []
    lines = outcomes.read_text().split("\n") if outcomes.exists() else []
    for line in lines[:-1]:  # the last one is empty, or was cut off
        document = json.loads(line)
        if "end" in document:
            return found, str(document["end"])
        found.append(Outcome(**document))
    return found, None


def _session(leader: int) -> list[int]:
    """Every process of a session. See proc_pid_stat(5)."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            session = int(stat.read_text().rpartition(")")[2].split()[3])
            if session == leader:
                found.append(int(stat.parent.name))
    return found


def _mounts_below(folder: Path) -> list[str]:
    """The newest first. See proc_pid_mountinfo(5)."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    places = [line.split()[4] for line in lines]
    return [place for place in reversed(places) if Path(place).is_relative_to(folder)]
