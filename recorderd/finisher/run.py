"""`recorderd finish`: looks for finished recordings that still need something, and does it.

What is left to do is read from the catalogue each time, so that every job may be cut short at
any instant and is simply done again. What failed is tried again later, ever more seldom, and
given up in the end; that, too, stands in the catalogue.
"""

from __future__ import annotations

import os
import signal
import threading
import time
import types
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeAlias

import structlog

from recorderd.core.model import RecordingId
from recorderd.errors import CatalogueError, DeviceError, RecorderdError, StorageError
from recorderd.finisher.background import step_back
from recorderd.finisher.fingerprint import Fingerprint, fingerprint
from recorderd.finisher.housekeeping import Housekeeping
from recorderd.finisher.idle import Idleness
from recorderd.finisher.progress import PUBLISH_SECONDS, Progress, Publisher, cut_short
from recorderd.finisher.sections import take_away_unneeded
from recorderd.finisher.thumbnail import make_thumbnail
from recorderd.finisher.transcode import transcode
from recorderd.proof.sealer import Sealer
from recorderd.recovery.mending import enter, is_half_mended, mend
from recorderd.settings import Settings
from recorderd.station.clock import synchronised_offset_ns
from recorderd.station.state_lock import FINISHER_LOCK_NAME, StateLock
from recorderd.store import footage
from recorderd.store.catalogue import Catalogue
from recorderd.store.chores import Chores, Finished
from recorderd.store.footage import thumbnail_path
from recorderd.store.identity import boot_id
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
    lock = _only_one(settings, leaving)
    if lock is None:
        return 0
    finisher = Finisher(settings, leaving, cut_short(settings.finisher_file))
    publisher = Publisher(settings.finisher_file, finisher.progress)
    in_order = False
    try:
        step_back()
        with Housekeeping(settings, leaving, finisher.has_given_up, works_on=finisher.works_on):
            while not leaving.is_set():
                try:
                    finisher.look()
                except CatalogueError as error:
                    finisher.progress.hindered(str(error))
                    log.warning("the catalogue cannot be read now", problem=str(error))
                leaving.wait(LOOK_SECONDS)
        in_order = True
    finally:
        # What is left behind tells the next finisher with which recording this one died.
        publisher.close(take_away=in_order)
        lock.release()
    return 0


def try_again(settings: Settings) -> int:
    """Forget all failures, for the finisher that runs. Returns the exit code."""
    catalogue = Catalogue.open(settings.database_url, settings.station.name)
    try:
        jobs = Chores(catalogue).try_all_again()
    finally:
        catalogue.close()
    print(f"{jobs} jobs that had failed are tried again.")
    return 0


def _only_one(settings: Settings, leaving: threading.Event) -> StateLock | None:
    """Wait until no other finisher works here; None if this one shall leave before."""
    said = False
    while not leaving.is_set():
        try:
            return StateLock(settings.state_folder, name=FINISHER_LOCK_NAME, patience_seconds=0)
        except StorageError:
            if not said:
                log.warning("another recorderd finish works here: waiting until it has ended")
            said = True
        except OSError:  # The station has not made its folder yet.
            pass
        leaving.wait(LOOK_SECONDS)
    return None


def _stamper(settings: Settings) -> Stamper | None:
    if not settings.evidence.timestamp_url:
        return None
    from recorderd.proof.time_stamps import Stamper

    return Stamper(settings.evidence)


@dataclass(frozen=True, slots=True)
class Job:
    """One kind of work: what waits for it, newest first, and how it is done.

    `do` returns whether it was done, False if it was only put off. It may be cut short at any
    instant and repeated. Raises RecorderdError, OSError.
    """

    name: str
    waiting: Callable[[Chores], Iterable[Finished]]
    do: Callable[[Chores, Finished], bool]


Attempt: TypeAlias = tuple[str, RecordingId]
"""A job's name, and for which recording."""


