"""Holding an order: none of its videos is deleted until it is released, whatever the limits say.

The command line changes the catalogue itself. The web server must never hold the catalogue's
write lock, for the station's writer would have to wait for it: it writes a request into a file,
and the finisher takes that in before it deletes anything. Both do so under one lock, so that a
request that was accepted always comes before a deletion.
"""

from __future__ import annotations

import fcntl
import json
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Final

from recorderd.core.model import RecordingState
from recorderd.settings import Settings
from recorderd.store.catalogue import Catalogue
from recorderd.store.footage import sync_folder
from recorderd.store.reader import reading
from recorderd.store.schema import Tables, microseconds

LARGEST_BYTES: Final = 1_000_000
"""More requests than fit in here are refused until the finisher has taken them in."""
_LOCK_MODE: Final = 0o660


class HoldAction(StrEnum):
    """What can be asked for; also the name of its event in the log."""

    HOLD = "hold"
    RELEASE = "release"


@dataclass(frozen=True, slots=True)
class HoldRequest:
    """Somebody wants an order held or released; `who` and `reason` are words for people."""

    id: str
    at_us: int
    action: HoldAction
    order_id: str
    who: str
    reason: str

    @classmethod
    def now(cls, action: HoldAction, order_id: str, who: str, reason: str) -> HoldRequest:
        at_us = microseconds(datetime.now(UTC))
        return cls(str(uuid.uuid4()), at_us, action, order_id, who, reason)


@dataclass(frozen=True, slots=True)
class HoldOutcome:
    """How many recordings the request is about, how many it changed, how many are gone.

    One that is being deleted counts as gone. It is held all the same: if its deletion was cut
    short before its video was gone, it is kept.
    """

    there: int
    changed: int
    deleted: int


@dataclass(frozen=True, slots=True)
class HoldEntry:
    """What the event log says about who held or released an order."""

    at: datetime
    action: str
    detail: str


def change(catalogue: Catalogue, request: HoldRequest) -> HoldOutcome:
    """Hold or release all takes and parts of an order that are there. Raises CatalogueError."""
    with catalogue.transaction() as tables:
        return _apply(tables, catalogue.station, request)


def ask(settings: Settings, request: HoldRequest, still_there: Callable[[], bool]) -> bool:
    """Write a request down so that no power cut loses it; False if it comes too late.

    `still_there` looks whether the recording is not being deleted yet. Any process, any
    thread. Raises OSError, and what `still_there` raises.
    """
    file = settings.hold_requests_file
    with locked(settings):
        if not still_there():
            return False
        is_new = not file.exists()
        with file.open("a", encoding="utf-8") as opened:
            if os.fstat(opened.fileno()).st_size > LARGEST_BYTES:
                raise OSError("too many requests wait to be taken in by 'recorderd finish'")
            # Behind a line that a power cut has torn, a new one begins.
            opened.write("\n" * (not is_new) + json.dumps(asdict(request)) + "\n")
            opened.flush()
            os.fsync(opened.fileno())
        if is_new:
            sync_folder(file.parent)
    return True


def pending(settings: Settings) -> dict[str, HoldRequest]:
    """The last request about each order that is not in the catalogue yet. Raises OSError."""
    return {request.order_id: request for request in _requests(settings.hold_requests_file)}


def take_in(settings: Settings, catalogue: Catalogue) -> int:
    """Bring all requests into the catalogue; returns how many. Raises CatalogueError, OSError."""
    if not settings.hold_requests_file.exists():
        return 0
    with locked(settings):
        return take_in_locked(settings, catalogue)


def take_in_locked(settings: Settings, catalogue: Catalogue) -> int:
    """Do the same where the lock is held already, with what follows in its protection."""
    file = settings.hold_requests_file
    requests = _requests(file)
    with catalogue.transaction() as tables:
        # After a power cut the file may still be there though all of it was taken in.
        last = _last_taken_in(tables, catalogue.station)
        ids = [request.id for request in requests]
        new = requests[ids.index(last) + 1 :] if last in ids else requests
        for request in new:
            _apply(tables, catalogue.station, request)
        if new:
            key = _last_key(catalogue.station)
            tables.meta.delete().where(tables.meta.key == key).execute()
            tables.meta.insert(key=key, value=new[-1].id).execute()
    file.unlink(missing_ok=True)
    return len(new)


@contextmanager
def locked(settings: Settings) -> Iterator[None]:
    """Let nobody else ask, take in or begin a deletion meanwhile. Raises OSError."""
    path = settings.state_folder / "holds.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _LOCK_MODE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def last_entry(url: str, recording_id: str) -> HoldEntry | None:
    """Who held or released a recording last, by the event log. Raises CatalogueError."""
    with reading(url) as tables:
        event = tables.events
        found = (
            event.select()
            .where(
                event.recording_id == recording_id,
                event.event.in_([action.value for action in HoldAction]),
            )
            .order_by(event.id.desc())
            .first()
        )
        return None if found is None else HoldEntry(found.at, found.event, found.detail)


def _apply(tables: Tables, station: str, request: HoldRequest) -> HoldOutcome:
    row = tables.recordings
    of_order = list(row.select().where(row.order_id == request.order_id))
    left = [each for each in of_order if each.state != RecordingState.DELETED]
    there = [each for each in left if each.state != RecordingState.DELETING]
    held = request.action is HoldAction.HOLD
    changed = [each for each in there if each.held is not held]
    for each in left if held else [each for each in left if each.held]:
        row.update(held=held).where(row.id == each.id).execute()
        tables.events.insert(
            at=request.at_us,
            station=station,
            event=request.action.value,
            detail=f"by {request.who}: {request.reason}",
            recording_id=each.id,
        ).execute()
    return HoldOutcome(len(there), len(changed), len(of_order) - len(there))


def _last_key(station: str) -> str:
    return f"last hold request of {station}"


def _last_taken_in(tables: Tables, station: str) -> str | None:
    row = tables.meta.get_or_none(tables.meta.key == _last_key(station))
    return None if row is None else str(row.value)


def _requests(file: Path) -> list[HoldRequest]:
    """What a file holds; a line that a power cut left half written was never promised."""
    found: list[HoldRequest] = []
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return found
    for line in lines:
        try:
            fields = json.loads(line)
            request = HoldRequest(**{**fields, "action": HoldAction(fields["action"])})
        except (ValueError, TypeError, KeyError):
            continue
        texts = (request.id, request.order_id, request.who, request.reason)
        if isinstance(request.at_us, int) and all(isinstance(text, str) for text in texts):
            found.append(request)
    return found
