"""What must not wait for a long transcode: holds, retention, and the event log's old entries.

A thread of its own, with a connection of its own to the catalogue. It touches no recording
with which the finisher is at work: each of the two says what it takes before it looks at what the
other has taken.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from types import TracebackType
from typing import Final

import structlog

from recorderd.core.retention import (
    Awaited,
    Doomed,
    Kept,
    Reason,
    RetentionRules,
    free_goal,
    spares_to_delete,
    to_delete,
    urgent_below,
)
from recorderd.errors import CatalogueError, StorageError
from recorderd.finisher.idle import Idleness
from recorderd.settings import Settings
from recorderd.station import clock
from recorderd.store import ballast, footage, holds, old_events
from recorderd.store.catalogue import Catalogue
from recorderd.store.identity import boot_id
from recorderd.store.removal import Going, Moment, Removal

LOOK_SECONDS: Final = 2.0
LIST_SECONDS: Final = 60.0
"""How often all recordings are gone through while nothing is to be deleted."""
AT_ONCE: Final = 5
"""So many are deleted in one look; one, if the station records and may soon have to refuse."""
_PLANNED: Final = 50
_EVENTS_SECONDS: Final = 600.0

log = structlog.get_logger("finisher")


def moment() -> Moment:
    """Now, and whether its date can be believed."""
    right_ns, now_ns = clock.synchronised_offset_ns(), time.monotonic_ns()
    at = datetime.now(UTC) if right_ns is None else clock.utc_of(now_ns + right_ns)
    return Moment(at, right_ns is not None, boot_id(), now_ns)


def rules_of(settings: Settings) -> RetentionRules:
    """The settings in the terms of the rules."""
    retention, storage = settings.retention, settings.storage
    return RetentionRules(
        days=retention.days,
        maximum_bytes=round(retention.maximum_gigabytes * 1e9),
        free_bytes=round(retention.free_gigabytes * 1e9),
        keep_seconds=retention.keep_hours * 3600,
        needed_bytes=max(
            round(storage.minimum_free_gigabytes * 1e9), storage.reserve_megabytes * 1_000_000
        ),
    )


class Housekeeping:
    """Looks every two seconds while used as a context.

    `has_given_up` says whether a job, by its name, failed for a recording for good: what is
    never going to be done is not waited for. `works_on` says whether the finisher is just doing
    something with a recording. `now` tells the time. A bug ends the process:
    `leaving` is set, and leaving the context raises it.
    """

    def __init__(
        self,
        settings: Settings,
        leaving: threading.Event,
        has_given_up: Callable[[str, str], bool],
        now: Callable[[], Moment] = moment,
        works_on: Callable[[str], bool] = lambda _id: False,
    ) -> None:
        self._settings = settings
        self._rules = rules_of(settings)
        self._leaving = leaving
        self._has_given_up = has_given_up
        self._now = now
        self._works_on = works_on
        self._idleness = Idleness(settings, leaving)
        self._plan: list[Doomed] = []
        self._list_at = self._events_at = 0.0
        self._goal = self._urgent = 0
        self._failed: dict[str, str] = {}
        self._complaint = ""
        self._never_encoded = False
        self._bug: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="housekeeping")

    def __enter__(self) -> Housekeeping:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._leaving.set()
        self._thread.join()
        if self._bug is not None and error is None:
            raise self._bug

    def _run(self) -> None:
        try:
            while not self._leaving.is_set():
                try:
                    self.look()
                except CatalogueError as error:
                    log.warning("deleting and holding wait for the catalogue", problem=str(error))
                except (OSError, StorageError) as error:
                    log.warning("deleting and holding wait for the disk", problem=str(error))
                self._leaving.wait(LOOK_SECONDS)
        except BaseException as error:
            self._bug = error
            self._leaving.set()

    def look(self) -> None:
        """Take in what shall be held, then delete a few.

        Raises CatalogueError, StorageError, OSError.
        """
        if not self._idleness.catalogue_exists():
            return
        if self._rules.any:
            ballast.look_after(self._settings.state_folder)
        catalogue = Catalogue.open(self._settings.database_url, self._settings.station.name)
        try:
            # Also while an order is recorded: a promise was made on the staff pages.
            holds.take_in(self._settings, catalogue)
            footage_id = catalogue.footage_id
            if footage_id is not None and footage.is_there(self._settings, footage_id):
                busy = self._idleness.station_is_busy()
                removal = Removal(self._settings, catalogue, footage_id)
                if not busy:
                    self._finish_what_was_begun(removal)
                if self._rules.any:
                    self._make_room(removal, busy)
            self._prune_events(catalogue)
        finally:
            catalogue.close()

    def _finish_what_was_begun(self, removal: Removal) -> None:
        for going in removal.begun():
            if self._leaving.is_set():
                return
            if removal.can_be_kept(going):
                removal.keep(going)
                log.info("kept after all", order_id=going.order_id, recording_id=going.id)
            else:
                self._finish(removal, going)

    def _make_room(self, removal: Removal, busy: bool) -> None:
        free_bytes = self._free_bytes()
        if busy and self._list_at and free_bytes >= self._urgent:
            return
        if not self._plan:
            if time.monotonic() < self._list_at:
                return
            self._make_plan(removal, free_bytes)
        if busy and free_bytes >= self._urgent:
            return
        for _ in range(1 if busy else AT_ONCE):
            if not self._plan or self._leaving.is_set():
                return
            doomed = self._plan.pop(0)
            if doomed.reason is Reason.SPACE and self._free_bytes() >= self._goal:
                continue
            if self._works_on(doomed.id):
                continue
            going = removal.begin(doomed.id, doomed.reason)
            if going is not None and self._works_on(doomed.id):
                removal.keep(going, "the finisher has begun to work on it")
            elif going is not None:
                self._finish(removal, going, doomed)

    def _make_plan(self, removal: Removal, free_bytes: int) -> None:
        now = self._now()
        if self._rules.free_bytes > self._disk_bytes() / 2:
            self._complain_of_goal()
            self._rules = replace(self._rules, free_bytes=0)
        recordings = [self._without_given_up(each) for each in removal.kept(now)]
        self._goal = free_goal(recordings, self._rules)
        self._urgent = urgent_below(recordings, self._rules)
        free_bytes += self._delete_spares(removal, recordings, now, free_bytes)
        doomed = to_delete(
            recordings, self._rules, clock_is_set=now.clock_is_set, free_bytes=free_bytes
        )
        self._complain(recordings, doomed, free_bytes)
        self._say_what_was_never_encoded(recordings, doomed)
        self._plan = doomed[:_PLANNED]
        # What is left of a long list is gone on with at once.
        self._list_at = time.monotonic() + (0.0 if len(doomed) > _PLANNED else LIST_SECONDS)

    def _delete_spares(
        self, removal: Removal, recordings: list[Kept], now: Moment, free_bytes: int
    ) -> int:
        """First what is set aside; returns how many bytes that made free."""
        freed = 0
        spares = removal.spares(now)
        for doomed in spares_to_delete(
            spares, recordings, self._rules, clock_is_set=now.clock_is_set, free_bytes=free_bytes
        ):
            if self._leaving.is_set():
                break
            try:
                deleted = removal.delete_spare(doomed)
            except StorageError as error:
                self._complain_once(doomed.name, error, "a set-aside file", file=doomed.name)
                continue
            if deleted:
                freed += doomed.bytes
                log.info("set-aside file deleted", file=doomed.name, reason=doomed.reason.value)
        return freed

    def _complain_of_goal(self) -> None:
        log.error(
            "retention.free_gigabytes is not obeyed: it would delete nearly everything",
            problem=f"the whole disk holds {self._disk_bytes() / 1e9:.0f} GB",
            remedy="Set it to less than half of the disk, then restart recorderd finish",
        )

    def _without_given_up(self, recording: Kept) -> Kept:
        given_up = {job for job in recording.awaited if self._has_given_up(job, recording.id)}
        return replace(recording, awaited=recording.awaited - given_up) if given_up else recording

    def _complain(self, recordings: list[Kept], doomed: list[Doomed], free_bytes: int) -> None:
        """Say once that a limit cannot be kept, for all that is left is held or too young."""
        gone = sum(each.bytes for each in doomed)
        total = sum(each.bytes for each in recordings) - gone
        complaint = ""
        if self._rules.maximum_bytes and total > self._rules.maximum_bytes:
            complaint = f"all videos together take {total / 1e9:.1f} GB"
        elif free_bytes + gone < self._goal:
            complaint = f"{(free_bytes + gone) / 1e9:.1f} GB are free"
        if complaint and not self._complaint:
            held = sum(each.held for each in recordings)
            waiting = sum(not (each.held or each.may_go) for each in recordings)
            log.warning(
                "there is less room than retention shall leave, and no more may be deleted",
                problem=complaint,
                held=held,
                waiting_for_the_finisher=waiting,
                remedy="Release orders, set retention.keep_hours lower, or give it a larger disk",
            )
        self._complaint = complaint

    def _say_what_was_never_encoded(self, recordings: list[Kept], doomed: list[Doomed]) -> None:
        """Once: what was recorded comes faster than it can be encoded."""
        waiting = {each.id for each in recordings if Awaited.TRANSCODE in each.awaited}
        never = sum(each.id in waiting for each in doomed)
        if never and not self._never_encoded:
            log.warning(
                "videos go before they were encoded",
                videos=never,
                remedy="Encoding cannot keep up: let the camera compress (recording.mode copy), "
                "record a smaller picture, or keep videos longer on a larger disk",
            )
        self._never_encoded = bool(never)

    def _finish(self, removal: Removal, going: Going, doomed: Doomed | None = None) -> None:
        try:
            removal.finish(going)
        except StorageError as error:
            self._complain_once(
                going.id, error, "a video", order_id=going.order_id, recording_id=going.id
            )
        else:
            self._failed.pop(going.id, None)
            log.info(
                "deleted",
                order_id=going.order_id,
                recording_id=going.id,
                **({"reason": doomed.reason.value} if doomed else {}),
            )

    def _complain_once(self, key: str, error: StorageError, what: str, **facts: str) -> None:
        if self._failed.get(key) != str(error):
            self._failed[key] = str(error)
            log.warning(f"{what} cannot be deleted", problem=str(error), **facts)

    def _prune_events(self, catalogue: Catalogue) -> None:
        days = self._settings.retention.events_days
        if not days or time.monotonic() < self._events_at or self._idleness.station_is_busy():
            return
        now = self._now()
        more = now.clock_is_set and old_events.prune(catalogue, now.at, days)
        self._events_at = time.monotonic() + (0.0 if more else _EVENTS_SECONDS)

    def _disk_bytes(self) -> int:
        disk = os.statvfs(self._settings.footage_folder)
        return disk.f_blocks * disk.f_frsize

    def _free_bytes(self) -> int:
        disk = os.statvfs(self._settings.footage_folder)
        return disk.f_bavail * disk.f_frsize