class Finisher:
    """One thread, one job at a time, newest recording first: it is asked for soonest."""

    def __init__(
        self,
        settings: Settings,
        leaving: threading.Event,
        died_with: tuple[str, str] | None = None,
    ) -> None:
        """`died_with` is the job and the recording with which the finisher before this died."""
        self._settings = settings
        self._idleness = Idleness(settings, leaving)
        self._died_with = died_with
        self._begun = False
        self._at_work: RecordingId | None = None
        self._count_again_at = 0.0
        self._no_room: str | None = None
        self._with_thumbnail: set[RecordingId] = set()
        self._walked_to: Finished | None = None
        self._walk_is_over = False
        self._given_up: frozenset[Attempt] = frozenset()
        self._looked_at: set[RecordingId] = set()
        self._stamper = _stamper(settings)
        self.progress = Progress(settings, lambda: self._idleness.resting)
        self._jobs = (
            # First of all what may be lost: a full disk has left it torn.
            Job("mend", self._damaged, self._mend),
            Job("thumbnail", self._without_thumbnail, self._thumbnail),
            # Before the hashes: it takes that of the original on the way.
            Job("transcode", Chores.deferred, self._transcode),
            Job("fingerprint", Chores.without_fingerprint, self._fingerprint),
            Job("seal", self._unsealed, self._seal),
        )

    def has_given_up(self, job: str, recording_id: str) -> bool:
        """Whether a job failed for a recording and is not tried again. Any thread."""
        return (job, recording_id) in self._given_up

    def works_on(self, recording_id: str) -> bool:
        """Whether a job is being done with this recording. Any thread."""
        return recording_id == self._at_work

    def look(self) -> None:
        """Do all that is to be done now. Raises CatalogueError."""
        if not self._idleness.catalogue_exists():
            return
        catalogue = Catalogue.open(self._settings.database_url, self._settings.station.name)
        try:
            chores = Chores(catalogue)
            footage_id = catalogue.footage_id
            self._begin(chores)
            tried: set[Attempt] = set()
            self._no_room = None
            while not self._idleness.must_leave():
                self._take_in_visits(catalogue)
                if footage_id is None or self._disk_hinders(footage_id):
                    return
                with suppress(OSError):
                    take_away_unneeded(self._settings, catalogue)
                self._count(chores)
                found = self._next(chores, tried)
                if found is None:
                    if self._stamper is not None:
                        self._stamper.stamp(catalogue, self._busy_or_leaving)
                    return
                job, recording = found
                tried.add((job.name, recording.id))
                self._at_work = recording.id
                # Housekeeping may have begun to delete it: it looks at our word after its own.
                if job.name == "seal" or chores.is_kept(recording.id):
                    self._try(job, chores, recording)
                self._at_work = None
        finally:
            self._at_work = None
            catalogue.close()

    def _busy_or_leaving(self) -> bool:
        return self._idleness.must_leave() or self._idleness.station_is_busy()

    def _begin(self, chores: Chores) -> None:
        """Once: what the finisher before this one has left."""
        if self._begun:
            return
        if self._died_with is not None:
            job, recording_id = self._died_with
            # It may be the file that killed it: the others shall have their turn.
            self._failed(
                chores,
                job,
                RecordingId(recording_id),
                "The finisher was killed or crashed while it did this",
                "See why with: journalctl -u recorderd-finisher -e",
            )
            with suppress(StorageError):  # Its cause may lie in what was encoded so far.
                footage.delete_half_encoded(self._settings, RecordingId(recording_id))
        self._begun = True

    def _disk_hinders(self, footage_id: str) -> bool:
        """Whether the disk is not there or is full; the station says so, too."""
        problem = footage.check(self._settings, footage_id).problem
        self.progress.hindered(problem or self._no_room)
        return problem is not None

    def _next(self, chores: Chores, tried: set[Attempt]) -> tuple[Job, Finished] | None:
        """Asked for anew after each job: what was recorded meanwhile is newer."""
        for job in self._jobs:
            for recording in job.waiting(chores):
                if (job.name, recording.id) not in tried:
                    return job, recording
        return None

    def _count(self, chores: Chores) -> None:
        """What is published; while many small jobs are done, not after each."""
        now = time.monotonic()
        if now >= self._count_again_at:
            self._count_again_at = now + PUBLISH_SECONDS
            waiting = {"thumbnail": len(self._without_thumbnail(chores)), **chores.waiting()}
            self.progress.counted(waiting, *chores.failures())
            self._given_up = chores.given_up()

    def _take_in_visits(self, catalogue: Catalogue) -> None:
        if self._idleness.station_is_busy():
            return
        try:
            taken = take_in(self._settings.visits_file, catalogue)
            offset_ns = synchronised_offset_ns() if taken else None
            if offset_ns is not None:
                # Some may have been written down before the clock was set.
                catalogue.correct_clock(boot_id(), offset_ns)
        except OSError as error:
            log.warning("visits of the staff pages wait", problem=str(error))

    def _try(self, job: Job, chores: Chores, recording: Finished) -> None:
        done = False
        self.progress.begins(job.name, recording)
        try:
            done = job.do(chores, recording)
            if done:
                chores.succeeded(recording.id, job.name)
        except CatalogueError:
            raise
        except RecorderdError as error:
            self._failed(chores, job.name, recording.id, error.problem, error.remedy)
        except OSError as error:
            self._failed(
                chores,
                job.name,
                recording.id,
                f"{error.filename or recording.path}: {error.strerror or error}",
                "Check the disk, and what recorderd fsck says",
            )
        finally:
            self.progress.ends(done=done)

    def _failed(
        self, chores: Chores, job: str, recording_id: RecordingId, problem: str, remedy: str
    ) -> None:
        """It is tried again later, and given up after many tries."""
        failure = chores.failed(recording_id, job, problem, remedy, datetime.now(UTC))
        log.warning(
            f"{job} failed",
            recording_id=recording_id,
            problem=problem,
            remedy=remedy,
            tries=failure.tries,
            retry_at=str(failure.retry_at or "never"),
        )

    def _without_thumbnail(self, chores: Chores) -> list[Finished]:
        """Those among the newest; and after a start one walk through all the others."""
        page = chores.latest()
        known = {recording.id for recording in page}
        self._with_thumbnail &= known
        missing = [one for one in page if self._lacks_thumbnail(one)]
        while not missing and not self._walk_is_over and not self._idleness.must_leave():
            page = chores.latest(self._walked_to)
            missing = [one for one in page if self._lacks_thumbnail(one)]
            if not missing:
                self._walked_to = page[-1] if page else None
                self._walk_is_over = not page
        return missing

    def _lacks_thumbnail(self, recording: Finished) -> bool:
        if recording.id in self._with_thumbnail:
            return False
        there = thumbnail_path(self._settings.footage_folder / recording.path).exists()
        if there:
            self._with_thumbnail.add(recording.id)
        return not there

    def _thumbnail(self, _chores: Chores, recording: Finished) -> bool:
        make_thumbnail(self._settings.footage_folder / recording.path)
        return True

    def _damaged(self, chores: Chores) -> Iterable[Finished]:
        return [each for each in chores.damaged() if each.id not in self._looked_at]

    def _mend(self, chores: Chores, recording: Finished) -> bool:
        """Make an ordinary video of one that was cut off when the disk had no room for that."""
        path = self._settings.footage_folder / recording.path
        if not path.exists() or not self._has_room_beside(recording):
            return False
        # Whatever comes of it, one look is enough: it reads the whole file.
        self._looked_at.add(recording.id)
        row = chores.catalogue.row(recording.id)
        if row is None or not is_half_mended(path):
            return False
        mended = mend(path, self._settings)
        if mended is not None:
            done = enter(chores.catalogue, row, mended, self._settings)
            log.info("mended", order_id=recording.order_id, recording_id=recording.id, done=done)
        return True

    def _fingerprint(self, chores: Chores, recording: Finished) -> bool:
        path = self._settings.footage_folder / recording.path
        found = fingerprint(path, self._idleness.pause_while_recording, self.progress.moves)
        if found is None:
            return False
        chores.fingerprinted(recording.id, found.sha256, found.crc32)
        return True

    def _unsealed(self, chores: Chores) -> Iterable[Finished]:
        return Sealer(self._settings, chores.catalogue).waiting()

    def _seal(self, chores: Chores, recording: Finished) -> bool:
        if self._idleness.pause_while_recording():
            return False
        Sealer(self._settings, chores.catalogue).seal(recording.id)
        return True

    def _transcode(self, chores: Chores, recording: Finished) -> bool:
        def seal_original(found: Fingerprint) -> None:
            chores.fingerprinted(recording.id, found.sha256, found.crc32)
            self._try(Job("seal", self._unsealed, self._seal), chores, recording)
            self.progress.begins("transcode", recording)

        if not self._has_room_beside(recording):
            self._no_room = (
                "There is too little room on the disk to encode a recording beside its original"
            )
            return False
        try:
            done = transcode(
                recording,
                self._settings,
                self._idleness.pause_while_recording,
                seal_original,
                self.progress.moves,
                self._idleness.must_leave,
            )
        except DeviceError as error:
            raise DeviceError(
                error.problem, "The recording stays as it is and can be downloaded"
            ) from error
        if done is None:
            return False
        chores.transcoded(recording.id, done)
        log.info(
            "transcoded",
            order_id=recording.order_id,
            recording_id=recording.id,
            megabytes=round(done.bytes / 1e6, 1),
        )
        return True

    def _has_room_beside(self, recording: Finished) -> bool:
        """Whether a file of this size more would leave the room that recordings need.

        What was encoded of it so far takes a part of that already.
        """
        path = self._settings.footage_folder / recording.path
        disk = os.statvfs(path)
        there = footage.half_encoded(self._settings, recording.id)
        free = disk.f_bavail * disk.f_frsize + sum(each.stat().st_size for each in there)
        return free >= self._settings.storage.minimum_free_gigabytes * 1e9 + path.stat().st_size
