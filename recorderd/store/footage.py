"""The folders and files of footage: names, atomic moves, space, and whether it is our disk.

Functions here may wait for the disk and may be called from any thread. They know nothing
of the catalogue.
"""

from __future__ import annotations

import errno
import os
import re
import unicodedata
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from recorderd.core.model import RecordingId
from recorderd.errors import InvariantViolationError, StorageError
from recorderd.settings import Settings

LONGEST_SLUG: Final = 40
MARKER_NAME: Final = ".recorderd-footage"
"""The file in the footage folder that says which catalogue's disk this is."""

_PROBE_NAME: Final = ".recorderd-probe"
_SHARED_FOLDER_MODE: Final = 0o2770
"""Staff pages of another user in our group must write SQLite's shared memory here; setgid
keeps what they make there in our group."""
_PRIVATE_FOLDER_MODE: Final = 0o2750
_NO_HARD_LINKS: Final = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})
"""What link(2) answers on file systems without hard links, such as exFAT."""


FOOTAGE_MODE: Final = 0o640
"""Videos and pictures: the service's group may read them, nobody else."""


@dataclass(frozen=True, slots=True)
class RecordingFiles:
    """Where a recording's files lie while they are written, and for good; all absolute."""

    incoming_video: Path
    incoming_still: Path
    video: Path
    still: Path


@dataclass(frozen=True, slots=True)
class StorageHealth:
    """How the footage disk is now; `free_bytes` is what an ordinary user may still write."""

    free_bytes: int
    problem: str | None


def slug(order_id: str) -> str:
    """Make a safe, readable part of a file name of any text at all.

    ASCII letters, digits and single dashes, 1 to 40 of them; "order" when nothing is left.
    Different orders may share one: the recording id makes file names unique.
    """
    plain = unicodedata.normalize("NFKD", order_id).encode("ascii", "ignore").decode("ascii")
    return re.sub(r"[^A-Za-z0-9]+", "-", plain).strip("-")[:LONGEST_SLUG].strip("-") or "order"


def files_for(
    settings: Settings, recording_id: RecordingId, order_id: str, started_at: datetime
) -> RecordingFiles:
    """Name the files of a recording that starts at `started_at` (aware, any time zone)."""
    if started_at.tzinfo is None:
        raise InvariantViolationError("A recording's start has no time zone")
    utc = started_at.astimezone(UTC)
    day = settings.footage_folder / f"{utc:%Y}" / f"{utc:%m}" / f"{utc:%d}"
    name = f"{slug(order_id)}_{utc:%Y%m%dT%H%M%SZ}_{recording_id}"
    return _files(settings, recording_id, day / f"{name}.mp4")


def files_at(settings: Settings, recording_id: RecordingId, stored: str) -> RecordingFiles:
    """Name the files of a recording whose video lies, or is to lie, where the catalogue says.

    The times in a row may have been corrected since its path was chosen.
    """
    return _files(settings, recording_id, settings.footage_folder / stored)


def _files(settings: Settings, recording_id: RecordingId, video: Path) -> RecordingFiles:
    return RecordingFiles(
        incoming_video=(settings.incoming_folder / f"{recording_id}.mp4").absolute(),
        incoming_still=(settings.incoming_folder / f"{recording_id}.jpg").absolute(),
        video=video.absolute(),
        still=video.with_suffix(".jpg").absolute(),
    )


def stored_path(settings: Settings, video: Path) -> str:
    """Say where a finished video lies as the catalogue does: relative to the footage folder."""
    return video.relative_to(settings.footage_folder.absolute()).as_posix()


_HALF_ENCODED_SUFFIX: Final = ".transcode.mp4"


def half_encoded_path(settings: Settings, recording_id: RecordingId, part: str = "") -> Path:
    """Where a recording's video, or a `part` of it, lies while it is being encoded anew."""
    return settings.incoming_folder / f"{recording_id}{part}{_HALF_ENCODED_SUFFIX}"


