"""`recorderd fsck`: does every recording have its video, and every video its recording?"""

from __future__ import annotations

import json as json_format
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from recorderd.errors import StorageError
from recorderd.settings import Settings
from recorderd.station.state_lock import FINISHER_LOCK_NAME, StateLock
from recorderd.status import NotRunning, status_now
from recorderd.store.consistency import Comparison, Finding, footage_id_of
from recorderd.store.footage import wrong_disk
from recorderd.store.set_aside import SetAsideFile, all_in
from recorderd.terminal import escaped

_MOST_SHOWN: Final = 20
"""So many of one kind are listed; a lost disk would fill the screen."""
_FINISHER_PATIENCE_SECONDS: Final = 5.0
_PROGRESS_SECONDS: Final = 0.2


@dataclass(frozen=True, slots=True)
class _Answer:
    """One finding, what was done about it (None if nothing was), and what can be done else."""

    finding: Finding
    done: str | None
    remedy: str


def run_fsck(
    settings: Settings, json: bool, *, repair: bool = False, contents: bool = False
) -> int:
    """Print what does not fit together. Returns 0 if nothing was found or is left, else 1.

    Changes nothing and may run while the station records, unless it is to `repair`. With
    `contents` every file that was hashed is read. Raises CatalogueError, StorageError.
    """
    footage_id = footage_id_of(settings)
    wrong = None if footage_id is None else wrong_disk(settings, footage_id)
    if wrong is not None:
        raise wrong
    status = status_now(settings)
    being_recorded = not repair and not isinstance(status, NotRunning)
    comparison = Comparison(settings, footage_id, being_recorded, _Progress("recordings"))
    try:
        if repair:
            answers = list(_repaired(settings, comparison))
        else:
            answers = [_Answer(found, None, found.remedy) for found in comparison]
        if contents:
            from recorderd.recovery.contents import changed_contents

            changed = changed_contents(settings, footage_id, _Progress("MB", 1_000_000))
            answers += [_Answer(found, None, found.remedy) for found in changed]
    except OSError as error:
        raise StorageError(
            f"{error.filename or settings.footage_folder} cannot be used: {error.strerror}",
            "Use sudo, or the account the service runs as",
        ) from error
    spares = all_in(settings.set_aside_folder)
    if json:
        print(json_format.dumps(_document(comparison, answers, spares), indent=2))
    else:
        _print(comparison, answers)
        _print_set_aside(settings, spares)
    return 0 if all(answer.done is not None for answer in answers) else 1


def _repaired(settings: Settings, comparison: Comparison) -> Iterator[_Answer]:
    from recorderd.recovery.permissions import as_owner_of
    from recorderd.recovery.repair import Repair
    from recorderd.store.catalogue import Catalogue

    # What root makes here is to be the service's.
    with as_owner_of(settings.footage_folder), _alone(settings):
        catalogue = Catalogue.open(settings.database_url, settings.station.name, busy_seconds=5)
        try:
            for treated in Repair(settings, catalogue, comparison):
                yield _Answer(treated.finding, treated.done, treated.remedy)
        finally:
            catalogue.close()


@contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """While neither a station nor a finisher works there. Raises StorageError, OSError."""
    locks: list[StateLock] = []
    try:
        locks.append(StateLock(settings.state_folder, patience_seconds=0))
        locks.append(
            StateLock(
                settings.state_folder,
                name=FINISHER_LOCK_NAME,
                patience_seconds=_FINISHER_PATIENCE_SECONDS,
            )
        )
        yield
    finally:
        for lock in locks:
            lock.release()


class _Progress:
    """How far a long look has come, on one line of a terminal, and only there."""

    def __init__(self, unit: str, divisor: int = 1) -> None:
        self._unit, self._divisor = unit, divisor
        self._shown_at = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        finished = done >= total
        if sys.stderr.isatty() and (finished or now - self._shown_at >= _PROGRESS_SECONDS):
            self._shown_at = now
            line = f"{done // self._divisor:,} of {total // self._divisor:,} {self._unit}"
            # ECMA-48: erase to the end of the line.
            print(f"\r\x1b[K{'' if finished else line}", end="", file=sys.stderr, flush=True)


def _document(
    comparison: Comparison, answers: Sequence[_Answer], spares: Sequence[SetAsideFile]
) -> dict[str, Any]:
    return {
        "set_aside": [
            {"path": str(each.path), "recording_id": each.recording_id, "bytes": each.bytes}
            for each in spares
        ],
        "recordings": comparison.rows,
        "files": comparison.files,
        "found": [
            {
                "kind": answer.finding.kind.value,
                "path": str(answer.finding.path),
                "recording_id": answer.finding.recording_id,
                "order_id": answer.finding.order_id,
                "detail": answer.finding.detail,
                "done": answer.done,
                "remedy": None if answer.done is not None else answer.remedy,
            }
            for answer in answers
        ],
    }


def _print(comparison: Comparison, answers: Sequence[_Answer]) -> None:
    shown: Counter[str] = Counter()
    for answer in answers:
        finding = answer.finding
        shown[finding.kind] += 1
        if shown[finding.kind] <= _MOST_SHOWN:
            order = f"order {escaped(finding.order_id)}: " if finding.order_id else ""
            detail = f" ({escaped(finding.detail)})" if finding.detail else ""
            print(f"{finding.kind.value}: {order}{escaped(str(finding.path))}{detail}")
            if answer.done is not None:
                print(f"  done: {escaped(answer.done)}")
    for kind, count in shown.items():
        if count > _MOST_SHOWN:
            print(f"{kind}: and {count - _MOST_SHOWN} more (--json lists all)")
    left = [answer for answer in answers if answer.done is None]
    remedies = dict.fromkeys((answer.finding.kind.value, answer.remedy) for answer in left)
    for number, (kind, remedy) in enumerate(remedies):
        if number < _MOST_SHOWN:
            print(f"\n{kind}:\n  {escaped(remedy)}.")
    print(_total(comparison, len(answers), len(left)))


def _print_set_aside(settings: Settings, spares: Sequence[SetAsideFile]) -> None:
    """No fault: these files are kept in case somebody can get more out of them."""
    if not spares:
        return
    megabytes = sum(each.bytes for each in spares) / 1e6
    print(f"\nset aside in {escaped(str(settings.set_aside_folder))}, {megabytes:.1f} MB:")
    for each in spares[:_MOST_SHOWN]:
        print(f"  {escaped(each.path.name)}")
    if len(spares) > _MOST_SHOWN:
        print(f"  and {len(spares) - _MOST_SHOWN} more (--json lists all)")
    print(
        "  Nothing in these files plays, or a mended video took their place. They are no fault:\n"
        "  keep them for a closer look or delete them; retention takes them before any video."
    )


def _total(comparison: Comparison, found: int, left: int) -> str:
    total = f"{comparison.rows} recordings, {comparison.files} files"
    if found > left:
        rest = f"{left} are left" if left else "all is in its place now"
        return f"{total}: {found - left} repaired, {rest}"
    return f"{total}: {left} do not fit" if left else f"{total}: all is in its place"
