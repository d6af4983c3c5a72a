from __future__ import annotations

from tests.core import transitions


def test_the_table_is_that_of_the_code() -> None:
    committed = transitions.TABLE.read_text(encoding="utf-8")
    assert committed == transitions.table(), "run: python -m tests.core.transitions"


def test_the_exploration_meets_every_event_and_ends() -> None:
    rows = list(transitions.rows())
    assert {event for _, event, _, _ in rows} == {event.name for event in transitions.HAPPENINGS}
    assert len(rows) < 400
