"""Footage files: safe names, moves that survive the plug, and knowing our own disk."""

from __future__ import annotations

import dataclasses
import errno
import os
import re
import subprocess
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from recorderd.core.model import RecordingId
from recorderd.errors import InvariantViolationError, StorageError
from recorderd.settings import Settings, StorageSettings
from recorderd.store import footage
from recorderd.store.footage import MARKER_NAME, check, files_for, prepare, publish, slug

ID = RecordingId("0197b2d4-0000-7000-8000-000000000001")
START = datetime(2026, 7, 4, 23, 59, 58, 123456, tzinfo=UTC)


# --- names ---------------------------------------------------------------------------------


@given(st.text(st.characters(exclude_categories=()), max_size=80))
@example("../../etc/passwd")
@example("\0")
@example("\ud800\udfff")
@example("📦📦")
@example("x" * 4096)
@example("é" * 4096)
@example("-" * 50)
@example("a" * 39 + "-b")
@example("CON")
def test_any_text_becomes_one_safe_path_component(text: str) -> None:
    made = slug(text)
    assert re.fullmatch(r"[A-Za-z0-9]+(-[A-Za-z0-9]+)*", made)
    assert len(made) <= 40


def test_an_ordinary_order_id_stays_readable() -> None:
    assert slug("SO-2026/4711") == "SO-2026-4711"
    assert slug("Müller 7") == "Muller-7"
    assert slug("📦") == "order"


def test_file_names_tell_day_order_time_and_id(settings: Settings) -> None:
    files = files_for(settings, ID, "../SO 4711", START)
    folder = settings.state_folder
    name = f"SO-4711_20260704T235958Z_{ID}"
    assert files.incoming_video == folder / "incoming" / f"{ID}.mp4"
    assert files.incoming_still == folder / "incoming" / f"{ID}.jpg"
    assert files.video == folder / "footage/2026/07/04" / f"{name}.mp4"
    assert files.still == folder / "footage/2026/07/04" / f"{name}.jpg"
    assert footage.stored_path(settings, files.video) == f"2026/07/04/{name}.mp4"


def test_file_names_are_in_utc(settings: Settings) -> None:
    east = START.astimezone(timezone(timedelta(hours=9)))
    assert files_for(settings, ID, "1", east) == files_for(settings, ID, "1", START)
    with pytest.raises(InvariantViolationError):
        files_for(settings, ID, "1", START.replace(tzinfo=None))


# --- publish -------------------------------------------------------------------------------


@pytest.fixture
def ready(settings: Settings) -> Settings:
    prepare(settings, None)
    return settings


def incoming_file(settings: Settings, contents: bytes = b"video") -> tuple[Path, Path]:
    files = files_for(settings, ID, "SO-1", START)
    files.incoming_video.write_bytes(contents)
    return files.incoming_video, files.video


def test_publish_moves_the_file(ready: Settings) -> None:
    incoming, final = incoming_file(ready)
    publish(incoming, final)
    assert final.read_bytes() == b"video"
    assert not incoming.exists()
    assert final.stat().st_nlink == 1


def recorded_calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """Record the calls that change or sync the disk, by name and by the paths they concern."""
    calls: list[tuple[str, ...]] = []

    def record(name: str, on_descriptor: bool) -> None:
        real: Callable[..., Any] = getattr(os, name)

        def recording(*arguments: Any, **keywords: Any) -> Any:
            if on_descriptor:
                paths = [str(Path(f"/proc/self/fd/{arguments[0]}").readlink())]
            else:
                paths = [str(each) for each in arguments if isinstance(each, str | Path)]
            calls.append((name, *paths))
            return real(*arguments, **keywords)

        monkeypatch.setattr(os, name, recording)

    for name in ("link", "rename", "unlink", "mkdir"):
        record(name, on_descriptor=False)
    for name in ("fsync", "fdatasync"):
        record(name, on_descriptor=True)
    return calls


