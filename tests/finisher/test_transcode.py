"""The camera's MJPEG becomes H.264: the same pictures, at the same times, or nothing changes."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import threading
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import av
import pytest

from recorderd.engine import probe, salvage, verify
from recorderd.engine.encoders import VideoEncoder
from recorderd.engine.probe import EncoderProof
from recorderd.engine.remux import remux
from recorderd.errors import DeviceError, StorageError
from recorderd.finisher import comparison
from recorderd.finisher import transcode as module
from recorderd.finisher.comparison import Written, compare
from recorderd.finisher.fingerprint import unwatched
from recorderd.finisher.sections import SECTION_TAG, join
from recorderd.finisher.transcode import transcode
from recorderd.mp4.boxes import is_closed
from recorderd.store.chores import Chores, Finished, Transcoded
from tests.engine.pictures import X264_BESIDE
from tests.finisher.archive import TAGS, TIMES, Archive, facts_of, write_mjpeg
from tests.syncs import Syncs


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
    after = facts_of(path)
    assert done == Transcoded(
        path.stat().st_size, len(TIMES), "h264", "libx264", after.width, after.height, original
    )
    assert after.codec == "h264"
    assert after.times == TIMES
    assert after.tags.items() >= {**TAGS, "transcoded_from": original}.items()
    assert not list(archive.settings.incoming_folder.iterdir())


def test_pictures_are_made_as_small_as_asked_for(archive: Archive) -> None:
    before = facts_of(archive.path(archive.add()))
    half = f"{before.width // 2}x{before.height // 2}"
    recording = dataclasses.replace(archive.settings.recording, size=half)
    archive.settings = dataclasses.replace(archive.settings, recording=recording)
    done, path, _ = _transcode(archive)
    after = facts_of(path)
    assert done is not None
    assert (done.width, done.height) == (after.width, after.height)
    assert f"{after.width}x{after.height}" == half
    assert after.times == TIMES


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
        if old == path:
            seen.append((old.read_bytes(), is_closed(new)))
        really_replace(new, old)

    monkeypatch.setattr(os, "replace", replace)
    assert transcode(archive.finished(recording_id), archive.settings, _go_on) is not None
    assert seen == [(original, True)]
    assert path.read_bytes() != original


def test_new_file_is_on_the_disk_and_looked_through_before_the_original_goes(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut keeps only what was synced: at any instant that is one whole video."""
    recording_id = archive.add()
    path, incoming = archive.path(recording_id), archive.settings.incoming_folder
    done: list[str] = []

    def noting(module: object, name: str, what: Callable[..., str]) -> None:
        really = getattr(module, name)

        def note(*arguments: Any) -> Any:
            done.append(what(*arguments))
            return really(*arguments)

        monkeypatch.setattr(module, name, note)

    noting(os, "fdatasync", lambda file: f"sync {Path(f'/proc/self/fd/{file}').readlink().name}")
    noting(verify, "problem_of", lambda file, *_: f"verify {file.name}")
    noting(comparison, "_found", lambda _, file: f"compare {file.name}")
    noting(os, "replace", lambda new, _: f"replace by {new.name}")
    noting(module, "sync_folder", lambda folder: f"sync {folder.name}")
    assert transcode(archive.finished(recording_id), archive.settings, _go_on) is not None
    new = f"{recording_id}.transcode.mp4"
    first = done.index(f"verify {new}") - 1
    assert done[first:] == [
        f"sync {new}",
        f"verify {new}",
        f"compare {new}",
        f"replace by {new}",
        f"sync {path.parent.name}",
        f"sync {incoming.name}",
    ]


@pytest.mark.parametrize(
    ("times", "problem"),
    [
        (TIMES[:-1], "8 were written"),
        ([*TIMES[:3], TIMES[3] + 450, *TIMES[4:]], "picture 4 is missing or not at its time"),
    ],
)
def test_picture_that_is_missing_or_late_is_found(
    archive: Archive, times: list[int], problem: str
) -> None:
    """The new file as an encoder might have spoilt it: the very same but for one picture."""
    recording_id = archive.add()
    path = archive.path(recording_id)
    spoilt = path.with_name("spoilt.mp4")
    write_mjpeg(spoilt, times)
    with pytest.raises(DeviceError, match=problem):
        compare(path, spoilt, _whole(path), _nothing, unwatched)
    compare(path, path, _whole(path), _nothing, unwatched)


def _nothing() -> None:
    pass


def _whole(path: Path) -> Written:
    facts = salvage.facts_of(path)
    assert facts is not None
    return Written(facts.frames, 0, facts.duration_ns)


