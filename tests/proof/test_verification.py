"""`recorderd verify`: each manipulation is found and called by its name."""
# ruff: noqa: S608 - the intruder writes SQL as intruders do

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from recorderd.cli import main
from recorderd.engine.remux import remux
from recorderd.engine.salvage import facts_of
from recorderd.finisher.run import Finisher
from recorderd.proof import verification
from recorderd.proof.findings import REMEDIES, Kind
from recorderd.proof.key import StationKey
from recorderd.proof.seals import Seal, chain_of
from recorderd.proof.stand_alone import canonical, hash_of, pem_of
from recorderd.recovery.mending import Mended, enter
from recorderd.store.catalogue import NewRecording
from recorderd.verify import run_verify
from tests.mp4.growing import pictures
from tests.proof.intruder import intrude
from tests.web.archive import Archive, video

FORGER = StationKey(Ed25519PrivateKey.from_private_bytes(bytes(32)))


@pytest.fixture(autouse=True)
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "_SECOND_LOOK_SECONDS", 0.0)


@pytest.fixture
def shift(archive: Archive, finisher: Finisher) -> list[NewRecording]:
    """Four orders that were recorded and sealed."""
    saved = [
        archive.save(f"SO-{number}", after=number * 60, content=b"video %d" % number * 1000)
        for number in range(1, 5)
    ]
    finisher.look()
    return saved


def kinds(
    archive: Archive,
    capsys: pytest.CaptureFixture[str],
    order_id: str | None = None,
    key: Path | None = None,
) -> list[tuple[str, str | None]]:
    """What is found, and for which order."""
    capsys.readouterr()
    exit_code = run_verify(archive.settings, order_id, key, json=True)
    document = json.loads(capsys.readouterr().out)
    found = [(each["kind"], each["order_id"]) for each in document["found"]]
    assert all(each["remedy"] for each in document["found"])
    assert exit_code == (1 if found else 0)
    return found


def intruder(archive: Archive, *statements: str) -> None:
    for statement in statements:
        intrude(archive, statement)


def chain(archive: Archive) -> list[Seal]:
    with archive.catalogue.transaction() as tables:
        return list(chain_of(tables, "bench-1"))


def rewrite(archive: Archive, number: int, change: Callable[[dict[str, Any]], None]) -> None:
    """Forge a seal and all after it, with a key of one's own."""
    previous = None
    for seal in chain(archive)[number - 1 :]:
        document = json.loads(seal.statement)
        change(document)
        document["key"] = FORGER.public.hex()
        document["previous"] = document["previous"] if previous is None else previous
        statement = canonical(document)
        previous = hash_of(statement)
        intrude(
            archive,
            "UPDATE seals SET statement = ?, seal = ?, signature = ? WHERE number = ?",
            *(statement, previous, FORGER.sign(statement), seal.number),
        )
        intrude(archive, "UPDATE recordings SET seal = ? WHERE id = ?", previous, seal.recording_id)


