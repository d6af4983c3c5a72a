"""The finisher is killed while it seals: the chain stays whole, and nothing is sealed twice."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from recorderd.proof.seals import chain_of
from recorderd.proof.verification import Verification
from tests.web.archive import Archive

pytestmark = pytest.mark.slow
RECORDINGS = 150
TRIALS = 12


def finish(archive: Archive) -> subprocess.Popen[str]:
    station = archive.settings.station
    environment = {
        "RECORDERD__STATION__STATE_FOLDER": station.state_folder,
        "RECORDERD__STATION__RUN_FOLDER": station.run_folder,
        "RECORDERD__STATION__NAME": station.name,
        "RECORDERD__LOG__FORMAT": "json",
        "DATABASE_URL": archive.settings.database_url,
    }
    return subprocess.Popen(
        [sys.executable, "-m", "recorderd", "finish"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **environment},
    )


def sealed(archive: Archive) -> list[int]:
    with archive.catalogue.transaction() as tables:
        return [seal.number for seal in chain_of(tables, "bench-1")]


def test_killed_at_any_instant(archive: Archive, tmp_path: Path) -> None:
    chance = random.Random(4)
    for number in range(RECORDINGS):
        new = archive.save(f"SO-{number}", after=number, content=b"%d" % number)
        archive.path(new).with_suffix(".jpg").unlink()
    for _ in range(TRIALS):
        process = finish(archive)
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if '"sealed"' in line or len(sealed(archive)) == RECORDINGS:
                    break
            # Not to wait for anything: any instant will do.
            time.sleep(chance.random() * 0.1)
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
        numbers = sealed(archive)
        assert numbers == list(range(1, len(numbers) + 1))
        if len(numbers) == RECORDINGS:
            break
    process = finish(archive)
    try:
        deadline = time.monotonic() + 60
        while len(sealed(archive)) < RECORDINGS and time.monotonic() < deadline:
            time.sleep(0.1)
    finally:
        process.terminate()
        process.communicate(timeout=20)
    assert sealed(archive) == list(range(1, RECORDINGS + 1))
    verification = Verification(archive.settings, archive.catalogue.footage_id)
    assert list(verification) == []
    assert (verification.waiting, verification.videos) == (0, RECORDINGS)
