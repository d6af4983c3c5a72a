"""`recorderd finish`: looks for finished recordings that still need something, and does it.

What is left to do is read from the catalogue each time, so that every job may be cut short at
any instant and is simply done again.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import types
from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog

from recorderd.errors import CatalogueError, DeviceError, RecorderdError, StorageError
from recorderd.finisher.fingerprint import Fingerprint, fingerprint
from recorderd.finisher.housekeeping import Housekeeping
from recorderd.finisher.idle import Idleness
from recorderd.finisher.thumbnail import make_thumbnail
from recorderd.finisher.transcode import transcode
from recorderd.proof.sealer import Sealer
from recorderd.recovery.mending import enter, is_half_mended, mend
from recorderd.settings import Settings
from recorderd.station.state_lock import FINISHER_LOCK_NAME, StateLock
from recorderd.store import footage
from recorderd.store.catalogue import Catalogue
from recorderd.store.chores import Chores, Finished
from recorderd.store.footage import thumbnail_path
from recorderd.store.visits import take_in

if TYPE_CHECKING:
    from recorderd.proof.time_stamps import Stamper

LOOK_SECONDS = 2.0

log = structlog.get_logger("finisher")


def main(settings: Settings) -> int:
    """Work until SIGTERM or SIGINT. Returns the exit code."""
    leaving = threading.Event()

    def leave(_number: int, _frame: types.FrameType | None) -> None:
        leaving.set()

    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGINT, leave)
    _step_back()
    finisher = Finisher(settings, leaving)
    with Housekeeping(settings, leaving, finisher.has_given_up):
        while not leaving.is_set():
            try:
                finisher.look_alone()
            except CatalogueError as error:
                log.warning("the catalogue cannot be read now", problem=str(error))
            leaving.wait(LOOK_SECONDS)
    return 0


def _step_back() -> None:
    """Take only processor time that nobody else wants (sched(7), SCHED_IDLE)."""
    with contextlib.suppress(OSError, AttributeError):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def _stamper(settings: Settings) -> Stamper | None:
    if not settings.evidence.timestamp_url:
        return None
    from recorderd.proof.time_stamps import Stamper

    return Stamper(settings.evidence)


class Finisher:
    """One thread, one job at a time, newest recording first: it is asked for soonest."""

    def __init__(self, settings: Settings, leaving: threading.Event) -> None:
        self._settings = settings
        self._idleness = Idleness(settings, leaving)
        self._given_up: set[tuple[str, str]] = set()
        self._stamper = _stamper(settings)

    def has_given_up(self, job: str, recording_id: str) -> bool:
        """Whether a job failed for a recording and is not tried again. Any thread."""
        return (job, recording_id) in self._given_up

    def look_alone(self) -> None:
        """Do all that is to be done now, unless another process changes finished recordings.

        Raises CatalogueError.
        """
        try:
            lock = StateLock(
                self._settings.state_folder, name=FINISHER_LOCK_NAME, patience_seconds=0
            )
        except (StorageError, OSError):
            return  # `fsck --repair` works there, or nothing is there yet.
        try:
            self.look()
        finally:
            lock.release()

    def look(self) -> None:
        """Do all that is to be done now. Raises CatalogueError."""
        if not self._idleness.catalogue_exists():
            return
        catalogue = Catalogue.open(self._settings.database_url, self._settings.station.name)
        try:
            self._take_in_visits(catalogue)
            footage_id = catalogue.footage_id
            if footage_id is None or footage.check(self._settings, footage_id).problem:
                return  # The disk is not there or is full: the station says so.
            chores = Chores(catalogue)
            sealer = Sealer(self._settings, catalogue)
            jobs: list[
                tuple[str, Callable[[], list[Finished]], Callable[[Chores, Finished], None]]
            ] = [
                # First of all what may be lost: a full disk has left it torn.
                ("mend", chores.damaged, lambda _, each: self._mend(catalogue, each)),
                ("thumbnail", lambda: self._without_thumbnail(chores), self._thumbnail),
                # Before the hashes: it takes that of the original on the way.
                (
                    "transcode",
                    chores.deferred,
                    lambda chores, recording: self._transcode(chores, sealer, recording),
                ),
                ("fingerprint", chores.without_fingerprint, self._fingerprint),
                ("seal", sealer.waiting, lambda _, recording: self._seal(sealer, recording)),
            ]
            for name, recordings, job in jobs:
                for recording in recordings():
                    if self._idleness.must_leave():
                        return
                    self._try(name, job, chores, recording)
            if not self._idleness.must_leave() and self._stamper is not None:
                self._stamper.stamp(catalogue, self._busy_or_leaving)
        finally:
            catalogue.close()

    def _busy_or_leaving(self) -> bool:
        return self._idleness.must_leave() or self._idleness.station_is_busy()

    def _take_in_visits(self, catalogue: Catalogue) -> None:
        if self._idleness.station_is_busy():
            return
        try:
            take_in(self._settings.visits_file, catalogue)
        except OSError as error:
            log.warning("visits of the staff pages wait", problem=str(error))

    def _try(
        self,
        name: str,
        job: Callable[[Chores, Finished], None],
        chores: Chores,
        recording: Finished,
    ) -> None:
        """A job that fails for one recording is not tried again before the next start."""
        if (name, recording.id) in self._given_up:
            return
        try:
            job(chores, recording)
        except CatalogueError:
            raise
        except (RecorderdError, OSError) as error:
            self._given_up.add((name, recording.id))
            log.warning(
                f"{name} failed",
                order_id=recording.order_id,
                recording_id=recording.id,
                problem=str(error),
            )

    def _without_thumbnail(self, chores: Chores) -> list[Finished]:
        return [
            recording
            for recording in chores.latest()
            if not thumbnail_path(self._settings.footage_folder / recording.path).exists()
        ]

    def _thumbnail(self, _chores: Chores, recording: Finished) -> None:
        make_thumbnail(self._settings.footage_folder / recording.path)

    def _mend(self, catalogue: Catalogue, recording: Finished) -> None:
        """Make an ordinary video of one that was cut off when the disk had no room for that."""
        path = self._settings.footage_folder / recording.path
        if not path.exists() or not self._has_room_beside(recording):
            return
        # Whatever comes of it, one look is enough: it reads the whole file.
        self._given_up.add(("mend", recording.id))
        row = catalogue.row(recording.id)
        if row is None or not is_half_mended(path):
            return
        mended = mend(path, self._settings)
        if mended is not None:
            done = enter(catalogue, row, mended, self._settings)
            log.info("mended", order_id=recording.order_id, recording_id=recording.id, done=done)

    def _fingerprint(self, chores: Chores, recording: Finished) -> None:
        path = self._settings.footage_folder / recording.path
        found = fingerprint(path, self._idleness.pause_while_recording)
        if found is not None:
            chores.fingerprinted(recording.id, found.sha256, found.crc32)

    def _seal(self, sealer: Sealer, recording: Finished) -> None:
        if not self._idleness.pause_while_recording():
            sealer.seal(recording.id)

    def _transcode(self, chores: Chores, sealer: Sealer, recording: Finished) -> None:
        def seal_original(found: Fingerprint) -> None:
            chores.fingerprinted(recording.id, found.sha256, found.crc32)
            self._try("seal", lambda *_: self._seal(sealer, recording), chores, recording)

        if not self._has_room_beside(recording):
            return
        pause = self._idleness.pause_while_recording
        try:
            done = transcode(recording, self._settings, pause, seal_original)
        except DeviceError as error:
            raise DeviceError(
                error.problem, "The recording stays as it is and can be downloaded"
            ) from error
        if done is not None:
            chores.transcoded(recording.id, done)
            log.info(
                "transcoded",
                order_id=recording.order_id,
                recording_id=recording.id,
                megabytes=round(done.bytes / 1e6, 1),
            )

    def _has_room_beside(self, recording: Finished) -> bool:
        """Whether a file of this size more would leave the room that recordings need."""
        path = self._settings.footage_folder / recording.path
        disk = os.statvfs(path)
        needed = self._settings.storage.minimum_free_gigabytes * 1e9 + path.stat().st_size
        return disk.f_bavail * disk.f_frsize >= needed