def id_of_half_encoded(name: str) -> str | None:
    """What stands for the recording's id in the name of such a file; None if it is another one.

    Such a file may hold no more than a part of the recording.
    """
    return name.partition(".")[0] if name.endswith(_HALF_ENCODED_SUFFIX) else None


def half_encoded(settings: Settings, recording_id: str = "") -> list[Path]:
    """What is there so far of videos that are being encoded anew, or of that recording's."""
    return sorted(settings.incoming_folder.glob(f"{recording_id}*{_HALF_ENCODED_SUFFIX}"))


def delete_half_encoded(settings: Settings, recording_id: RecordingId) -> None:
    """Take all of that off the disk for good. Raises StorageError; it may be done again."""
    with translated(settings.incoming_folder):
        there = half_encoded(settings, recording_id)
        for path in there:
            path.unlink(missing_ok=True)
        if there:
            _sync_folder(settings.incoming_folder)


def still_path(video: Path) -> Path:
    """Where the picture of the label lies, beside its video."""
    return video.with_suffix(".jpg")


def thumbnail_path(video: Path) -> Path:
    """Where the small picture for lists lies, beside its video."""
    return video.with_suffix(".thumb.jpg")


def sync_folder(path: Path) -> None:
    """Force a folder's entries onto the disk. Raises StorageError."""
    with translated(path):
        _sync_folder(path)


def sync_file(path: Path) -> None:
    """Force what is in a file onto the disk. Raises StorageError."""
    with translated(path):
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fdatasync(descriptor)
        finally:
            os.close(descriptor)


def publish(incoming: Path, final: Path) -> None:
    """Move a closed file to its final place so that a power cut never loses it.

    Contents onto the disk, day folders made, the new name onto the disk, and only then is
    the old name taken away: at any instant at least one name is safe. If a power cut left
    both names, calling it again finishes the move. An existing other file is never
    overwritten, and a file that is in its place already stays there. Raises StorageError.
    """
    sync_file(incoming)
    with translated(final):
        _move_into_day_folder(incoming, final)
        _sync_folder(final.parent)
        if is_in_place(incoming, final):
            return
        with suppress(FileNotFoundError):
            incoming.unlink()
        _sync_folder(incoming.parent)


def is_in_place(path: Path, final: Path) -> bool:
    """Whether both are one and the same name: taking that away would take the file away.

    Raises OSError if one of the folders is not there.
    """
    return path.name == final.name and path.parent.samefile(final.parent)


def delete(video: Path) -> None:
    """Take a video and its pictures off the disk for good; what is gone already is no error.

    Raises StorageError; then some may be left, and it may be done again.
    """
    with translated(video):
        for path in (video, still_path(video), thumbnail_path(video)):
            path.unlink(missing_ok=True)
        if video.parent.is_dir():
            _sync_folder(video.parent)


def remove_empty_folders(footage: Path, video: Path) -> None:
    """Take away those of the day, month and year folders above `video` that hold nothing."""
    for folder in list(video.parents)[:3]:
        if folder == footage or not folder.is_relative_to(footage):
            return
        try:
            folder.rmdir()
            _sync_folder(folder.parent)
        except FileNotFoundError:
            continue
        except OSError:
            return


def is_there(settings: Settings, footage_id: str) -> bool:
    """Whether this is the footage disk of the catalogue, though it may be full. Never raises."""
    return _wrong_disk(settings.footage_folder, footage_id) is None


def make_state_folder(path: Path) -> None:
    """Make the folder of the catalogue, shared with our group. Raises StorageError."""
    with translated(path):
        _make_folder(path, _SHARED_FOLDER_MODE)