def _damage(path: Path, number: int) -> None:
    """The second half of a camera's picture did not come."""
    with av.open(str(path)) as container:
        packet = [packet for packet in container.demux(video=0) if packet.size][number]
    assert packet.pos is not None
    half = packet.size // 2
    with path.open("r+b") as file:
        file.seek(packet.pos + half)
        file.write(bytes(packet.size - half))


def test_damaged_picture_of_the_camera_is_left_out_and_counted(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody can see it anyway, and the others shall be seen."""
    monkeypatch.setattr(module, "_MOST_LEFT_OUT", 0.2)
    recording_id = archive.add()
    path = archive.path(recording_id)
    _damage(path, 3)
    with archive.catalogue.transaction() as tables:
        tables.recordings.update(frames=len(TIMES), dropped=1).execute()
    done = transcode(archive.finished(recording_id), archive.settings, _go_on)
    assert done is not None
    assert done.frames == len(TIMES) - 1
    assert facts_of(path).times == [*TIMES[:3], *TIMES[4:]]
    for _ in range(2):
        Chores(archive.catalogue).transcoded(recording_id, done)
        with archive.catalogue.reading() as tables:
            row = tables.recordings.get_by_id(recording_id)
        assert (row.frames, row.dropped) == (len(TIMES) - 1, 2)


@pytest.mark.parametrize(
    ("damaged", "problem"),
    [((3,), "1 of 8 pictures are damaged"), ((0,), "is missing or not at its time")],
)
def test_original_with_much_damage_is_kept(
    archive: Archive, damaged: tuple[int, ...], problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if damaged == (0,):
        monkeypatch.setattr(module, "_MOST_LEFT_OUT", 0.2)
    recording_id = archive.add()
    path = archive.path(recording_id)
    for number in damaged:
        _damage(path, number)
    before = path.read_bytes()
    with pytest.raises(DeviceError, match=problem):
        transcode(archive.finished(recording_id), archive.settings, _go_on)
    assert path.read_bytes() == before


@pytest.mark.parametrize("damage", [b"\0", b"\x65", b"\xa7"])
def test_picture_that_does_not_decode_is_found(
    archive: Archive, damage: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The quick check decodes the first and the last picture only."""
    recording_id = archive.add()
    path = archive.path(recording_id)
    original = path.with_name("original.mp4")
    original.write_bytes(path.read_bytes())
    whole = _whole(path)
    assert transcode(archive.finished(recording_id), archive.settings, _go_on) is not None
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    place, size = packets[4].pos, packets[4].size
    assert place is not None
    with path.open("r+b") as file:
        file.seek(place + 5)
        file.write(damage * (size - 5))
    monkeypatch.setattr(verify, "problem_of", lambda *_: None)
    with pytest.raises(DeviceError, match="is missing or not at its time"):
        compare(original, path, whole, _nothing, unwatched)


def test_per_cent_rises_to_the_end(archive: Archive) -> None:
    told: list[float] = []
    recording_id = archive.add()
    assert transcode(archive.finished(recording_id), archive.settings, _go_on, moves=told.append)
    assert told == sorted(told)
    assert told[0] == 0.0
    assert 0 < told[1] < 0.1
    assert told[-1] == 1.0
    assert len(told) >= 2 * len(TIMES)


def test_killed_in_the_middle(archive: Archive) -> None:
    """A half-done file of an earlier try is no obstacle."""
    recording_id = archive.add()
    half_done = archive.settings.incoming_folder / f"{recording_id}.transcode.mp4"
    half_done.write_bytes(b"half")
    assert transcode(archive.finished(recording_id), archive.settings, _go_on) is not None
    assert not half_done.exists()


def _after(calls: int) -> Callable[[], bool]:
    """Asks to drop the work when it was asked so often."""
    left = iter(range(calls))
    return lambda: next(left, None) is None


def _encoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows with each picture that is given to an encoder from now on."""
    pictures: list[int] = []
    real = VideoEncoder.encode

    def count(self: VideoEncoder, frame: av.VideoFrame, pts: int) -> Any:
        pictures.append(pts)
        return real(self, frame, pts)

    monkeypatch.setattr(VideoEncoder, "encode", count)
    return pictures


@pytest.mark.parametrize("calls", range(2 + 3 * len(TIMES)))
def test_dropped_at_any_moment_it_goes_on_after_the_last_finished_section(
    archive: Archive, calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SECTION_PICTURES", 3)
    recording_id = archive.add()
    path, incoming = archive.path(recording_id), archive.settings.incoming_folder
    original = path.read_bytes()
    assert transcode(archive.finished(recording_id), archive.settings, _after(calls)) is None
    assert path.read_bytes() == original
    # The first two are asked for before any picture, and then one before each.
    finished = 3 if calls >= 2 + len(TIMES) else max(0, calls - 2) // 3
    left = sorted(file.name for file in incoming.iterdir())
    assert left == [f"{recording_id}.{number:04}.transcode.mp4" for number in range(finished)]
    assert [thread.name for thread in threading.enumerate() if "sync" in thread.name] == []

    encoded = _encoded(monkeypatch)
    done = transcode(archive.finished(recording_id), archive.settings, _go_on)
    assert done is not None
    assert len(encoded) == max(0, len(TIMES) - 3 * len(left))
    assert facts_of(path).times == TIMES
    assert done.original_sha256 == hashlib.sha256(original).hexdigest()
    assert not list(incoming.iterdir())


def _interrupted(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> tuple[Finished, Path]:
    """A recording of which all three sections are finished, and the folder with these."""
    monkeypatch.setattr(module, "SECTION_PICTURES", 3)
    finished = archive.finished(archive.add())
    assert transcode(finished, archive.settings, _after(2 + len(TIMES))) is None
    return finished, archive.settings.incoming_folder


def _remade(
    section: Path, tags: dict[str, str] | None = None, without: Collection[int] = ()
) -> None:
    """The same section with other tags, or without the pictures at these times."""
    other = section.with_name("other.mp4")
    remux(section, other, tags=tags, without=without)
    other.replace(section)


def test_section_that_lacks_a_picture_is_made_anew(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would pass for one that the camera had damaged."""
    monkeypatch.setattr(module, "_MOST_LEFT_OUT", 0.5)
    finished, incoming = _interrupted(archive, monkeypatch)
    section = incoming / f"{finished.id}.0001.transcode.mp4"
    _remade(section, without={_contents(section)[0][-1][0]})
    done = transcode(finished, archive.settings, _go_on)
    assert done is not None
    assert done.frames == len(TIMES)
    assert facts_of(archive.path(finished.id)).times == TIMES


def test_finished_sections_outlive_a_power_cut(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    syncs = Syncs(monkeypatch)
    _, incoming = _interrupted(archive, monkeypatch)
    sections = sorted(incoming.iterdir())
    assert len(sections) == 3
    assert all(syncs.has_all_of(section) for section in sections)
    assert syncs.folders[incoming] == {section.name for section in sections}


def test_sections_of_another_length_are_not_taken(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished, incoming = _interrupted(archive, monkeypatch)
    monkeypatch.setattr(module, "SECTION_PICTURES", 4)
    encoded = _encoded(monkeypatch)
    assert transcode(finished, archive.settings, _go_on) is not None
    assert len(encoded) == len(TIMES)
    assert facts_of(archive.path(finished.id)).times == TIMES
    assert not list(incoming.iterdir())


def test_section_in_which_all_is_damaged_does_not_keep_the_others(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MOST_LEFT_OUT", 0.2)
    monkeypatch.setattr(module, "SECTION_PICTURES", len(TIMES) - 1)
    recording_id = archive.add()
    path = archive.path(recording_id)
    _damage(path, len(TIMES) - 1)
    done = transcode(archive.finished(recording_id), archive.settings, _go_on)
    assert done is not None
    assert facts_of(path).times == TIMES[:-1]


def test_what_is_finished_is_skipped_only_while_the_station_does_not_need_the_machine(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished, _ = _interrupted(archive, monkeypatch)
    asked: list[int] = []
    before_joining: list[int] = []

    def pause() -> bool:
        asked.append(1)
        return False

    def noted_join(*arguments: Any) -> None:
        before_joining.append(len(asked))
        join(*arguments)

    monkeypatch.setattr(module, "join", noted_join)
    assert transcode(finished, archive.settings, pause) is not None
    assert before_joining == [2 + len(TIMES)]


def test_sections_of_an_encoder_that_has_changed_are_not_joined(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same by name, but with other headers, as after an upgrade: all is made anew."""
    finished, incoming = _interrupted(archive, monkeypatch)
    section = incoming / f"{finished.id}.0001.transcode.mp4"
    taken = {path: path.read_bytes() for path in incoming.iterdir()}
    tags = _contents(section)[2]
    ultrafast = EncoderProof("libx264", "ultrafast", True, True, 90.0, "")
    with monkeypatch.context() as patched:
        patched.setattr(probe, "probe_all", lambda *_, **__: (ultrafast,))
        assert transcode(finished, archive.settings, _after(2 + len(TIMES))) is None
    _remade(section, {SECTION_TAG: tags[SECTION_TAG]})
    for path, content in taken.items():
        if path != section:
            path.write_bytes(content)
    before = archive.path(finished.id).read_bytes()
    with pytest.raises(DeviceError, match="has changed"):
        transcode(finished, archive.settings, _go_on)
    assert archive.path(finished.id).read_bytes() == before
    assert not list(incoming.iterdir())
    assert transcode(finished, archive.settings, _go_on) is not None


def _contents(path: Path) -> tuple[list[tuple[int, int]], list[tuple[int, bytes]], dict[str, str]]:
    """Times and durations of the pictures, the texts of the clock with theirs, and the tags."""
    with av.open(str(path)) as container:
        texts = []
        pictures = []
        for packet in container.demux():
            if packet.size and packet.pts is not None and packet.time_base is not None:
                moment = round(packet.pts * packet.time_base * 90_000)
                if packet.stream.type == "video":
                    length = round((packet.duration or 0) * packet.time_base * 90_000)
                    pictures.append((moment, length))
                else:
                    texts.append((moment, bytes(packet)))
        stream = container.streams.video[0].codec_context
        colours = {"range": str(stream.color_range), "matrix": str(stream.colorspace)}
        return pictures, texts, {**container.metadata, **colours}


@pytest.mark.parametrize("pictures", [1, 3, 4])
def test_a_video_of_several_sections_is_like_one_of_a_single_section(
    archive: Archive, pictures: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = archive.add()
    whole = archive.path(first)
    original = whole.read_bytes()
    assert transcode(archive.finished(first), archive.settings, _go_on) is not None
    monkeypatch.setattr(module, "SECTION_PICTURES", pictures)
    second = archive.add(after=9.0)
    other = archive.path(second)
    other.write_bytes(original)
    started_at = archive.finished(first).started_at
    finished = dataclasses.replace(archive.finished(second), started_at=started_at)
    assert transcode(finished, archive.settings, _go_on) is not None
    assert _contents(other) == _contents(whole)


@pytest.mark.parametrize(
    ("damage", "made_anew"), [("cut off", 3), ("zeros", 3), ("of another quality", len(TIMES))]
)
def test_section_that_is_not_right_is_made_anew(
    archive: Archive, damage: str, made_anew: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SECTION_PICTURES", 3)
    recording_id = archive.add()
    finished = archive.finished(recording_id)
    assert transcode(finished, archive.settings, _after(2 + len(TIMES))) is None
    section = archive.settings.incoming_folder / f"{recording_id}.0000.transcode.mp4"
    content = section.read_bytes()
    if damage == "of another quality":
        recording = dataclasses.replace(archive.settings.recording, quality=30)
        archive.settings = dataclasses.replace(archive.settings, recording=recording)
    else:
        section.write_bytes(content[:200] if damage == "cut off" else bytes(len(content)))
    encoded = _encoded(monkeypatch)
    assert transcode(finished, archive.settings, _go_on) is not None
    assert len(encoded) == made_anew
    assert facts_of(archive.path(recording_id)).times == TIMES


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
    with pytest.raises(StorageError, match="No such file"):
        transcode(archive.finished(recording_id), archive.settings, _go_on)


def test_a_program_beside_the_finisher_can_do_it_too(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    proof = EncoderProof("libx264", "ultrafast", True, True, 90.0, "")
    monkeypatch.setattr(probe, "probe_all", lambda *_, **__: (proof,))
    monkeypatch.setattr(module, "kind_named", lambda _name: X264_BESIDE)
    done, path, _ = _transcode(archive)
    assert done is not None
    assert (done.codec, done.frames, done.encoder) == ("h264", len(TIMES), "libx264")
    assert facts_of(path).times == TIMES


def test_that_no_encoder_worked_once_is_not_believed_the_next_time(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    proof = EncoderProof("libx264", "ultrafast", True, True, 90.0, "")
    monkeypatch.setattr(
        probe,
        "probe_all",
        lambda *_, anew, **__: (proof if anew else dataclasses.replace(proof, proved=False),),
    )
    done, _, _ = _transcode(archive)
    assert done is not None
    monkeypatch.setattr(
        probe, "probe_all", lambda *_, **__: (dataclasses.replace(proof, proved=False),)
    )
    with pytest.raises(DeviceError, match="No encoder works"):
        _transcode(archive)
