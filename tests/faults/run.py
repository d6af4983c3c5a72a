"""`scripts/faults`: try every fault, many times, and say what was lost."""

from __future__ import annotations

import argparse
import json
import re
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Final

from tests.faults.faults import FAULTS, Fault
from tests.faults.rounds import Report, Round, prepare, sensible_jobs, side_by_side

README: Final = Path(__file__).parents[2] / "recorderd" / "README.md"
BEGIN: Final = "<!-- made by scripts/faults --table -->"
END: Final = "<!-- end of what scripts/faults made -->"
TRIALS: Final = 100
"""Of each fault, if nothing else is asked for."""


@dataclass(slots=True)
class Tally:
    """Of all trials of one fault."""

    trials: int = 0
    losses: int = 0
    """Trials after which anything at all that was filmed is in no file."""
    worst_seconds: float = 0.0
    left_over: int = 0
    seconds: float = 0.0
    """What its rounds took, each in its own process."""
    violations: list[str] = field(default_factory=list)

    def add(self, report: Report) -> None:
        for outcome in report.outcomes:
            self.trials += 1
            self.losses += outcome.lost_seconds > 0.0
            self.worst_seconds = max(self.worst_seconds, outcome.lost_seconds)
            self.left_over += outcome.left_over > 0
        self.seconds += report.seconds
        self.violations += report.violations

    @property
    def seconds_each(self) -> float:
        return self.seconds / self.trials if self.trials else 0.0


class Plan:
    """Which round is next: faults have their turns, until there were enough trials of each."""

    def __init__(
        self, faults: list[Fault], trials: int | None, seed: int, quick: bool = False
    ) -> None:
        """`trials` of each fault; None: without end. If `quick`, as few as each fault says."""
        self._faults = list(faults)
        self._left = {fault.name: fault.quick if quick else trials for fault in faults}
        if quick:  # what takes longest first, so that nothing is waited for alone at the end
            self._faults.sort(key=lambda fault: (-fault.quick, "camera" not in fault.name))
        self._turns = {fault.name: 0 for fault in faults}
        self._seed = seed

    def following(self) -> Round | None:
        for number, fault in enumerate(self._faults):
            left = self._left[fault.name]
            count = fault.round if left is None else min(fault.round, left)
            if count <= 0:
                continue
            self._faults.append(self._faults.pop(number))
            if left is not None:
                self._left[fault.name] = left - count
            turn = self._turns[fault.name]
            self._turns[fault.name] = turn + 1
            return Round(fault, f"{self._seed}-{turn}", count)
        return None

    def ended(self, report: Report) -> None:
        """Trials in which nothing was felt are made up for; a fault that cannot be tried on
        this machine is not tried for ever."""
        fault = report.round.fault
        if report.problem or report.cut_short:
            return
        left = self._left[fault.name]
        if not report.outcomes:
            self._left[fault.name] = 0
        elif left is not None:
            self._left[fault.name] = left + report.round.count - len(report.outcomes)


def run(
    faults: list[Fault],
    trials: int | None,
    minutes: float | None,
    seed: int,
    folder: Path,
    jobs: int = 1,
    *,
    quick: bool = False,
) -> tuple[dict[str, Tally], bool]:
    """So many trials of each, or until the time is over; True: it was broken off (Ctrl-C)."""
    tallies = {fault.name: Tally() for fault in faults}
    deadline = time.monotonic() + minutes * 60 if minutes is not None else None
    plan = Plan(faults, trials, seed, quick)
    reports = side_by_side(plan.following, folder, jobs, deadline)
    try:
        for report in reports:
            plan.ended(report)
            name, tally = report.round.fault.name, tallies[report.round.fault.name]
            tally.add(report)
            for violation in report.violations:
                print(f"VIOLATION {name} {violation}", flush=True)
            print(_line(name, tally) + _cut_short(report), flush=True)
    except KeyboardInterrupt:
        return tallies, True
    finally:
        reports.close()
    return tallies, False


def _cut_short(report: Report) -> str:
    if not report.cut_short:
        return ""
    made = f"{len(report.outcomes)} of {report.round.count} trials"
    return f"  round {report.round.seed} cut short: the time is over, {made} were made"


_HEADING: Final = (
    f"{'fault':<22}{'trials':>8}{'losses':>8}{'worst (s)':>11}{'violations':>12}{'s/trial':>9}"
)


def _line(name: str, tally: Tally) -> str:
    return (
        f"{name:<22}{tally.trials:>8}{tally.losses:>8}"
        f"{tally.worst_seconds:>11.2f}{len(tally.violations):>12}{tally.seconds_each:>9.1f}"
    )