def test_all_is_well(
    archive: Archive, shift: list[NewRecording], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_verify(archive.settings, None, None, json=False) == 0
    text = capsys.readouterr().out
    assert "4 recordings (0 of them deleted), 4 videos read, 4 seals: all as it was sealed" in text
    assert "seals 1 to 4 of bench-1: key " in text


def test_a_flipped_bit_in_a_video(
    archive: Archive, shift: list[NewRecording], capsys: pytest.CaptureFixture[str]
) -> None:
    path = archive.path(shift[1])
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert kinds(archive, capsys) == [(Kind.VIDEO_CHANGED, "SO-2")]
    assert kinds(archive, capsys, "SO-2") == [(Kind.VIDEO_CHANGED, "SO-2")]
    assert kinds(archive, capsys, "SO-1") == []


def test_swapped_videos(
    archive: Archive, shift: list[NewRecording], capsys: pytest.CaptureFixture[str]
) -> None:
    one, two = archive.path(shift[0]), archive.path(shift[1])
    contents = one.read_bytes(), two.read_bytes()
    one.write_bytes(contents[1])
    two.write_bytes(contents[0])
    assert kinds(archive, capsys) == [
        (Kind.VIDEO_SWAPPED, "SO-1"),
        (Kind.VIDEO_SWAPPED, "SO-2"),
    ]


def test_a_missing_video(
    archive: Archive, shift: list[NewRecording], capsys: pytest.CaptureFixture[str]
) -> None:
    archive.path(shift[0]).unlink()
    assert kinds(archive, capsys) == [(Kind.VIDEO_MISSING, "SO-1")]


def test_another_picture_of_the_label(
    archive: Archive, shift: list[NewRecording], capsys: pytest.CaptureFixture[str]
) -> None:
    archive.path(shift[0]).with_suffix(".jpg").write_bytes(b"another")
    assert kinds(archive, capsys) == [(Kind.STILL_CHANGED, "SO-1")]


def test_a_dropped_row(
    archive: Archive, shift: list[NewRecording], capsys: pytest.CaptureFixture[str]
) -> None:
    intruder(archive, f"DELETE FROM recordings WHERE id = '{shift[2].id}'")
    assert kinds(archive, capsys) == [(Kind.ROW_MISSING, "SO-3")]
    assert kinds(archive, capsys, "SO-3") == [(Kind.ROW_MISSING, "SO-3")]


def test_a_dropped_row_and_its_seal(
    archive: Archive, shift: list[NewRecording], capsys: pytest.CaptureFixture[str]
) -> None:
    intruder(
        archive,
        f"DELETE FROM recordings WHERE id = '{shift[2].id}'",
        "DELETE FROM seals WHERE number = 3",
    )
    assert kinds(archive, capsys) == [(Kind.SEAL_MISSING, None)]


def test_a_dropped_seal(
    archive: Archive, shift: list[NewRecording], capsys: pytest.CaptureFixture[str]
) -> None:
    intruder(archive, "DELETE FROM seals WHERE number = 2")
    assert kinds(archive, capsys) == [(Kind.SEAL_MISSING, None), (Kind.SEAL_MISSING, "SO-2")]


def test_a_gap_that_was_closed(
    archive: Archive, shift: list[NewRecording], capsys: pytest.CaptureFixture[str]
) -> None:
    """Numbers and links are inside of what is signed."""
    intruder(
        archive,
        f"DELETE FROM recordings WHERE id = '{shift[2].id}'",
        "DELETE FROM seals WHERE number = 3",
        "UPDATE seals SET number = 3 WHERE number = 4",
    )
    found = kinds(archive, capsys)
    assert (Kind.SEAL_CHANGED, None) in found
    assert (Kind.CHAIN_CUT, None) in found


@pytest.mark.parametrize(
    "column",
    [
        "order_id = 'SO-9'",
        "label_text = 'x'",
        "started_at = started_at + 86400000000",
        "clock = 'unsynchronised'",
        "duration_ms = 1",
        "dropped = 5",
        "station = 'bench-2'",
        "take = 7",
        "sha256 = 'aa'",
        "recovered = true",
    ],
)
def test_a_changed_fact(
    archive: Archive,
    shift: list[NewRecording],
    finisher: Finisher,
    capsys: pytest.CaptureFixture[str],
    column: str,
) -> None:
    intruder(archive, f"UPDATE recordings SET {column} WHERE id = '{shift[1].id}'")
    found = [kind for kind, _ in kinds(archive, capsys)]
    assert found == [Kind.FACT_CHANGED]
    found = [kind for kind, _ in kinds(archive, capsys, "SO-2")]
    assert found == [Kind.FACT_CHANGED], "also if the row names another order now"
    # Nor does asking for a new seal help.
    intruder(archive, f"UPDATE recordings SET sealed = NULL WHERE id = '{shift[1].id}'")
    finisher.look()
    assert [kind for kind, _ in kinds(archive, capsys)] == [Kind.FACT_CHANGED]


def test_a_changed_video_whose_row_was_changed_to_fit(
    archive: Archive,
    shift: list[NewRecording],
    finisher: Finisher,
    capsys: pytest.CaptureFixture[str],
) -> None:
    archive.path(shift[1]).write_bytes(b"another video")
    intruder(
        archive,
        f"UPDATE recordings SET sha256 = NULL, sealed = NULL, seal = NULL, bytes = 13,"
        f" transcoded_from = sha256 WHERE id = '{shift[1].id}'",
    )
    Finisher(archive.settings, threading.Event()).look()
    assert Kind.FACT_CHANGED in [kind for kind, _ in kinds(archive, capsys)]


@pytest.mark.parametrize("column", ["statement", "seal", "signature"])
def test_a_changed_seal(
    archive: Archive,
    shift: list[NewRecording],
    capsys: pytest.CaptureFixture[str],
    column: str,
) -> None:
    intruder(
        archive,
        f"UPDATE seals SET {column} = replace({column}, substr({column}, 9, 4), 'beef') "
        "WHERE number = 2",
    )
    assert (Kind.SEAL_CHANGED, None) in kinds(archive, capsys)


def test_a_seal_that_was_signed_anew_with_a_forged_key(
    archive: Archive, shift: list[NewRecording], capsys: pytest.CaptureFixture[str]
) -> None:
    def change(document: dict[str, Any]) -> None:
        if document["number"] == 2:
            document["facts"]["order_id"] = "SO-9"

    intruder(archive, f"UPDATE recordings SET order_id = 'SO-9' WHERE id = '{shift[1].id}'")
    rewrite(archive, 2, change)
    found = kinds(archive, capsys)
    assert (Kind.FORGED, None) in found
    assert (Kind.CHAIN_BROKEN, None) in found, "the end is known to be another"


def test_a_chain_that_was_wholly_forged_is_known_by_the_key_that_was_kept_elsewhere(
    archive: Archive,
    shift: list[NewRecording],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    """With all files of the station changed, only what lies elsewhere can tell."""
    office = tmp_path / "office.pem"
    office.write_bytes(archive.settings.public_key_file.read_bytes())
    assert kinds(archive, capsys, key=office) == []
    rewrite(archive, 1, lambda _: None)
    archive.settings.public_key_file.write_text(pem_of(FORGER.public))
    end = {"station": "bench-1", "number": 4, "seal": chain(archive)[-1].seal}
    archive.settings.newest_seal_file.write_text(json.dumps(end))
    assert kinds(archive, capsys) == [], "this is what cannot be known here"
    assert kinds(archive, capsys, key=office) == [(Kind.FORGED, None)]


def test_an_end_that_was_cut_off(
    archive: Archive,
    shift: list[NewRecording],
    finisher: Finisher,
    capsys: pytest.CaptureFixture[str],
) -> None:
    intruder(
        archive,
        "DELETE FROM seals WHERE number > 2",
        f"DELETE FROM recordings WHERE id IN ('{shift[2].id}', '{shift[3].id}')",
    )
    assert kinds(archive, capsys) == [(Kind.CHAIN_CUT, None)]
    archive.save("SO-5", after=500)
    finisher.look()
    assert kinds(archive, capsys) == [(Kind.SEAL_MISSING, None)], "for good"


def test_a_seal_that_is_there_twice(
    archive: Archive, shift: list[NewRecording], capsys: pytest.CaptureFixture[str]
) -> None:
    intruder(
        archive,
        "DROP INDEX seals_number",
        "INSERT INTO seals (station, number, recording_id, statement, seal, signature) "
        "SELECT station, number, recording_id, statement, seal, signature FROM seals "
        "WHERE number = 2",
    )
    assert kinds(archive, capsys)[0] == (Kind.SEAL_CHANGED, None)


def test_a_forged_seal_that_lacks_words(
    archive: Archive, shift: list[NewRecording], capsys: pytest.CaptureFixture[str]
) -> None:
    def change(document: dict[str, Any]) -> None:
        del document["what"]

    rewrite(archive, 4, change)
    assert (Kind.SEAL_CHANGED, None) in kinds(archive, capsys)


def test_a_key_that_was_lost_is_named_but_no_manipulation(
    archive: Archive, shift: list[NewRecording], capsys: pytest.CaptureFixture[str]
) -> None:
    archive.settings.key_file.unlink()
    archive.save("SO-5", after=500)
    Finisher(archive.settings, threading.Event()).look()
    assert run_verify(archive.settings, None, None, json=False) == 0
    text = capsys.readouterr().out
    assert "seals 1 to 4 of bench-1: key " in text
    assert "seals 5 to 5 of bench-1: key " in text
    assert "The key changed." in text


def test_public_keys_that_are_gone(
    archive: Archive, shift: list[NewRecording], capsys: pytest.CaptureFixture[str]
) -> None:
    archive.settings.public_key_file.unlink()
    assert kinds(archive, capsys) == [(Kind.FORGED, None)]


def test_what_waits_for_its_seal_is_counted(
    archive: Archive, shift: list[NewRecording], capsys: pytest.CaptureFixture[str]
) -> None:
    archive.save("SO-5", after=500)
    assert run_verify(archive.settings, None, None, json=False) == 0
    assert "1 recordings wait for their seal" in capsys.readouterr().out


def test_a_repair_after_the_seal_is_named_and_not_sealed(
    archive: Archive, finisher: Finisher, capsys: pytest.CaptureFixture[str]
) -> None:
    """A video that was cut off and mended later is not what was sealed, and that is said."""
    new = archive.save("SO-1", content=video(1))
    finisher.look()
    content = archive.path(new).read_bytes()
    archive.path(new).write_bytes(mended(content, archive.settings.state_folder))
    row = archive.catalogue.row(new.id)
    assert row is not None
    facts = facts_of(archive.path(new))
    assert facts is not None
    size = archive.path(new).stat().st_size
    enter(archive.catalogue, row, Mended(facts, size, None), archive.settings)
    for _ in range(2):
        finisher.look()
        assert [kind for kind, _ in kinds(archive, capsys)] == [
            Kind.FACT_CHANGED,
            Kind.VIDEO_CHANGED,
        ]
    run_verify(archive.settings, None, None, json=False)
    told = capsys.readouterr().out
    assert told.count("it was repaired by recorderd on ") == 2
    assert "after it had been sealed" in told
    assert len(chain(archive)) == 1


def mended(content: bytes, folder: Path) -> bytes:
    """What fsck makes of the pictures that still play: the first few."""
    cut = folder / "cut.mp4"
    cut.write_bytes(content)
    remux(cut, folder / "mended.mp4", without=[moment for moment, _, _ in pictures(cut)[5:]])
    return (folder / "mended.mp4").read_bytes()


def test_a_deleted_recording_is_well(
    archive: Archive,
    shift: list[NewRecording],
    finisher: Finisher,
    capsys: pytest.CaptureFixture[str],
) -> None:
    archive.path(shift[0]).unlink()
    intruder(
        archive,
        f"UPDATE recordings SET state = 'deleted', deleted_at = 1 WHERE id = '{shift[0].id}'",
    )
    assert kinds(archive, capsys) == []
    finisher.look()
    assert kinds(archive, capsys) == []


def test_the_command(
    archive: Archive,
    shift: list[NewRecording],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings = archive.settings.station
    monkeypatch.setenv("RECORDERD__STATION__STATE_FOLDER", settings.state_folder)
    monkeypatch.setenv("RECORDERD__STATION__RUN_FOLDER", settings.run_folder)
    monkeypatch.setenv("RECORDERD__STATION__NAME", settings.name)
    monkeypatch.setenv("DATABASE_URL", archive.settings.database_url)
    assert main(["verify", "--all"]) == 0
    assert main(["verify", "SO-1", "--key", str(archive.settings.public_key_file)]) == 0
    assert main(["verify", "SO-77"]) == 1
    assert "No recording of the order 'SO-77'" in capsys.readouterr().out
    assert main(["verify", "--all", "--key", "/no/such/file"]) == 1
    with pytest.raises(SystemExit):
        main(["verify"])
    archive.path(shift[0]).write_bytes(b"x")
    capsys.readouterr()
    assert main(["verify", "SO-1"]) == 1
    text = capsys.readouterr().out
    assert "video changed: order SO-1: " in text
    assert REMEDIES[Kind.VIDEO_CHANGED] in text
