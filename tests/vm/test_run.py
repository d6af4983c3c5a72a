from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import pytest

from tests.vm import run
from tests.vm.machine import Machine
from tests.vm.run import Line
from tests.vm.station import Station
from tests.vm.trials.trial import Trial


def test_the_names_of_the_trials_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(["--list"]) == 0
    names = capsys.readouterr().out.split()
    assert len(names) == len(set(names)) == len(run.TRIALS)
    assert "order" in names


def test_an_unknown_trial_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        run.main(["ordr"])
    assert left.value.code == 2
    assert "ordr" in capsys.readouterr().err


def test_the_table_shows_all_that_was_seen() -> None:
    lines = [Line("order", "pedal", "word " * 40, True, 3.4), Line("camera", "", "?", False, 1.0)]
    table = run.table(lines)
    assert table.count("word") == 40
    assert "good" in table
    assert "BAD" in table
    assert max(map(len, table.splitlines())) <= sum(run.COLUMNS) + 2 * len(run.COLUMNS)


def test_an_error_that_nobody_expected_is_a_bad_line() -> None:
    def fails(_station: Station) -> Iterator[tuple[str, str]]:
        yield "looked", "there"
        raise KeyError("phase")

    seen = run.tried(Trial("order", fails), Station(cast(Machine, None)))
    assert [(line.good, line.seen) for line in seen] == [
        (True, "there"),
        (False, "KeyError: 'phase'"),
    ]
