from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from tests.faults import rounds, run
from tests.faults.faults import FAULTS, Fault, Trials
from tests.faults.invariants import Outcome


def _fault(name: str, *outcomes: Outcome) -> Fault:
    def trials(_folder: Path, count: int, _random: Random) -> Iterator[Outcome]:
        yield from outcomes[:count]

    return _named(name, trials)


def _named(name: str, trials: Trials, size: int = 5) -> Fault:
    return Fault(name, "it breaks", "it is mended", "nothing", trials, round=size)


def _hanging(_folder: Path, _count: int, _random: Random) -> Iterator[Outcome]:
    yield Outcome(lost_seconds=0.1)
    subprocess.run(["sleep", "1000"], check=True)


def _drawn(folder: Path, count: int, random: Random) -> Iterator[Outcome]:
    for _ in range(count):
        yield Outcome(lost_seconds=random.random())


def test_losses_and_violations_are_counted(tmp_path: Path) -> None:
    fault = _fault("breaks", Outcome(), Outcome(lost_seconds=0.4), Outcome(["a promise"], 0.2))
    tallies, broken_off = run.run([fault], 3, None, 1, tmp_path)
    tally = tallies["breaks"]
    assert (tally.trials, tally.losses, tally.worst_seconds) == (3, 2, 0.4)
    assert tally.violations == ["seed 1-0: a promise"]
    assert run.summary(tallies).splitlines()[-1].split()[:5] == ["all", "3", "2", "0.40", "1"]
    assert not broken_off


def test_a_trial_that_cannot_be_made_is_a_violation(tmp_path: Path) -> None:
    def broken(_folder: Path, _count: int, _random: Random) -> Iterator[Outcome]:
        raise AssertionError("no daemon")

    tallies, _ = run.run([_named("broken", broken)], 1, None, 1, tmp_path)
    (violation,) = tallies["broken"].violations
    assert "no daemon" in violation


def test_faults_that_cannot_be_tried_here_end_too(tmp_path: Path) -> None:
    tallies, _ = run.run([_fault("needs root")], None, None, 1, tmp_path)
    assert not tallies["needs root"].violations
    assert tallies["needs root"].trials == 0


def test_a_fault_that_was_not_felt_is_tried_again(tmp_path: Path) -> None:
    def half(_folder: Path, count: int, _random: Random) -> Iterator[Outcome]:
        yield from [Outcome()] * ((count + 1) // 2)

    tallies, _ = run.run([_named("half felt", half)], 20, None, 1, tmp_path)
    assert tallies["half felt"].trials == 20


def test_a_quick_run_tries_as_few_as_each_fault_says(tmp_path: Path) -> None:
    faults = [replace(_named(name, _drawn), quick=count) for name, count in (("a", 1), ("b", 2))]
    tallies, _ = run.run(faults, 100, None, 1, tmp_path, quick=True)
    assert [tallies[name].trials for name in ("a", "b")] == [1, 2]


def test_the_same_seed_chooses_the_same_instants_with_any_number_of_jobs(tmp_path: Path) -> None:
    def worst(jobs: int, seed: int) -> list[float]:
        folder = tmp_path / f"{jobs}-{seed}"
        folder.mkdir()
        faults = [_named(name, _drawn) for name in ("one", "two", "three")]
        tallies, _ = run.run(faults, 20, None, seed, folder, jobs)
        return [tally.worst_seconds for tally in tallies.values()]

    alone = worst(1, seed=1)
    assert worst(4, seed=1) == alone
    assert worst(4, seed=2) != alone


def test_rounds_run_side_by_side(tmp_path: Path) -> None:
    """Each ends only when it has seen the other."""

    def meets(other: str) -> Trials:
        def trials(folder: Path, _count: int, _random: Random) -> Iterator[Outcome]:
            (folder.parent / folder.name.partition("-")[0]).touch()
            while not (folder.parent / other).exists():
                time.sleep(0.01)
            yield Outcome()

        return trials

    faults = [_named("one", meets("two")), _named("two", meets("one"))]
    tallies, _ = run.run(faults, 1, None, 1, tmp_path, jobs=2)
    assert [tally.trials for tally in tallies.values()] == [1, 1]


def test_a_round_that_hangs_is_ended_and_said_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds.Round, "limit_seconds", 0.5)
    tallies, _ = run.run([_named("hangs", _hanging)], 5, None, 1, tmp_path)
    (violation,) = tallies["hangs"].violations
    assert "after 1 of 5 trials: it was not done after 0 s" in violation
    assert tallies["hangs"].trials == 1
    assert tallies["hangs"].worst_seconds == 0.1


def test_a_round_whose_process_dies_is_said_so(tmp_path: Path) -> None:
    def dies(_folder: Path, _count: int, _random: Random) -> Iterator[Outcome]:
        yield Outcome()
        os.write(2, b"the last words")
        os._exit(7)

    tallies, _ = run.run([_named("dies", dies)], 3, None, 1, tmp_path)
    (violation,) = tallies["dies"].violations
    assert "after 1 of 3 trials: it ended with exit code 7: the last words" in violation


def test_the_end_of_the_time_cuts_rounds_short(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tallies, _ = run.run([_named("long", _hanging)], None, 0.01, 1, tmp_path, jobs=2)
    assert not tallies["long"].violations
    assert tallies["long"].trials == 2
    assert "round 1-0 cut short: the time is over, 1 of 5 trials" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


def test_ctrl_c_ends_all_and_keeps_what_was_found(tmp_path: Path) -> None:
    def interrupts(folder: Path, count: int, random: Random) -> Iterator[Outcome]:
        while list(folder.parent.glob("quick*")):  # until its report was taken
            time.sleep(0.01)
        os.kill(os.getppid(), signal.SIGINT)
        yield from _hanging(folder, count, random)

    faults = [_fault("quick", Outcome(lost_seconds=0.3)), _named("interrupts", interrupts)]
    began = time.monotonic()
    tallies, broken_off = run.run(faults, 1, None, 1, tmp_path, jobs=2)
    assert broken_off
    assert (tallies["quick"].trials, tallies["quick"].worst_seconds) == (1, 0.3)
    assert time.monotonic() - began < 60  # nothing that hangs was waited for


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
