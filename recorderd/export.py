"""`recorderd export`: one zip with all that proves an order."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from recorderd.errors import StorageError
from recorderd.proof.package import Package, checked, entries_of, gather
from recorderd.proof.zip_file import Piece, pieces_of, size_of
from recorderd.settings import Settings
from recorderd.station.clock import synchronisation
from recorderd.store.identity import boot_id
from recorderd.store.records import ClockReading
from recorderd.store.visits import write_down
from recorderd.terminal import escaped

_CHUNK_BYTES: Final = 4 << 20


def run_export(
    settings: Settings, order_id: str, output: Path | None, largest_megabytes: int | None
) -> int:
    """Write the zip; never over a file that is there. Returns 0, or 1 if a video was changed.

    With `largest_megabytes` larger videos are cut into pieces of at most that size. Raises
    EvidenceError, CatalogueError, StorageError.
    """
    package = gather(settings, order_id)
    target = output or Path(package.file_name)
    with tempfile.TemporaryDirectory(prefix="recorderd-", dir=_folder_of(target)) as folder:
        try:
            package = checked(package)
            if largest_megabytes is not None:
                # PyAV is loaded for this alone.
                from recorderd.proof.cutting import cut_large_ones

                package = cut_large_ones(
                    settings, package, largest_megabytes * 1_000_000, Path(folder)
                )
            pieces = pieces_of(entries_of(package), package.moment)
            half_written = Path(folder) / "zip"
            _write(pieces, half_written)
            _publish(half_written, target)
        except FileExistsError as error:
            raise StorageError(
                f"{target} exists already", "Name another file with --output"
            ) from error
        except OSError as error:
            raise StorageError(
                f"{error.filename or target}: {error.strerror}",
                "Check that the folder may be written to, has room, and that the videos may be "
                "read (sudo, or the account the service runs as)",
            ) from error
    _note(settings, package)
    _say(package, target, size_of(pieces))
    return 1 if package.warnings else 0


def _note(settings: Settings, package: Package) -> None:
    """Write down what leaves the house, as the staff pages do."""
    file = settings.visits_file
    try:
        reading = ClockReading(boot_id(), time.monotonic_ns(), synchronisation())
        for recording in package.recordings:
            write_down(file, "export", recording.row.id, "on the command line", reading)
        if os.geteuid() == 0:
            # What root makes, the service could not write to.
            folder = file.parent.stat()
            os.chown(file, folder.st_uid, folder.st_gid)
    except OSError as error:
        print(f"This could not be written into the event log: {error.strerror}", file=sys.stderr)


def _folder_of(target: Path) -> Path:
    folder = target.absolute().parent
    if target.exists():
        raise StorageError(f"{target} exists already", "Name another file with --output")
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise StorageError(f"{folder} cannot be written to", "Name another place with --output")
    return folder


def _publish(half_written: Path, target: Path) -> None:
    try:
        os.link(half_written, target)
    except FileExistsError:
        raise
    except OSError:
        # Sticks are often formatted as exFAT, which knows no second name for a file.
        half_written.rename(target)


def _write(pieces: Sequence[Piece], path: Path) -> None:
    with path.open("xb") as file:
        for piece in pieces:
            if isinstance(piece, bytes):
                file.write(piece)
                continue
            with piece.path.open("rb") as source:
                shutil.copyfileobj(source, file, _CHUNK_BYTES)


def _say(package: Package, target: Path, size: int) -> None:
    for recording in package.recordings:
        row = recording.row
        name = f"take {row.take}" + (f", part {row.part}" if row.part > 1 else "")
        seal = f"seal {recording.seals[-1].number}"
        if recording.pieces:
            print(f"{name}: in {len(recording.pieces)} pieces, {seal}")
        else:
            print(f"{name}: {'deleted' if recording.video is None else 'video'}, {seal}")
    for row, why in package.left_out:
        print(f"take {row.take}, part {row.part}: left out, {why}")
    for warning in package.warnings:
        print(f"NOT AS SEALED: {escaped(warning)}")
    print(f"{escaped(str(target))}: {size / 1e6:.1f} MB. To check it: unzip, python3 verify.py")
