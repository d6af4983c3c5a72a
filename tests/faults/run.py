"""`scripts/faults`: try every fault, many times, and say what was lost.

scripts/faults [--trials N] [--minutes M] [--seed S] [--table] [NAME ...]
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from shutil import rmtree
from tempfile import mkdtemp
from typing import Final

from tests.faults.faults import FAULTS, Fault
from tests.faults.invariants import Outcome

README: Final = Path(__file__).parents[2] / "recorderd" / "README.md"
BEGIN: Final = "<!-- made by scripts/faults --table -->"
END: Final = "<!-- end of what scripts/faults made -->"
_ROUND: Final = 5
"""Trials of one fault before the next one has its turn."""


@dataclass(slots=True)
class Tally:
    """Of all trials of one fault."""

    trials: int = 0
    losses: int = 0
    """Trials after which anything at all that was filmed is in no file."""
    worst_seconds: float = 0.0
    left_over: int = 0
    violations: list[str] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        self.trials += 1
        self.losses += outcome.lost_seconds > 0.0
        self.worst_seconds = max(self.worst_seconds, outcome.lost_seconds)
        self.left_over += outcome.left_over > 0
        self.violations += outcome.violations


def run(
    faults: list[Fault], trials: int, minutes: float | None, seed: int, folder: Path
) -> dict[str, Tally]:
    """So many trials of each, in turns, or until the time is over."""
    tallies = {fault.name: Tally() for fault in faults}
    deadline = time.monotonic() + minutes * 60 if minutes is not None else None
    turn = 0
    while any(tally.trials < trials for tally in tallies.values()):
        for fault in faults:
            tally = tallies[fault.name]
            count = min(_ROUND, trials - tally.trials)
            if count > 0:
                _one_round(fault, count, f"{seed}-{turn}", folder, tally)
                print(_line(fault.name, tally), flush=True)
            if deadline is not None and time.monotonic() > deadline:
                return tallies
        turn += 1
    return tallies


def _one_round(fault: Fault, count: int, seed: str, folder: Path, tally: Tally) -> None:
    place = folder / f"{fault.name}-{seed}"
    place.mkdir()
    before = tally.trials
    violations = len(tally.violations)
    try:
        for outcome in fault.trials(place, count, Random(f"{fault.name}-{seed}")):
            tally.add(outcome)
            for violation in outcome.violations:
                print(f"VIOLATION {fault.name} seed {seed}: {violation}", flush=True)
    except Exception:
        tally.add(Outcome([f"seed {seed}: {traceback.format_exc()[-3000:]}"]))
        print(tally.violations[-1], flush=True)
    if tally.trials == before:
        tally.trials += count  # nothing could be tried here; do not try for ever
    if len(tally.violations) == violations:
        rmtree(place, ignore_errors=True)


_HEADING: Final = f"{'fault':<22}{'trials':>8}{'losses':>8}{'worst (s)':>11}{'violations':>12}"


def _line(name: str, tally: Tally) -> str:
    return (
        f"{name:<22}{tally.trials:>8}{tally.losses:>8}"
        f"{tally.worst_seconds:>11.2f}{len(tally.violations):>12}"
    )


def summary(tallies: dict[str, Tally]) -> str:
    lines = [_HEADING, *(_line(name, tally) for name, tally in tallies.items())]
    total = Tally(
        sum(tally.trials for tally in tallies.values()),
        sum(tally.losses for tally in tallies.values()),
        max((tally.worst_seconds for tally in tallies.values()), default=0.0),
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
    parser.add_argument("--trials", type=int, default=100, help="of each fault (100)")
    parser.add_argument("--minutes", type=float, help="stop after so long")
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
    faults = [known[name] for name in options.names] or list(FAULTS)
    folder = Path(mkdtemp(prefix="recorderd-fault-trials-"))
    print(_HEADING)
    tallies = run(faults, options.trials, options.minutes, options.seed, folder)
    print(f"\n{summary(tallies)}")
    broken = any(tally.violations for tally in tallies.values())
    if broken:
        print(f"\nThe folders of the trials with violations are kept in {folder}")
    else:
        rmtree(folder, ignore_errors=True)
    if options.json is not None:
        numbers = {
            name: {
                "trials": tally.trials,
                "losses": tally.losses,
                "worst_seconds": round(tally.worst_seconds, 3),
                "left_over": tally.left_over,
                "violations": tally.violations,
            }
            for name, tally in tallies.items()
        }
        options.json.write_text(json.dumps(numbers, indent=2))
    if options.table:
        write_table(tallies)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
