"""Time stamps of an authority, here one made of openssl."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from recorderd.export import run_export
from recorderd.finisher.run import Finisher
from recorderd.proof.findings import Kind
from recorderd.proof.time_stamps import Stamper
from recorderd.settings import EvidenceSettings
from recorderd.verify import run_verify
from tests.proof.time_authority import TimeAuthority
from tests.web.archive import Archive, video

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl here")


@pytest.fixture
def authority(tmp_path: Path) -> Iterator[TimeAuthority]:
    made = TimeAuthority(tmp_path / "tsa")
    yield made
    made.close()


@pytest.fixture
def evidence(authority: TimeAuthority) -> EvidenceSettings:
    return EvidenceSettings(timestamp_url=authority.url, timestamp_ca_file=str(authority.ca))


@pytest.fixture
def stamped(archive: Archive, evidence: EvidenceSettings) -> Archive:
    """Two sealed recordings, stamped by the real finisher."""
    archive.settings = dataclasses.replace(archive.settings, evidence=evidence)
    archive.save("SO-1", content=video(2))
    archive.save("SO-2", after=60, content=b"another")
    Finisher(archive.settings, threading.Event()).look()
    return archive


def count(archive: Archive) -> int:
    with archive.catalogue.transaction() as tables:
        return int(tables.time_stamps.select().count())


def test_each_seal_is_stamped_once(stamped: Archive, authority: TimeAuthority) -> None:
    assert (count(stamped), authority.asked) == (2, 2)
    Finisher(stamped.settings, threading.Event()).look()
    assert (count(stamped), authority.asked) == (2, 2)


def test_verify_checks_them(stamped: Archive, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert run_verify(stamped.settings, None, None, json=False) == 0
    assert "2 seals have the time stamp of an authority." in capsys.readouterr().out
    with stamped.catalogue.transaction() as tables:
        stamps = tables.time_stamps
        one, two = (each.seal for each in stamps.select().order_by(stamps.id))
        for before, after in ((one, "x"), (two, one), ("x", two)):
            stamps.update(seal=after).where(stamps.seal == before).execute()
    assert run_verify(stamped.settings, None, None, json=True) == 1
    found = json.loads(capsys.readouterr().out)["found"]
    assert [each["kind"] for each in found] == [Kind.TIME_STAMP] * 2


def test_whoever_gets_an_export_can_check_it_with_openssl(
    stamped: Archive, authority: TimeAuthority, tmp_path: Path
) -> None:
    run_export(stamped.settings, "SO-1", tmp_path / "x.zip", None)
    with zipfile.ZipFile(tmp_path / "x.zip") as packed:
        packed.extractall(tmp_path / "proof")
    readme = (tmp_path / "proof/README.txt").read_text()
    (command,) = (line for line in readme.splitlines() if "ts -verify" in line)
    arguments = command.replace("authority.pem", str(authority.ca)).split()
    done = subprocess.run(arguments, cwd=tmp_path / "proof", capture_output=True, timeout=20)
    assert done.returncode == 0, done.stderr
    assert b"OK" in done.stdout + done.stderr


@pytest.mark.parametrize(
    "mangle",
    [
        lambda _: b"",
        lambda _: b"x" * 1000,
        lambda answer: answer[:-20] + bytes([answer[-20] ^ 1]) + answer[-19:],
        lambda answer: answer[:-1],
    ],
    ids=["nothing", "rubbish", "wrong signature", "cut off"],
)
def test_a_wrong_answer_is_not_kept_and_holds_nothing_up(
    archive: Archive,
    authority: TimeAuthority,
    evidence: EvidenceSettings,
    mangle: Callable[[bytes], bytes],
) -> None:
    authority.mangle = mangle
    archive.settings = dataclasses.replace(archive.settings, evidence=evidence)
    archive.save("SO-1", content=video(2))
    finisher = Finisher(archive.settings, threading.Event())
    finisher.look()
    finisher.look()
    assert (count(archive), authority.asked) == (0, 1), "it is left alone for a while"


def test_the_answer_to_an_earlier_question_is_not_taken(
    stamped: Archive, authority: TimeAuthority, evidence: EvidenceSettings
) -> None:
    with stamped.catalogue.transaction() as tables:
        old = bytes.fromhex(tables.time_stamps.get(tables.time_stamps.id == 1).response)
        tables.time_stamps.delete().execute()
    authority.mangle = lambda _: old
    assert Stamper(evidence).stamp(stamped.catalogue, lambda: False) == 0


def test_an_authority_that_is_away_is_tried_again(
    stamped: Archive, authority: TimeAuthority, evidence: EvidenceSettings
) -> None:
    with stamped.catalogue.transaction() as tables:
        tables.time_stamps.delete().execute()
    now = 0.0
    away = dataclasses.replace(evidence, timestamp_url="http://127.0.0.1:9/")
    stamper = Stamper(away, lambda: now)
    assert stamper.stamp(stamped.catalogue, lambda: False) == 0
    stamper._settings = evidence
    assert stamper.stamp(stamped.catalogue, lambda: False) == 0
    now = 601.0
    assert stamper.stamp(stamped.catalogue, lambda: False) == 2


def test_it_leaves_when_the_station_needs_the_machine(
    stamped: Archive, evidence: EvidenceSettings
) -> None:
    with stamped.catalogue.transaction() as tables:
        tables.time_stamps.delete().execute()
    assert Stamper(evidence).stamp(stamped.catalogue, lambda: True) == 0
