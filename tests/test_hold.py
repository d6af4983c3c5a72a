"""`recorderd hold` and `recorderd release`, as somebody at the keyboard sees them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from recorderd.cli import main
from recorderd.core.retention import Reason
from recorderd.store.holds import HoldAction, HoldRequest, ask
from tests.store.shelf import Shelf


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shelf]:
    made = Shelf(tmp_path)
    monkeypatch.setenv("RECORDERD__STATION__STATE_FOLDER", made.settings.station.state_folder)
    monkeypatch.setenv("RECORDERD__STATION__NAME", "bench-1")
    monkeypatch.setenv("SUDO_USER", "anna")
    yield made
    made.catalogue.close()


def test_hold_and_release(shelf: Shelf, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = shelf.put("SO-7"), shelf.put("SO-7")
    assert main(["hold", "SO-7", "--reason", "the box was empty"]) == 0
    assert capsys.readouterr().out == (
        "Order SO-7 is held: 2 recordings, and what is recorded of it later.\n"
    )
    assert shelf.row(first).held
    assert shelf.row(second).held
    event, detail = shelf.events(first)[-1]
    assert event == "hold"
    assert detail.startswith("by anna on ")
    assert detail.endswith(": the box was empty")
    assert main(["release", "SO-7", "--reason", "settled"]) == 0
    assert "is released: 2 recordings" in capsys.readouterr().out
    assert not shelf.row(first).held
    assert main(["release", "SO-7", "--reason", "settled"]) == 0
    assert capsys.readouterr().out == "Order SO-7 was not held: 2 recordings.\n"


def test_order_without_recordings(shelf: Shelf, capsys: pytest.CaptureFixture[str]) -> None:
    shelf.put("SO-7")
    assert main(["hold", "SO", "--reason", "a complaint"]) == 1
    assert "has no recordings" in capsys.readouterr().out


def test_order_whose_videos_are_gone(shelf: Shelf, capsys: pytest.CaptureFixture[str]) -> None:
    going = shelf.removal.begin(shelf.put("SO-7"), Reason.AGE)
    assert going is not None
    shelf.removal.finish(going)
    assert main(["hold", "SO-7", "--reason", "a complaint"]) == 1
    assert "are deleted already (1)" in capsys.readouterr().out


def test_what_is_being_deleted_is_not_promised(
    shelf: Shelf, capsys: pytest.CaptureFixture[str]
) -> None:
    shelf.removal.begin(shelf.put("SO-7"), Reason.AGE)
    assert main(["hold", "SO-7", "--reason", "a complaint"]) == 1
    shelf.put("SO-7")
    assert main(["hold", "SO-7", "--reason", "a complaint"]) == 0
    assert (
        "is held: 1 recording, and what is recorded of it later. 1 more are deleted already."
        in (capsys.readouterr().out)
    )


def test_what_the_staff_pages_asked_for_comes_first(shelf: Shelf) -> None:
    recording_id = shelf.put("SO-7")
    request = HoldRequest.now(HoldAction.HOLD, "SO-7", "Ben", "a question")
    assert ask(shelf.settings, request, lambda: True)
    assert main(["release", "SO-7", "--reason", "settled"]) == 0
    assert not shelf.row(recording_id).held
    assert [event for event, _ in shelf.events(recording_id)] == ["hold", "release"]


@pytest.mark.parametrize("arguments", [["SO-7"], ["SO-7", "--reason", "  "], ["--reason", "x"]])
def test_order_and_reason_are_needed(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["hold", *arguments])
    assert left.value.code == 2


def test_no_catalogue_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RECORDERD__STATION__STATE_FOLDER", str(tmp_path / "nowhere"))
    assert main(["hold", "SO-7", "--reason", "a complaint"]) == 1
    assert "There is no catalogue" in capsys.readouterr().err
    assert not (tmp_path / "nowhere").exists()
