"""The finisher seals each recording once, and what becomes of it with a further seal."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
import threading
from pathlib import Path
from typing import Any

import pytest

from recorderd.finisher.run import Finisher
from recorderd.proof import key, sealer
from recorderd.proof.seals import Seal, chain_of
from recorderd.proof.stand_alone import file_hash, read_seal
from recorderd.verify import run_verify
from tests.proof.intruder import intrude
from tests.web.archive import HOSTILE, Archive


def chain(archive: Archive) -> list[Seal]:
    with archive.catalogue.transaction() as tables:
        return list(chain_of(tables, "bench-1"))


def documents(archive: Archive) -> list[dict[str, Any]]:
    """The chain, each link checked by the verifier that is handed on."""
    return [read_seal(seal.statement, seal.seal, seal.signature) for seal in chain(archive)]


def change(archive: Archive, recording_id: str, **columns: object) -> None:
    with archive.catalogue.transaction() as tables:
        row = tables.recordings
        row.update(columns).where(row.id == recording_id).execute()


def test_each_recording_is_sealed_once_oldest_first(archive: Archive, finisher: Finisher) -> None:
    later = archive.save("SO-2", after=60, content=b"later")
    earlier = archive.save(HOSTILE, content=b"earlier")
    finisher.look()
    finisher.look()
    first, second = documents(archive)
    assert [first["number"], second["number"]] == [1, 2]
    assert [first["what"], second["what"]] == ["recorded", "recorded"]
    assert [first["previous"], second["previous"]] == ["", chain(archive)[0].seal]
    assert [first["recording_id"], second["recording_id"]] == [earlier.id, later.id]
    facts = first["facts"]
    assert facts["order_id"] == facts["label_text"] == HOSTILE
    assert facts["sha256"] == file_hash(archive.path(earlier))
    assert facts["still_sha256"] == file_hash(archive.path(earlier).with_suffix(".jpg"))
    assert facts["started_at"] == "2026-07-04T12:00:00.123456Z"
    seals = [seal.seal for seal in chain(archive)]
    with archive.catalogue.transaction() as tables:
        row = tables.recordings.get_by_id(later.id)
    assert [row.previous_seal, row.seal] == seals


@pytest.mark.parametrize("column", ["flagged", "held", "void"])
def test_what_staff_say_of_it_needs_no_seal(
    archive: Archive, finisher: Finisher, column: str
) -> None:
    new = archive.save("SO-1")
    finisher.look()
    change(archive, new.id, **{column: True, "sealed": None})
    finisher.look()
    assert len(chain(archive)) == 1


def test_a_corrected_clock_gets_a_further_seal(archive: Archive, finisher: Finisher) -> None:
    new = archive.begin("SO-1", clock="unsynchronised")
    archive.finish(new, b"video")
    finisher.look()
    archive.catalogue.correct_clock("boot-1", 10**18)
    finisher.look()
    finisher.look()
    first, second = documents(archive)
    assert second["what"] == "corrected"
    assert (first["facts"]["clock"], second["facts"]["clock"]) == ("unsynchronised", "corrected")
    assert first["facts"]["sha256"] == second["facts"]["sha256"]


def test_a_deletion_gets_a_further_seal(archive: Archive, finisher: Finisher) -> None:
    new = archive.save("SO-1")
    finisher.look()
    archive.path(new).unlink()
    change(archive, new.id, state="deleted", deleted_at=new.started_at)
    finisher.look()
    finisher.look()
    assert [each["what"] for each in documents(archive)] == ["recorded", "deleted"]
    assert documents(archive)[1]["facts"]["still_sha256"] is not None


def test_a_clock_that_is_set_after_a_deletion(archive: Archive, finisher: Finisher) -> None:
    """The tombstone is dated anew like any row, and `verify` finds nothing wrong with that."""
    new = archive.begin("SO-1", clock="unsynchronised")
    archive.finish(new, b"video")
    finisher.look()
    archive.path(new).unlink()
    change(archive, new.id, state="deleted", deleted_at=new.started_at)
    finisher.look()
    archive.catalogue.correct_clock("boot-1", 10**18)
    for _ in range(3):
        finisher.look()
    assert [each["what"] for each in documents(archive)] == ["recorded", "deleted", "corrected"]
    assert run_verify(archive.settings, None, None, json=True) == 0
    change(archive, new.id, take=9)
    assert run_verify(archive.settings, None, None, json=True) == 1


def test_a_change_that_is_never_lawful_is_not_sealed(archive: Archive, finisher: Finisher) -> None:
    new = archive.save("SO-1")
    finisher.look()
    change(archive, new.id, order_id="SO-2", sealed=None)
    finisher.look()
    assert len(chain(archive)) == 1


@pytest.mark.parametrize("archive", ["sqlite"], indirect=True)
def test_a_seal_is_never_changed_nor_deleted(archive: Archive, finisher: Finisher) -> None:
    """SQLite guards the table itself; to its owner a server's table lies open."""
    archive.save("SO-1")
    finisher.look()
    with sqlite3.connect(archive.settings.state_folder / "catalogue.db") as database:
        for statement in ("UPDATE seals SET number = 2", "DELETE FROM seals"):
            with pytest.raises(sqlite3.IntegrityError, match="never"):
                database.execute(statement)


