"""What an earlier run left behind in every state it can be left in, met by the real daemon."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import av
import pytest

from recorderd.config import load
from recorderd.core.model import Mode, RecordingId
from recorderd.settings import Settings
from recorderd.store import footage
from recorderd.store.catalogue import Catalogue, NewRecording
from recorderd.store.footage import RecordingFiles, files_at
from tests.station.clips import write_clip
from tests.station.daemon import Daemon
from tests.store import rows

pytestmark = pytest.mark.slow

PICTURES = 30
SECONDS = 29 / 15
"""From the first picture to the last."""


class Left:
    """The catalogue and the disk as an earlier run left them."""

    def __init__(self, settings: Settings, clip: Path) -> None:
        self._settings = settings
        self._clip = clip
        self._catalogue = Catalogue.open(settings.database_url, settings.station.name)
        self._catalogue.set_footage_id(footage.prepare(settings, None))
        self._outcomes: dict[RecordingId, tuple[str, str | None]] = {}

    def recording(self, outcome: str, leave: Callable[[RecordingFiles, Path], None]) -> None:
        """A row in state RECORDING, and the files that `leave` makes."""
        new = self._register(outcome, "power-lost" if outcome != "lost" else None)
        files = files_at(self._settings, new.id, new.path)
        files.video.parent.mkdir(parents=True, exist_ok=True)
        leave(files, self._clip)

    def captured(self, outcome: str, *, recovered: bool = False, there: bool = True) -> None:
        """A row in state CAPTURED: the file is in its place, unless it has vanished."""
        new = self._register(outcome, "label")
        video = self._settings.footage_folder / new.path
        if there:
            video.parent.mkdir(parents=True, exist_ok=True)
            os.link(self._clip, video)
        file = rows.captured(new, recovered=recovered, seconds=SECONDS)
        file = replace(file, frames=PICTURES, codec="mjpeg", mode=Mode.DEFER)
        self._catalogue.captured(new.id, file)

    def _register(self, outcome: str, reason: str | None) -> NewRecording:
        new = rows.new(f"SO-{len(self._outcomes)}")
        self._catalogue.register(new)
        self._outcomes[new.id] = (outcome, reason)
        return new

    def finish(self) -> dict[RecordingId, tuple[str, str | None]]:
        self._catalogue.close()
        return self._outcomes


def _in_incoming(files: RecordingFiles, clip: Path) -> None:
    files.incoming_video.write_bytes(clip.read_bytes())


def _with_two_names(files: RecordingFiles, clip: Path) -> None:
    """The power went between the new name and the removal of the old one."""
    _in_incoming(files, clip)
    os.link(files.incoming_video, files.video)


def _in_place(files: RecordingFiles, clip: Path) -> None:
    files.video.write_bytes(clip.read_bytes())


def _torn(files: RecordingFiles, clip: Path) -> None:
    whole = files.incoming_video
    with (
        av.open(str(clip)) as source,
        av.open(
            str(whole), "w", options={"movflags": "hybrid_fragmented", "frag_duration": "500000"}
        ) as copy,
    ):
        stream = copy.add_stream_from_template(source.streams.video[0], opaque=True)
        for packet in source.demux():
            if packet.size:
                packet.stream = stream
                copy.mux_one(packet)
        torn = whole.read_bytes()
    whole.write_bytes(torn[: len(torn) * 2 // 3])


def _rubbish(files: RecordingFiles, clip: Path) -> None:
    files.incoming_video.write_bytes(os.urandom(5000))


def _nothing(files: RecordingFiles, clip: Path) -> None:
    """The power went before the file was made."""


def test_everything_gets_an_end(tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    assert write_clip(clip, [(2.0, "SO-1")]) == PICTURES
    daemon = Daemon(
        tmp_path,
        {
            "camera": {"source": "simulated", "width": 640, "height": 360, "rate": 10.0},
            "recording": {"mode": "defer"},
            "labels": {"pattern": "nothing"},
        },
    )
    left = Left(load(daemon.config).settings, clip)
    left.recording("recovered", _in_incoming)
    left.recording("recovered", _with_two_names)
    left.recording("recovered", _in_place)
    left.recording("recovered", _torn)
    left.recording("lost", _rubbish)
    left.recording("lost", _nothing)
    left.captured("saved")
    left.captured("recovered", recovered=True)
    left.captured("damaged", there=False)
    expected = left.finish()

    with daemon:
        daemon.wait_until(
            lambda status: (
                status.get("counters", {}).get("recordings", 0) == 6
                and status["counters"]["failures"] == 3
                and status["phase"] == "ready"
                and not status["faults"]
            )
        )
        assert daemon.status()["recordings"] == []
    found = {row.id: (row.state, row.stop_reason) for row in daemon.rows()}
    assert found == expected
    for row in daemon.rows():
        if row.state in ("saved", "recovered"):
            with av.open(str(daemon.video(row))) as container:
                assert sum(1 for _ in container.decode(video=0)) == row.frames
    (torn,) = [row for row in daemon.rows() if row.order_id == "SO-3"]
    assert 5 <= (torn.frames or 0) < PICTURES
    assert list((daemon.state / "incoming").iterdir()) == []
    (rubbish,) = (daemon.state / "set-aside").iterdir()
    assert rubbish.stat().st_size == 5000, "what could not be read is kept for a closer look"
    problems = {row.order_id: row.problem for row in daemon.rows()}
    assert rubbish.name in (problems["SO-4"] or "")
    assert "set aside" not in (problems["SO-5"] or "")
    done = subprocess.run(
        [sys.executable, "-m", "recorderd", "fsck", "--config", str(daemon.config)],
        capture_output=True,
        text=True,
    )
    assert rubbish.name in done.stdout
    assert "video missing" in done.stdout
    assert "left over" not in done.stdout
