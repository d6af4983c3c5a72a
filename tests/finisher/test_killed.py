"""The real finisher, killed at random instants, again and again, until all is done."""

from __future__ import annotations

import hashlib
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from recorderd.core.model import RecordingId
from recorderd.store.footage import thumbnail_path
from tests.finisher.archive import TIMES, Archive, facts_of

pytestmark = pytest.mark.slow

KILLS = 25
FINISHER = """
from recorderd import cli
from recorderd.finisher import transcode
transcode.SECTION_PICTURES = 3
cli.main()
"""
"""The real one, whose sections are so short that these short recordings have several."""


def test_each_video_is_whole_whenever_it_is_looked_at(archive: Archive, tmp_path: Path) -> None:
    """Its row may lag behind by one step, but original or new file are there, and complete."""
    config = tmp_path / "recorderd.toml"
    config.write_text(
        f'[station]\nname = "bench-1"\nstate_folder = "{archive.settings.state_folder}"\n'
        f'run_folder = "{archive.settings.run_folder}"\n[storage]\nminimum_free_gigabytes = 0.05\n'
    )
    recordings = [archive.add(after=number) for number in range(12)]
    paths = {each: archive.path(each) for each in recordings}
    originals = {each: hashlib.sha256(paths[each].read_bytes()).hexdigest() for each in recordings}
    chance = random.Random(4)
    for kill in range(KILLS + 1):
        finisher = subprocess.Popen(
            [sys.executable, "-c", FINISHER, "finish", "--config", str(config)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            if kill < KILLS:
                time.sleep(chance.uniform(0.3, 2.0))
            else:
                _wait_until_done(archive, recordings)
        finally:
            finisher.kill()
            finisher.wait()
        for each in recordings:
            content = hashlib.sha256(paths[each].read_bytes()).hexdigest()
            if content != originals[each]:
                facts = facts_of(paths[each])
                assert (facts.codec, facts.times) == ("h264", TIMES)
                assert facts.tags["transcoded_from"] == originals[each]
        archive.let_pauses_pass()
    for each in recordings:
        row = archive.row(each)
        assert (row["codec"], row["transcoded_from"]) == ("h264", originals[each])
        assert row["sha256"] == hashlib.sha256(paths[each].read_bytes()).hexdigest()
        assert row["bytes"] == paths[each].stat().st_size
        assert thumbnail_path(paths[each]).exists()
    assert archive.failures() == []
    assert not list(archive.settings.incoming_folder.iterdir())


def _wait_until_done(archive: Archive, recordings: list[RecordingId]) -> None:
    deadline = time.monotonic() + 180
    # What a killed finisher left as failed is forgotten a moment after it was done.
    while archive.failures() or any(archive.row(each)["sha256"] is None for each in recordings):
        assert time.monotonic() < deadline, archive.failures()
        archive.let_pauses_pass()
        time.sleep(0.2)
