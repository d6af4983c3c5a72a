"""Deleting a recording: cut short anywhere, it is brought to its end, and leaves a tombstone."""

from __future__ import annotations

from pathlib import Path

import pytest

from recorderd.core.model import Mode, RecordingId
from recorderd.core.retention import Awaited, DoomedSpare, Kept, Reason
from recorderd.errors import StorageError
from recorderd.store import footage
from recorderd.store.catalogue import Catalogue
from recorderd.store.holds import HoldAction, HoldRequest, ask, change
from recorderd.store.removal import Going
from tests.store.shelf import NOW, Shelf
from tests.syncs import Syncs


class PlugPulledError(BaseException):
    """Nothing in our code may catch this."""


class Plug:
    """Counts the steps that change the disk or the catalogue; pulled before one of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.steps = 0
        self.pull_at: int | None = None
        for owner, name in (
            (Path, "unlink"),
            (Path, "rmdir"),
            (footage, "_sync_folder"),
            (Catalogue, "transaction"),
        ):
            self._count(monkeypatch, owner, name)

    def _count(self, monkeypatch: pytest.MonkeyPatch, owner: object, name: str) -> None:
        original = getattr(owner, name)

        def counted(*arguments: object, **named: object) -> object:
            self.steps += 1
            if self.steps == self.pull_at:
                raise PlugPulledError
            return original(*arguments, **named)

        monkeypatch.setattr(owner, name, counted)


def begin(shelf: Shelf, recording_id: RecordingId) -> Going:
    going = shelf.removal.begin(recording_id, Reason.AGE)
    assert going is not None
    return going


def delete(shelf: Shelf, recording_id: RecordingId) -> None:
    shelf.removal.finish(begin(shelf, recording_id))


def ask_to_hold(shelf: Shelf, order_id: str = "SO-1") -> bool:
    request = HoldRequest.now(HoldAction.HOLD, order_id, "Anna", "a complaint")
    return ask(shelf.settings, request, lambda: True)


def test_it_is_gone_from_the_disk_before_the_row_says_so(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording_id, _other = shelf.put(), shelf.put()
    files = shelf.files(recording_id)
    syncs = Syncs(monkeypatch)
    delete(shelf, recording_id)
    assert not syncs.folders[files[0].parent] & {file.name for file in files}


def test_leaves_what_is_known_and_nothing_else(shelf: Shelf) -> None:
    recording_id, other = shelf.put(day="2026/07/03"), shelf.put(day="2026/07/04")
    before = shelf.row(recording_id)
    delete(shelf, recording_id)
    after = shelf.row(recording_id)
    assert (after.state, after.held) == ("deleted", False)
    assert after.deleted_at is not None
    assert (after.sha256, after.bytes, after.path) == (before.sha256, before.bytes, before.path)
    assert shelf.there(recording_id) == [False, False, False]
    assert shelf.there(other) == [True, True, True]
    assert shelf.state(other) == "saved"
    assert shelf.events(recording_id) == [
        ("deletion begun", "its time is over"),
        ("deleted", before.path),
    ]


def test_what_is_encoded_of_it_so_far_goes_too(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording_id, other = shelf.put(), shelf.put()
    incoming = shelf.settings.incoming_folder
    sections = [incoming / f"{each}.0000.transcode.mp4" for each in (recording_id, other)]
    for section in sections:
        section.touch()
    syncs = Syncs(monkeypatch)
    delete(shelf, recording_id)
    assert [section.exists() for section in sections] == [False, True]
    assert syncs.folders[incoming] == {sections[1].name}


def test_empty_folders_go_too(shelf: Shelf) -> None:
    first, second = shelf.put(day="2025/12/31"), shelf.put(day="2025/12/31")
    delete(shelf, first)
    assert shelf.files(first)[0].parent.is_dir()
    delete(shelf, second)
    assert not (shelf.settings.footage_folder / "2025").exists()
    assert footage.is_there(shelf.settings, shelf.footage_id)


def test_plug_pulled_before_any_step(tmp_path: Path) -> None:
    """At the next start it is finished; never is a row without a video said to be saved."""
    for pull_at in range(1, 100):
        shelf = Shelf(tmp_path / str(pull_at))
        recording_id = shelf.put(day="2025/12/31")
        with pytest.MonkeyPatch.context() as monkeypatch:
            plug = Plug(monkeypatch)
            plug.pull_at = pull_at
            try:
                delete(shelf, recording_id)
            except PlugPulledError:
                pulled = True
            else:
                pulled = False
        state, there = shelf.state(recording_id), shelf.there(recording_id)
        if state == "saved":
            assert there == [True, True, True]
        if state == "deleted":
            assert there == [False, False, False]
        shelf.catalogue.close()
        shelf.catalogue = Catalogue.open(shelf.settings.database_url, "bench-1")
        if shelf.state(recording_id) == "saved":
            delete(shelf, recording_id)
        for going in shelf.removal.begun():
            shelf.removal.finish(going)
        assert shelf.state(recording_id) == "deleted"
        assert shelf.there(recording_id) == [False, False, False]
        assert [event for event, _ in shelf.events(recording_id)] == ["deletion begun", "deleted"]
        shelf.catalogue.close()
        if not pulled:
            assert pull_at > 9, "the steps are counted"
            return
    pytest.fail("it never came to an end")


def test_plug_pulled_twice(shelf: Shelf) -> None:
    recording_id = shelf.put()
    going = begin(shelf, recording_id)
    shelf.files(recording_id)[0].unlink()
    for pull_at in (1, 2, 3):
        with pytest.MonkeyPatch.context() as monkeypatch:
            Plug(monkeypatch).pull_at = pull_at
            with pytest.raises(PlugPulledError):
                shelf.removal.finish(going)
    (again,) = shelf.removal.begun()
    shelf.removal.finish(again)
    assert shelf.state(recording_id) == "deleted"


def test_finishing_twice_changes_nothing_more(shelf: Shelf) -> None:
    recording_id = shelf.put()
    going = begin(shelf, recording_id)
    shelf.removal.finish(going)
    shelf.removal.finish(going)
    assert [event for event, _ in shelf.events(recording_id)] == ["deletion begun", "deleted"]


def test_file_that_cannot_be_deleted_leaves_the_row_open(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording_id = shelf.put()
    going = begin(shelf, recording_id)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as broken:
        broken.setattr(Path, "unlink", refuse)
        with pytest.raises(StorageError):
            shelf.removal.finish(going)
    assert shelf.state(recording_id) == "deleting"


def test_path_outside_the_footage_folder_is_never_touched(shelf: Shelf, tmp_path: Path) -> None:
    recording_id = shelf.put()
    outside = tmp_path / "state" / "precious.mp4"
    outside.write_text("precious")
    shelf.catalogue.amend(recording_id, {"path": "../precious.mp4"})
    going = begin(shelf, recording_id)
    with pytest.raises(StorageError):
        shelf.removal.finish(going)
    assert outside.exists()


class TestWhatStays:
    def test_held(self, shelf: Shelf) -> None:
        recording_id = shelf.put()
        change(shelf.catalogue, HoldRequest.now(HoldAction.HOLD, "SO-1", "Anna", "a complaint"))
        assert shelf.removal.begin(recording_id, Reason.SPACE) is None
        assert shelf.state(recording_id) == "saved"

    def test_asked_to_be_held_the_moment_before(self, shelf: Shelf) -> None:
        """The finisher has not looked since."""
        recording_id = shelf.put()
        assert ask_to_hold(shelf)
        assert shelf.removal.begin(recording_id, Reason.SPACE) is None
        assert shelf.row(recording_id).held

    def test_unfinished(self, shelf: Shelf) -> None:
        recording_id = shelf.part(shelf.put(), 2)
        assert shelf.removal.begin(recording_id, Reason.AGE) is None

    def test_deleted_already(self, shelf: Shelf) -> None:
        recording_id = shelf.put()
        delete(shelf, recording_id)
        assert shelf.removal.begin(recording_id, Reason.AGE) is None

    def test_held_after_its_deletion_was_cut_short(self, shelf: Shelf) -> None:
        recovered = shelf.put(recovered=True)
        begin(shelf, recovered)
        assert ask_to_hold(shelf)
        shelf.removal.begin(shelf.put("SO-2"), Reason.AGE)  # takes the request in
        going = next(each for each in shelf.removal.begun() if each.id == recovered)
        assert shelf.removal.can_be_kept(going)
        shelf.removal.keep(going)
        assert (shelf.state(recovered), shelf.row(recovered).held) == ("recovered", True)

    def test_held_too_late(self, shelf: Shelf) -> None:
        recording_id = shelf.put()
        begin(shelf, recording_id)
        shelf.files(recording_id)[0].unlink()
        change(shelf.catalogue, HoldRequest.now(HoldAction.HOLD, "SO-1", "Anna", "a complaint"))
        (going,) = shelf.removal.begun()
        assert not shelf.removal.can_be_kept(going)


class TestListing:
    def test_in_the_order_of_entering(self, shelf: Shelf) -> None:
        """Not by date: the second was made while the clock said 1970."""
        ids = [
            shelf.put(days_ago=3),
            shelf.put(days_ago=20_000, clock="unsynchronised"),
            shelf.put(days_ago=1),
        ]
        assert [each.id for each in shelf.removal.kept(NOW)] == ids

    def test_only_finished_ones_of_this_disk(self, shelf: Shelf) -> None:
        there, gone, elsewhere = shelf.put(), shelf.put(), shelf.put()
        shelf.part(there, 2)
        delete(shelf, gone)
        shelf.catalogue.amend(elsewhere, {"footage_id": "another-disk"})
        assert [each.id for each in shelf.removal.kept(NOW)] == [there]

    def test_ages(self, shelf: Shelf) -> None:
        shelf.put(days_ago=2)
        shelf.put(days_ago=2, clock="corrected")
        shelf.put(days_ago=2, clock="unsynchronised")
        this_boot = shelf.put(days_ago=2, clock="unsynchronised", boot_id=NOW.boot_id)
        shelf.catalogue.amend(this_boot, {"monotonic_ns": NOW.monotonic_ns - 60_000_000_000})
        ages = [each.age_seconds for each in shelf.removal.kept(NOW)]
        assert ages == [2 * 86_400, 2 * 86_400, None, 60.0]

    def test_what_is_awaited(self, shelf: Shelf) -> None:
        def awaited(recording_id: RecordingId) -> frozenset[Awaited]:
            (found,) = [each for each in shelf.removal.kept(NOW) if each.id == recording_id]
            return found.awaited

        done = shelf.put()
        deferred = shelf.put(mode=Mode.DEFER, fingerprint=False)
        assert awaited(done) == frozenset()
        assert awaited(deferred) == {Awaited.TRANSCODE, Awaited.FINGERPRINT}
        shelf.catalogue.amend(deferred, {"transcoded_from": "1" * 64, "sha256": "2" * 64})
        assert awaited(deferred) == frozenset()

    def test_size_and_hold(self, shelf: Shelf) -> None:
        recording_id = shelf.put(size=77)
        change(shelf.catalogue, HoldRequest.now(HoldAction.HOLD, "SO-1", "Anna", "a complaint"))
        assert shelf.removal.kept(NOW) == [Kept(recording_id, 77, 0.0, held=True)]


class TestSetAside:
    def test_held_in_the_last_moment_it_stays(self, shelf: Shelf) -> None:
        doomed = self._doomed(shelf)
        assert ask_to_hold(shelf)
        assert not shelf.removal.delete_spare(doomed)
        assert (shelf.settings.set_aside_folder / doomed.name).exists()

    def test_it_is_gone_from_the_disk_before_the_event_log_says_so(
        self, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        doomed, syncs = self._doomed(shelf), Syncs(monkeypatch)
        assert shelf.removal.delete_spare(doomed)
        assert doomed.name not in syncs.folders[shelf.settings.set_aside_folder]

    def _doomed(self, shelf: Shelf) -> DoomedSpare:
        path = shelf.settings.set_aside_folder / f"{shelf.put()}.1.mp4"
        path.parent.mkdir()
        path.write_bytes(b"x")
        return DoomedSpare(path.name, 1, Reason.AGE)