def prepare(settings: Settings, footage_id: str | None) -> str:
    """Make the folders ready for recording and return the id of the footage disk.

    `footage_id` is what the catalogue knows; None for a new catalogue, which adopts the
    disk it finds. Every ability a recording needs is really tried: writing, syncing, moving
    from incoming to footage. Raises StorageError.
    """
    footage, incoming = settings.footage_folder, settings.incoming_folder
    make_state_folder(settings.state_folder)
    if footage_id is not None:
        problem = _wrong_disk(footage, footage_id)
        if problem is not None:
            raise StorageError(problem, _REMEDY_WRONG_DISK)
    for folder in (footage, incoming):
        with translated(folder):
            _make_folder(folder, _PRIVATE_FOLDER_MODE)
    _try_out(incoming, footage)
    return footage_id or _adopt_or_create_marker(footage)


def wrong_disk(settings: Settings, footage_id: str) -> StorageError | None:
    """Why the footage folder is not that of this catalogue; None if it is. Never raises."""
    problem = _wrong_disk(settings.footage_folder, footage_id)
    return None if problem is None else StorageError(problem, _REMEDY_WRONG_DISK)


def check(settings: Settings, footage_id: str) -> StorageHealth:
    """Look whether recording to the footage disk is still possible; cheap, never raises."""
    footage, incoming = settings.footage_folder, settings.incoming_folder
    try:
        status = os.statvfs(footage)
        free_bytes = status.f_bavail * status.f_frsize
        problem = _wrong_disk(footage, footage_id)
        if problem is None and not incoming.is_dir():
            problem = f"The folder {incoming} is missing"
        if problem is None and status.f_flag & os.ST_RDONLY:
            problem = f"The disk with {footage} has become read-only"
        if problem is None and status.f_bavail == 0:
            problem = f"The disk with {footage} is full"
        if problem is None and status.f_files and status.f_favail == 0:
            problem = f"The disk with {footage} has room for no more files"
        return StorageHealth(free_bytes, problem)
    except OSError as error:
        return StorageHealth(0, _storage_error(error, footage).problem)


_REMEDY_WRONG_DISK: Final = (
    "Connect and mount the disk this station records to. If the footage was really moved, put "
    f"the file {MARKER_NAME} of the old folder into the new one"
)


def _wrong_disk(footage: Path, footage_id: str) -> str | None:
    """Say why this is not the folder the catalogue was made with; None if it is."""
    try:
        found = _read_marker(footage)
    except FileNotFoundError:
        return (
            f"The footage folder {footage} is empty or missing its marker {MARKER_NAME}: "
            "the disk is not mounted"
        )
    except OSError as error:
        return _storage_error(error, footage).problem
    if found != footage_id:
        return f"The footage folder {footage} belongs to another disk than this catalogue's"
    return None


def _read_marker(footage: Path) -> str:
    with (footage / MARKER_NAME).open("rb") as marker:
        return marker.read(100).decode("ascii", "replace").strip()


def _adopt_or_create_marker(footage: Path) -> str:
    marker = footage / MARKER_NAME
    with translated(marker):
        with suppress(FileNotFoundError):
            found = _read_marker(footage)
            try:
                return str(uuid.UUID(found))
            except ValueError:
                raise StorageError(
                    f"The marker {marker} does not hold an id",
                    "If this folder is the right one, delete that file and start again",
                ) from None
        created = str(uuid.uuid4())
        draft = footage / f"{MARKER_NAME}.new"
        write_synced(draft, created.encode("ascii") + b"\n", replace=True)
        draft.rename(marker)
        _sync_folder(footage)
        return created


def _try_out(incoming: Path, footage: Path) -> None:
    """Do with a small file what every recording will need."""
    probe = footage / _PROBE_NAME
    with translated(incoming):
        write_synced(incoming / _PROBE_NAME, b"x" * 4096, replace=True)
        _sync_folder(incoming)
    with translated(footage):
        (incoming / _PROBE_NAME).rename(probe)
        _sync_folder(footage)
        probe.unlink()


