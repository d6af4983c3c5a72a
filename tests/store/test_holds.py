"""Holding an order: who, when, why; and a request is never lost and never done twice."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from recorderd.store import holds
from recorderd.store.holds import HoldAction, HoldRequest, ask, change, pending, take_in
from tests.store.shelf import Shelf
from tests.syncs import Syncs


def request(
    action: HoldAction = HoldAction.HOLD, order_id: str = "SO-1", reason: str = "a complaint"
) -> HoldRequest:
    return HoldRequest.now(action, order_id, "Anna", reason)


RELEASE = HoldAction.RELEASE


def test_all_takes_and_parts(shelf: Shelf) -> None:
    first, second, other = shelf.put(), shelf.put(), shelf.put("SO-2")
    part = shelf.part(second, 2)
    outcome = change(shelf.catalogue, request())
    assert (outcome.there, outcome.changed, outcome.deleted) == (3, 3, 0)
    assert [shelf.row(each).held for each in (first, second, part, other)] == [True] * 3 + [False]
    outcome = change(shelf.catalogue, request(RELEASE))
    assert (outcome.there, outcome.changed) == (3, 3)
    assert not any(shelf.row(each).held for each in (first, second, part, other))


def test_what_is_recorded_later_is_held_too(shelf: Shelf) -> None:
    shelf.put()
    change(shelf.catalogue, request())
    later = shelf.put()
    assert shelf.row(later).held
    assert [event for event, _ in shelf.events(later)] == ["hold"]
    change(shelf.catalogue, request(RELEASE))
    assert not shelf.row(shelf.put()).held


def test_who_and_why_are_in_the_event_log(shelf: Shelf) -> None:
    recording_id = shelf.put()
    change(shelf.catalogue, request(reason="the box was empty"))
    entry = holds.last_entry(shelf.settings.database_url, recording_id)
    assert entry is not None
    assert (entry.action, entry.detail) == ("hold", "by Anna: the box was empty")
    change(shelf.catalogue, request(RELEASE, reason="settled"))
    assert shelf.events(recording_id)[-1] == ("release", "by Anna: settled")


def test_order_that_nobody_knows(shelf: Shelf) -> None:
    outcome = change(shelf.catalogue, request(order_id="nobody's"))
    assert (outcome.there, outcome.changed, outcome.deleted) == (0, 0, 0)


def test_a_request_is_on_the_disk_before_it_is_promised(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    syncs = Syncs(monkeypatch)
    file = shelf.settings.hold_requests_file
    for _ in range(2):
        assert ask(shelf.settings, request(), lambda: True)
        assert syncs.has_all_of(file)
    assert file.name in syncs.folders[file.parent]


def test_requests_are_taken_in_in_their_order_and_once(shelf: Shelf) -> None:
    recording_id = shelf.put()
    for each in (request(), request(RELEASE), request(reason="again")):
        assert ask(shelf.settings, each, lambda: True)
    assert pending(shelf.settings)["SO-1"].reason == "again"
    assert take_in(shelf.settings, shelf.catalogue) == 3
    assert shelf.row(recording_id).held
    assert not pending(shelf.settings)
    assert take_in(shelf.settings, shelf.catalogue) == 0


def test_power_cut_after_the_commit(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is still there: what it asks for was done, and may have been undone since."""
    recording_id = shelf.put()
    assert ask(shelf.settings, request(), lambda: True)
    with monkeypatch.context() as cut:
        cut.setattr(Path, "unlink", lambda *_, **__: None)
        take_in(shelf.settings, shelf.catalogue)
    change(shelf.catalogue, request(RELEASE))
    assert ask(shelf.settings, request(order_id="SO-2"), lambda: True)
    assert take_in(shelf.settings, shelf.catalogue) == 1
    assert not shelf.row(recording_id).held


def test_torn_line_is_passed_over(shelf: Shelf) -> None:
    recording_id = shelf.put()
    with shelf.settings.hold_requests_file.open("w") as file:
        file.write('{"id": "torn", "at_us": 1, "act')
    assert ask(shelf.settings, request(), lambda: True)
    assert take_in(shelf.settings, shelf.catalogue) == 1
    assert shelf.row(recording_id).held


def test_what_is_being_deleted_cannot_be_held(shelf: Shelf) -> None:
    assert not ask(shelf.settings, request(), lambda: False)
    assert not pending(shelf.settings)


def test_flood_is_refused(shelf: Shelf) -> None:
    shelf.settings.hold_requests_file.write_text("x" * (holds.LARGEST_BYTES + 1))
    with pytest.raises(OSError, match="too many"):
        ask(shelf.settings, request(), lambda: True)


def test_nobody_asks_between_the_last_look_and_the_deletion(shelf: Shelf) -> None:
    """Whoever asks meanwhile waits, and then is told that it is too late."""
    asked = threading.Event()

    def ask_now() -> None:
        ask(shelf.settings, request(), lambda: True)
        asked.set()

    with holds.locked(shelf.settings):
        asking = threading.Thread(target=ask_now)
        asking.start()
        assert not asked.wait(0.2)
    asking.join(5)
    assert asked.is_set()
