"""The camera's MJPEG becomes H.264: the same pictures, at the same times, or nothing changes."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path

import pytest

from recorderd.engine import probe, verify
from recorderd.engine.encoders import VideoEncoder
from recorderd.engine.probe import EncoderProof
from recorderd.errors import DeviceError, StorageError
from recorderd.finisher.transcode import transcode
from recorderd.mp4.boxes import is_closed
from recorderd.store.chores import Transcoded
from tests.finisher.archive import TAGS, TIMES, Archive, facts_of


def _go_on() -> bool:
    return False


def _transcode(archive: Archive) -> tuple[Transcoded | None, Path, bytes]:
    """What came of it, the file, and what the file was before."""
    recording_id = archive.add()
    path = archive.path(recording_id)
    before = path.read_bytes()
    return transcode(archive.finished(recording_id), archive.settings, _go_on), path, before


def test_same_pictures_at_the_same_times(archive: Archive) -> None:
    done, path, before = _transcode(archive)
    original = hashlib.sha256(before).hexdigest()
    assert done == Transcoded(path.stat().st_size, "h264", "libx264", original)
    after = facts_of(path)
    assert after.codec == "h264"
    assert after.times == TIMES
    assert after.tags.items() >= {**TAGS, "transcoded_from": original}.items()
    assert not list(archive.settings.incoming_folder.iterdir())


def test_killed_between_the_new_file_and_its_row(archive: Archive) -> None:
    """The file is H.264 already; what it was made from stands in it."""
    recording_id = archive.add()
    finished = archive.finished(recording_id)
    first = transcode(finished, archive.settings, _go_on)
    file = archive.path(recording_id).read_bytes()
    assert transcode(finished, archive.settings, _go_on) == first
    assert archive.path(recording_id).read_bytes() == file


def test_the_original_is_there_until_the_whole_new_file_takes_its_name(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording_id = archive.add()
    path = archive.path(recording_id)
    original = path.read_bytes()
    really_replace = os.replace
    seen: list[tuple[bytes, bool]] = []

    def replace(new: Path, old: Path) -> None:
        seen.append((old.read_bytes(), is_closed(new)))
        really_replace(new, old)

    monkeypatch.setattr(os, "replace", replace)
    assert transcode(archive.finished(recording_id), archive.settings, _go_on) is not None
    assert (original, True) in seen
    assert path.read_bytes() != original


def test_killed_in_the_middle(archive: Archive) -> None:
    """A half-done file of an earlier try is no obstacle."""
    recording_id = archive.add()
    half_done = archive.settings.incoming_folder / f"{recording_id}.transcode.mp4"
    half_done.write_bytes(b"half")
    assert transcode(archive.finished(recording_id), archive.settings, _go_on) is not None
    assert not half_done.exists()


@pytest.mark.parametrize("calls", [0, 1, 4])
def test_dropped_when_the_station_needs_the_machine(archive: Archive, calls: int) -> None:
    """At any moment, and nothing is left behind."""
    recording_id = archive.add()
    before = archive.path(recording_id).read_bytes()
    asked: list[int] = []

    def pause() -> bool:
        asked.append(1)
        return len(asked) > calls

    assert transcode(archive.finished(recording_id), archive.settings, pause) is None
    assert archive.path(recording_id).read_bytes() == before
    assert not list(archive.settings.incoming_folder.iterdir())
    assert [thread.name for thread in threading.enumerate() if "sync" in thread.name] == []


def test_failing_encoder_leaves_the_original(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise DeviceError("The encoder failed", "Try another")

    monkeypatch.setattr(VideoEncoder, "encode", fail)
    recording_id = archive.add()
    before = archive.path(recording_id).read_bytes()
    with pytest.raises(DeviceError, match="The encoder failed"):
        transcode(archive.finished(recording_id), archive.settings, _go_on)
    assert archive.path(recording_id).read_bytes() == before
    assert not list(archive.settings.incoming_folder.iterdir())


def test_file_that_is_not_right_is_not_taken(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify, "problem_of", lambda *_: "one picture is missing")
    recording_id = archive.add()
    before = archive.path(recording_id).read_bytes()
    with pytest.raises(DeviceError, match="one picture is missing"):
        transcode(archive.finished(recording_id), archive.settings, _go_on)
    assert archive.path(recording_id).read_bytes() == before
    assert not list(archive.settings.incoming_folder.iterdir())


def test_no_encoder(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    none = (EncoderProof("libx264", "superfast", False, False, 0.0, "it crashed"),)
    monkeypatch.setattr(probe, "probe_all", lambda *_, **__: none)
    with pytest.raises(DeviceError, match="No encoder works"):
        _transcode(archive)


def test_first_choice_is_taken_though_another_is_faster(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    variants: list[str] = []
    real = VideoEncoder.__init__

    def remember(self: VideoEncoder, container: object, kind: object, request: object) -> None:
        variants.append(kind.variants[0].name)  # type: ignore[attr-defined]
        real(self, container, kind, request)  # type: ignore[arg-type]

    monkeypatch.setattr(VideoEncoder, "__init__", remember)
    _transcode(archive)
    assert variants == ["superfast"]


def test_video_that_is_not_there(archive: Archive) -> None:
    recording_id = archive.add(there=False)
    with pytest.raises(StorageError, match="no readable picture"):
        transcode(archive.finished(recording_id), archive.settings, _go_on)
