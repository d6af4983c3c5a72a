"""The benchmark of searches, on a catalogue that is small."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from recorderd.bench import processes, search
from recorderd.bench.entering import compared
from recorderd.bench.made_up import make_catalogue, recordings
from recorderd.bench.report import Comparison
from recorderd.bench.search import Figures, Result, shown
from recorderd.errors import InvariantViolationError
from recorderd.store import search as searches
from recorderd.store.search import Search

ROWS = 600


def figures(page_ms: tuple[float, ...], has_goal: bool = True) -> Figures:
    return Figures("4 digits", has_goal, (25, 3, 7), page_ms, (1.0,), (2.0, 4.0), (100.0, 100.0))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the benchmark makes its folder; it leaves signals alone."""
    monkeypatch.setattr(search, "PARENT", tmp_path)
    monkeypatch.setattr(processes, "end_with_what_was_started", lambda: None)
    return tmp_path


def test_made_up_recordings_are_the_same_every_time_and_as_many_as_asked_for() -> None:
    made = list(recordings(ROWS))
    assert made == list(recordings(ROWS))
    assert len({row["id"] for row in made}) == ROWS
    assert len({(row["order_id"], row["take"], row["part"]) for row in made}) == ROWS
    assert [row["started_at"] for row in made] == sorted(row["started_at"] for row in made)
    assert max(row["take"] for row in made) > 1
    assert max(row["part"] for row in made) > 1
    assert list(recordings(0)) == []


def test_a_made_up_catalogue_is_one_of_ours(tmp_path: Path) -> None:
    said: list[str] = []
    file = tmp_path / "catalogue.db"
    some = make_catalogue(file, ROWS, said.append)
    assert len(said) == 10
    assert some == list(recordings(ROWS))
    url = f"sqlite:///{file}"
    oldest, newest = some[0], some[-1]
    for row in (oldest, newest):
        found = searches.search(url, Search(row["order_id"][1:]), None, ROWS).rows
        assert row["id"] in {each.id for each in found}
    entered = compared(file, tmp_path / "empty.db")
    assert all(min(each.ours + each.theirs) > 0 for each in entered)
    assert len(searches.search(url, Search("NEW-00001"), None, ROWS).rows) == 100


def test_all_kinds_of_searches_are_measured_and_nothing_is_left(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = search.run(ROWS, as_json=True)
    document = json.loads(capsys.readouterr().out)
    assert document["rows"] == ROWS
    names = [each["name"] for each in document["searches"]]
    assert len(names) == len(set(names)) > 20
    assert all(each["page_ms"]["worst"] > 0 for each in document["searches"])
    compared_with = [each for each in document["searches"] if each["plain_sql_ms"]]
    assert all(each["times_quicker"] > 0 for each in compared_with)
    assert len(compared_with) > 5
    assert [each["missed"] for each in document["entering"]] == [False] * 4
    assert code == int(any(each["missed"] for each in document["searches"]))
    assert list(folder.iterdir()) == []


def test_plain_sql_that_finds_something_else_ends_the_benchmark(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "found_plainly", lambda *_: ["other"])
    with pytest.raises(InvariantViolationError, match="something else"):
        search.run(ROWS, as_json=False)
    assert list(folder.iterdir()) == []


def test_a_median_above_the_goal_misses_it() -> None:
    assert not figures((1.0, 19.0, 90.0)).missed
    assert figures((1.0, 21.0, 90.0)).missed
    assert not figures((1.0, 21.0, 90.0), has_goal=False).missed
    assert figures((1.0,)).times_quicker == 37.5


def test_the_table_says_what_was_reached() -> None:
    entered = [Comparison("it begins", "ms", (2.0, 2.0), (1.0, 1.0))]
    result = Result(1000, 2_000_000, 1.0, [figures((1.0,)), figures((30.0,))], entered)
    text = shown(result)
    assert result.exit_code == 1
    assert "1000 recordings, 2 MB" in text
    reached, missed = (line for line in text.splitlines() if line.startswith("4 digits"))
    assert reached.endswith("37.5 x   reached")
    assert missed.endswith("37.5 x   missed")
    assert "it begins  2.00 ms        1.00 ms          2.00" in text