def write_synced(
    path: Path, contents: bytes, *, replace: bool = False, mode: int = FOOTAGE_MODE
) -> None:
    """Write a whole small file and force it onto the disk, or leave nothing. Raises OSError.

    A file that is there is an error, unless it may be replaced.
    """
    if_there = os.O_TRUNC if replace else os.O_EXCL
    flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | if_there
    descriptor = os.open(path, flags, mode)
    try:
        rest = memoryview(contents)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
    except OSError:
        with suppress(OSError):
            path.unlink()
        raise
    finally:
        os.close(descriptor)


def _make_folder(path: Path, mode: int) -> None:
    """Make a folder and its missing parents; one that is there keeps its mode."""
    if path.is_dir():
        return
    _make_parents(path.parent)
    path.mkdir()
    # mkdir(2) obeys the umask and ignores setgid.
    path.chmod(mode)
    _sync_folder(path.parent)


def _make_parents(path: Path) -> None:
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    for folder in reversed(missing):
        folder.mkdir(mode=0o755)
        _sync_folder(folder.parent)


def _make_day_folders(final: Path) -> None:
    """Make YYYY, MM and DD, but not the footage folder: without it the disk is not there."""
    for folder in reversed(final.parents[:3]):
        try:
            folder.mkdir(mode=0o750)
        except FileExistsError:
            continue
        _sync_folder(folder.parent)


def _move_into_day_folder(incoming: Path, final: Path) -> None:
    """Retention may take away a day's folder, being empty, the moment it was made."""
    attempts = 3
    for attempt in range(attempts):
        try:
            _make_day_folders(final)
            give_second_name(incoming, final)
        except FileNotFoundError:
            if attempt == attempts - 1 or final.parent.is_dir():
                raise
        else:
            return


def give_second_name(incoming: Path, final: Path) -> None:
    """Link `final` to the file, which fails where there is one already, unlike a rename.

    Where no file can have two names it is moved. Raises OSError.
    """
    try:
        os.link(incoming, final)
    except FileExistsError:
        if not final.samefile(incoming):
            raise
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        # Without hard links there is no such test in one step. The names hold a fresh UUID,
        # so only a file copied there by hand could be met.
        if os.path.lexists(final):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(final)) from None
        incoming.rename(final)


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Say what the file system says of this path as a StorageError, with a remedy."""
    try:
        yield
    except OSError as error:
        raise _storage_error(error, path) from error


def _storage_error(error: OSError, path: Path) -> StorageError:
    match error.errno:
        case errno.ENOENT:
            named = error.filename or path
            return StorageError(
                f"{named} is missing", "Check that the disk is connected and mounted"
            )
        case errno.ENOTDIR:
            return StorageError(
                f"{path} cannot be used: it, or a folder above it, is a file",
                "Move that file away, or set storage.footage_folder to another folder",
            )
        case errno.EEXIST if path.suffix:
            return StorageError(
                f"{path} exists already and is never overwritten",
                "Move that file to another place, then restart recorderd",
            )
        case errno.EEXIST:
            return StorageError(f"{path} is a file where a folder is needed", "Move that file away")
        case errno.EROFS:
            return StorageError(
                f"The disk with {path} is read-only",
                "Mount it for writing; a disk that became read-only by itself may be failing",
            )
        case errno.ENOSPC | errno.EDQUOT:
            return StorageError(
                f"The disk with {path} is full", "Delete what is not needed from it"
            )
        case errno.EACCES | errno.EPERM:
            return StorageError(
                f"recorderd may not write to {path}",
                "Give the folder to the user the service runs as, e.g. with chown",
            )
        case errno.EXDEV:
            return StorageError(
                f"{path} is not on the same file system as the folder for incoming footage",
                "Use one disk for both; the incoming folder lies beside the footage folder",
            )
        case _:
            return StorageError(
                f"The disk with {path} fails: {error.strerror or error}",
                "Check the disk and its cable; the journal of the kernel says more (journalctl -k)",
            )