def summary(tallies: dict[str, Tally]) -> str:
    lines = [_HEADING, *(_line(name, tally) for name, tally in tallies.items())]
    total = Tally(
        sum(tally.trials for tally in tallies.values()),
        sum(tally.losses for tally in tallies.values()),
        max((tally.worst_seconds for tally in tallies.values()), default=0.0),
        seconds=sum(tally.seconds for tally in tallies.values()),
        violations=[text for tally in tallies.values() for text in tally.violations],
    )
    return "\n".join([*lines, _line("all", total)])


def table(tallies: dict[str, Tally]) -> str:
    """What it survives, in Markdown."""
    rows = [
        "| fault | what happens | lost at most | worst in the trials | trials "
        "| promises broken | the test |",
        "|---|---|---|---|---|---|---|",
    ]
    for fault in FAULTS:
        tally = tallies.get(fault.name)
        if tally is None or not tally.trials:
            continue
        worst = f"{tally.worst_seconds:.2f} s" if tally.losses else "nothing"
        rows.append(
            f"| {fault.fault} | {fault.happens} | {fault.may_be_lost} | {worst} "
            f"| {tally.trials} | {len(tally.violations)} | `scripts/faults {fault.name}` |"
        )
    return "\n".join(rows)


def write_table(tallies: dict[str, Tally], readme: Path = README) -> None:
    """Put the table between its marks."""
    text = readme.read_text(encoding="utf-8")
    made = f"{BEGIN}\n\n{table(tallies)}\n\n{END}"
    pattern = re.compile(re.escape(BEGIN) + ".*?" + re.escape(END), re.DOTALL)
    if not pattern.search(text):
        raise SystemExit(f"{readme} has no place for the table: {BEGIN} ... {END}")
    readme.write_text(pattern.sub(lambda _: made, text), encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/faults", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these faults")
    parser.add_argument("--trials", type=int, help=f"of each fault ({TRIALS})")
    parser.add_argument("--minutes", type=float, help="stop after so long")
    parser.add_argument(
        "--jobs", type=int, default=sensible_jobs(), help="rounds side by side (%(default)s)"
    )
    parser.add_argument(
        "--quick", action="store_true", help="one or two of each, as scripts/test does"
    )
    parser.add_argument("--seed", type=int, default=1, help="chooses the instants (1)")
    parser.add_argument("--table", action="store_true", help="write the table in the README")
    parser.add_argument("--json", type=Path, help="write the numbers into this file, too")
    parser.add_argument("--list", action="store_true", help="name the faults and end")
    options = parser.parse_args()
    if options.list:
        for fault in FAULTS:
            print(f"{fault.name:<22}{fault.fault}")
        return 0
    known = {fault.name: fault for fault in FAULTS}
    unknown = [name for name in options.names if name not in known]
    if unknown:
        parser.error(f"there is no fault {unknown[0]}; --list names them")
    if options.jobs < 1:
        parser.error("--jobs must be 1 or more")
    faults = [known[name] for name in options.names] or list(FAULTS)
    trials = options.trials
    if trials is None and options.minutes is None:
        trials = TRIALS
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    folder = Path(mkdtemp(prefix="recorderd-fault-trials-"))
    began = time.monotonic()
    prepare()
    print(f"{options.jobs} rounds side by side\n{_HEADING}", flush=True)
    tallies, broken_off = run(
        faults, trials, options.minutes, options.seed, folder, options.jobs, quick=options.quick
    )
    print(f"\n{summary(tallies)}")
    minutes = (time.monotonic() - began) / 60
    made = sum(tally.trials for tally in tallies.values())
    print(f"\n{made} trials in {minutes:.1f} minutes: {made / minutes:.1f} a minute")
    broken = any(tally.violations for tally in tallies.values())
    if broken:
        print(f"The folders of the trials with violations are kept in {folder}")
    else:
        rmtree(folder, ignore_errors=True)
    if options.json is not None:
        numbers = {
            name: {
                "trials": tally.trials,
                "losses": tally.losses,
                "worst_seconds": round(tally.worst_seconds, 3),
                "left_over": tally.left_over,
                "seconds_each": round(tally.seconds_each, 1),
                "violations": tally.violations,
            }
            for name, tally in tallies.items()
        }
        options.json.write_text(json.dumps(numbers, indent=2))
    if broken_off:
        print("It was broken off." + (" The table is not written." if options.table else ""))
        return 1
    if options.table:
        write_table(tallies)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