def test_publish_makes_contents_and_new_name_durable_before_the_old_name_goes(
    ready: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    incoming, final = incoming_file(ready)
    calls = recorded_calls(monkeypatch)
    publish(incoming, final)
    year, month, day = (ready.footage_folder / part for part in ("2026", "2026/07", "2026/07/04"))
    assert calls == [
        ("fdatasync", str(incoming)),
        ("mkdir", str(year)),
        ("fsync", str(ready.footage_folder)),
        ("mkdir", str(month)),
        ("fsync", str(year)),
        ("mkdir", str(day)),
        ("fsync", str(month)),
        ("link", str(incoming), str(final)),
        ("fsync", str(day)),
        ("unlink", str(incoming)),
        ("fsync", str(ready.incoming_folder)),
    ]


def test_day_folder_that_retention_takes_away_is_made_again(
    ready: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    incoming, final = incoming_file(ready)
    original = footage.give_second_name

    def too_late(incoming: Path, final: Path) -> None:
        monkeypatch.setattr(footage, "give_second_name", original)
        footage.remove_empty_folders(ready.footage_folder, final)
        assert not final.parent.exists()
        original(incoming, final)

    monkeypatch.setattr(footage, "give_second_name", too_late)
    publish(incoming, final)
    assert final.exists()


def test_publish_refuses_to_overwrite(ready: Settings) -> None:
    incoming, final = incoming_file(ready)
    final.parent.mkdir(parents=True)
    final.write_bytes(b"older")
    with pytest.raises(StorageError, match="never overwritten"):
        publish(incoming, final)
    assert final.read_bytes() == b"older"
    assert incoming.read_bytes() == b"video"


def test_publish_finishes_a_move_the_plug_interrupted(ready: Settings) -> None:
    incoming, final = incoming_file(ready)
    final.parent.mkdir(parents=True)
    os.link(incoming, final)
    publish(incoming, final)
    assert final.read_bytes() == b"video"
    assert not incoming.exists()


def without_hard_links(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)


@pytest.mark.parametrize("spelling", ["as it is", "through a link", "relative"])
def test_publish_leaves_a_file_that_is_in_its_place(
    ready: Settings, spelling: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A repair may ask for it: the only name must not be taken away."""
    final = files_for(ready, ID, "7", START).video
    final.parent.mkdir(parents=True)
    final.write_bytes(b"video")
    link = tmp_path / "link"
    link.symlink_to(final.parent)
    monkeypatch.chdir(final.parent)
    spelt = {"as it is": final, "through a link": link / final.name, "relative": Path(final.name)}
    publish(spelt[spelling], final)
    assert final.read_bytes() == b"video"


def test_publish_works_without_hard_links(ready: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    without_hard_links(monkeypatch)
    incoming, final = incoming_file(ready)
    calls = recorded_calls(monkeypatch)
    publish(incoming, final)
    assert final.read_bytes() == b"video"
    assert not incoming.exists()
    after_rename = calls[calls.index(("rename", str(incoming), str(final))) :]
    assert ("fsync", str(final.parent)) in after_rename
    assert ("fsync", str(incoming.parent)) in after_rename


def test_publish_refuses_to_overwrite_without_hard_links_too(
    ready: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_hard_links(monkeypatch)
    incoming, final = incoming_file(ready)
    final.parent.mkdir(parents=True)
    final.write_bytes(b"older")
    with pytest.raises(StorageError, match="never overwritten"):
        publish(incoming, final)
    assert final.read_bytes() == b"older"


def test_publish_never_makes_the_footage_folder_itself(ready: Settings, tmp_path: Path) -> None:
    incoming, _ = incoming_file(ready)
    away = tmp_path / "unmounted" / "2026" / "07" / "04" / "a.mp4"
    with pytest.raises(StorageError, match="missing"):
        publish(incoming, away)
    assert incoming.exists()
    assert not (tmp_path / "unmounted").exists()


def test_publish_says_what_is_missing(ready: Settings) -> None:
    incoming, final = incoming_file(ready)
    incoming.unlink()
    with pytest.raises(StorageError, match=re.escape(f"{incoming} is missing")):
        publish(incoming, final)


# --- prepare -------------------------------------------------------------------------------


def test_prepare_makes_everything_once(settings: Settings) -> None:
    footage_id = prepare(settings, None)
    assert uuid.UUID(footage_id)
    assert (settings.footage_folder / MARKER_NAME).read_text() == footage_id + "\n"
    assert prepare(settings, footage_id) == footage_id
    assert check(settings, footage_id).problem is None
    assert sorted(path.name for path in settings.footage_folder.iterdir()) == [MARKER_NAME]
    assert list(settings.incoming_folder.iterdir()) == []


def test_prepared_folders_are_shared_with_the_group_alone(settings: Settings) -> None:
    previous = os.umask(0o077)
    try:
        prepare(settings, None)
    finally:
        os.umask(previous)
    modes = {
        folder.name: oct(folder.stat().st_mode & 0o7777)
        for folder in (settings.state_folder, settings.footage_folder, settings.incoming_folder)
    }
    assert modes == {"state": "0o2770", "footage": "0o2750", "incoming": "0o2750"}


def test_a_new_catalogue_adopts_a_marker_that_is_there(settings: Settings) -> None:
    assert prepare(settings, None) == prepare(settings, None)


def test_a_marker_that_makes_no_sense_is_not_replaced(settings: Settings) -> None:
    prepare(settings, None)
    marker = settings.footage_folder / MARKER_NAME
    marker.write_bytes(b"\xff\xfenonsense")
    with pytest.raises(StorageError, match="does not hold an id"):
        prepare(settings, None)
    assert marker.read_bytes() == b"\xff\xfenonsense"


def test_an_unmounted_disk_is_refused_and_nothing_is_made(settings: Settings) -> None:
    footage_id = prepare(settings, None)
    (settings.footage_folder / MARKER_NAME).unlink()
    with pytest.raises(StorageError, match="not mounted"):
        prepare(settings, footage_id)
    assert list(settings.footage_folder.iterdir()) == []
    settings.footage_folder.rmdir()
    with pytest.raises(StorageError, match="not mounted"):
        prepare(settings, footage_id)
    assert not settings.footage_folder.exists()


def test_another_disk_is_refused(settings: Settings) -> None:
    prepare(settings, None)
    with pytest.raises(StorageError, match="another disk") as caught:
        prepare(settings, str(uuid.uuid4()))
    assert "mount the disk" in caught.value.remedy


@pytest.mark.parametrize("name", ["state", "state/footage", "state/incoming"])
def test_a_file_in_the_place_of_a_folder_is_named(
    settings: Settings, tmp_path: Path, name: str
) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("not a folder")
    with pytest.raises(StorageError, match="file") as caught:
        prepare(settings, None)
    assert name in caught.value.problem


def test_incoming_on_another_file_system_is_refused(settings: Settings, small_disk: Path) -> None:
    settings.state_folder.mkdir(parents=True)
    settings.incoming_folder.symlink_to(small_disk)
    with pytest.raises(StorageError, match="not on the same file system"):
        prepare(settings, None)


def fill(disk: Path) -> None:
    with pytest.raises(OSError, match="No space left"):
        (disk / "ballast").write_bytes(b"x" * 2_000_000)


def test_a_full_disk_is_refused(disk_settings: Settings, small_disk: Path) -> None:
    footage_id = prepare(disk_settings, None)
    fill(small_disk)
    with pytest.raises(StorageError, match="is full"):
        prepare(disk_settings, footage_id)
    health = check(disk_settings, footage_id)
    assert health.free_bytes == 0
    assert health.problem is not None
    assert "is full" in health.problem


def test_a_disk_that_becomes_read_only_is_noticed(
    disk_settings: Settings, small_disk: Path
) -> None:
    footage_id = prepare(disk_settings, None)
    assert check(disk_settings, footage_id).problem is None
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(StorageError, match="read-only"):
        prepare(disk_settings, footage_id)
    assert "read-only" in str(check(disk_settings, footage_id).problem)


def test_an_unmounted_disk_is_noticed(disk_settings: Settings, small_disk: Path) -> None:
    footage_id = prepare(disk_settings, None)
    subprocess.run(["umount", str(small_disk)], check=True)
    health = check(disk_settings, footage_id)
    assert health.problem is not None
    assert "missing" in health.problem
    (small_disk / "footage").mkdir()
    assert "not mounted" in str(check(disk_settings, footage_id).problem)


# --- check ---------------------------------------------------------------------------------


def test_check_measures_free_space(settings: Settings) -> None:
    footage_id = prepare(settings, None)
    status = os.statvfs(settings.footage_folder)
    expected = status.f_bavail * status.f_frsize
    assert abs(check(settings, footage_id).free_bytes - expected) < 1_000_000_000


def test_check_notices_what_is_wrong_and_never_raises(settings: Settings) -> None:
    footage_id = prepare(settings, None)
    assert "another disk" in str(check(settings, str(uuid.uuid4())).problem)
    settings.incoming_folder.rmdir()
    assert "incoming is missing" in str(check(settings, footage_id).problem)
    elsewhere = dataclasses.replace(
        settings, storage=StorageSettings(footage_folder=str(settings.state_folder / "nowhere"))
    )
    assert check(elsewhere, footage_id) == footage.StorageHealth(
        0, f"{elsewhere.footage_folder} is missing"
    )
    a_file = settings.state_folder / "file"
    a_file.write_text("")
    in_file = dataclasses.replace(settings, storage=StorageSettings(footage_folder=f"{a_file}"))
    assert "file" in str(check(in_file, footage_id).problem)


def test_check_notices_that_there_is_no_room_for_files(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    footage_id = prepare(settings, None)
    real = os.statvfs(settings.footage_folder)
    values = list(real)
    values[7] = 0
    monkeypatch.setattr(os, "statvfs", lambda _: os.statvfs_result(values))
    assert "no more files" in str(check(settings, footage_id).problem)
