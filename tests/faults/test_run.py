from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random

from tests.faults import run
from tests.faults.faults import FAULTS, Fault
from tests.faults.invariants import Outcome


def _fault(name: str, *outcomes: Outcome) -> Fault:
    def trials(_folder: Path, _count: int, _random: Random) -> Iterator[Outcome]:
        yield from outcomes

    return Fault(name, "it breaks", "it is mended", "nothing", trials, 1)


def test_losses_and_violations_are_counted(tmp_path: Path) -> None:
    fault = _fault("breaks", Outcome(), Outcome(lost_seconds=0.4), Outcome(["a promise"], 0.2))
    tallies = run.run([fault], 3, None, 1, tmp_path)
    tally = tallies["breaks"]
    assert (tally.trials, tally.losses, tally.worst_seconds) == (3, 2, 0.4)
    assert tally.violations == ["a promise"]
    assert run.summary(tallies).splitlines()[-1].split() == ["all", "3", "2", "0.40", "1"]


def test_a_trial_that_cannot_be_made_is_a_violation(tmp_path: Path) -> None:
    def broken(_folder: Path, _count: int, _random: Random) -> Iterator[Outcome]:
        raise AssertionError("no daemon")

    fault = Fault("broken", "", "", "", broken, 1)
    (violation,) = run.run([fault], 1, None, 1, tmp_path)["broken"].violations
    assert "no daemon" in violation


def test_faults_that_cannot_be_tried_here_end_too(tmp_path: Path) -> None:
    assert not run.run([_fault("needs root")], 5, None, 1, tmp_path)["needs root"].violations


def test_the_table_replaces_the_one_before(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{run.BEGIN}\nold\n{run.END}\nafter\n")
    tally = run.Tally(trials=7, losses=1, worst_seconds=0.25)
    run.write_table({FAULTS[0].name: tally}, readme)
    text = readme.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert f"| 0.25 s | 7 | 0 | `scripts/faults {FAULTS[0].name}` |" in text
