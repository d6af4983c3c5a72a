from __future__ import annotations

import pytest

from tests.vm import run
from tests.vm.run import Line


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