def test_the_key_is_made_once_and_is_private(archive: Archive, finisher: Finisher) -> None:
    settings = archive.settings
    assert not settings.key_file.exists(), "nothing was sealed yet"
    archive.save("SO-1")
    finisher.look()
    before = settings.key_file.read_bytes()
    assert stat.S_IMODE(settings.key_file.stat().st_mode) == 0o600
    archive.save("SO-2")
    Finisher(settings, threading.Event()).look()
    assert settings.key_file.read_bytes() == before
    public = documents(archive)[0]["key"]
    assert [key.hex() for key in key.known_keys(settings)] == [public]
    assert documents(archive)[1]["key"] == public


def test_a_power_cut_while_the_key_is_made_leaves_none(
    archive: Archive, finisher: Finisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive.save("SO-1")
    with monkeypatch.context() as power:
        power.setattr(os, "replace", _cut)
        power.setattr(os, "link", _cut)
        with pytest.raises(KeyboardInterrupt):
            finisher.look()
    assert not archive.settings.key_file.exists()
    finisher.look()
    assert len(documents(archive)) == 1


def test_a_key_that_cannot_be_used_is_never_replaced(archive: Archive, finisher: Finisher) -> None:
    archive.save("SO-1")
    archive.settings.key_file.write_text("no key")
    finisher.look()
    assert archive.settings.key_file.read_text() == "no key"
    assert chain(archive) == []
    archive.settings.key_file.unlink()
    finisher.look()
    assert len(chain(archive)) == 1, "it goes on by itself"


def test_a_lost_key_begins_a_new_section(archive: Archive, finisher: Finisher) -> None:
    archive.save("SO-1")
    finisher.look()
    archive.settings.key_file.unlink()
    archive.save("SO-2")
    Finisher(archive.settings, threading.Event()).look()
    first, second = documents(archive)
    assert first["key"] != second["key"]
    known = {each.hex() for each in key.known_keys(archive.settings)}
    assert known == {first["key"], second["key"]}


def test_crash_before_the_end_was_noted(
    archive: Archive, finisher: Finisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive.save("SO-1")
    with monkeypatch.context() as power:
        power.setattr(sealer, "write_chain_end", _cut)
        with pytest.raises(KeyboardInterrupt):
            finisher.look()
    archive.save("SO-2")
    finisher.look()
    assert [each["number"] for each in documents(archive)] == [1, 2]
    noted = json.loads(archive.settings.newest_seal_file.read_text())
    assert noted == {"station": "bench-1", "number": 2, "seal": chain(archive)[1].seal}


def _cut(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_catalogue_put_back_leaves_a_gap_for_good(
    archive: Archive, finisher: Finisher, tmp_path: Path
) -> None:
    for number in range(3):
        archive.save(f"SO-{number}", after=number)
    finisher.look()
    lost = chain(archive)[2]
    intrude(archive, "DELETE FROM seals WHERE number > 1")
    archive.save("SO-9", after=9)
    finisher.look()
    assert [each["number"] for each in documents(archive)] == [1, 4]
    assert documents(archive)[1]["previous"] == lost.seal
