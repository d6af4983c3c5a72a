"""`recorderd fsck`: does every recording have its video, and every video its recording?"""

from __future__ import annotations

import json as json_format
import time
from collections import Counter
from typing import Any, Final

from recorderd.errors import StorageError
from recorderd.settings import Settings
from recorderd.status import NotRunning, read_status
from recorderd.store.consistency import REMEDIES, Comparison, Finding, footage_id_of
from recorderd.store.footage import check
from recorderd.store.identity import boot_id
from recorderd.terminal import escaped

_MOST_SHOWN: Final = 20
"""So many of one kind are listed; a lost disk would fill the screen."""


def run_fsck(settings: Settings, json: bool) -> int:
    """Print what does not fit together. Returns 0 if nothing was found, else 1.

    Changes nothing, and may run while the station records. Raises CatalogueError, StorageError.
    """
    footage_id = footage_id_of(settings)
    if footage_id is not None:
        problem = check(settings, footage_id).problem
        if problem is not None:
            raise StorageError(problem, "Connect the disk, mount it, and try again")
    status = read_status(settings.status_file, time.monotonic_ns(), boot_id())
    comparison = Comparison(settings, footage_id, not isinstance(status, NotRunning))
    try:
        found = list(comparison)
    except OSError as error:
        raise StorageError(
            f"{error.filename or settings.footage_folder} cannot be looked at: {error.strerror}",
            "Use sudo, or the account the service runs as",
        ) from error
    if json:
        print(json_format.dumps(_document(comparison, found), indent=2))
    else:
        _print(comparison, found)
    return 1 if found else 0


def _document(comparison: Comparison, found: list[Finding]) -> dict[str, Any]:
    return {
        "recordings": comparison.rows,
        "files": comparison.files,
        "found": [
            {
                "kind": finding.kind.value,
                "path": str(finding.path),
                "recording_id": finding.recording_id,
                "order_id": finding.order_id,
                "detail": finding.detail,
                "remedy": finding.remedy,
            }
            for finding in found
        ],
    }


def _print(comparison: Comparison, found: list[Finding]) -> None:
    shown: Counter[str] = Counter()
    for finding in found:
        shown[finding.kind] += 1
        if shown[finding.kind] <= _MOST_SHOWN:
            order = f"order {escaped(finding.order_id)}: " if finding.order_id else ""
            detail = f" ({finding.detail})" if finding.detail else ""
            print(f"{finding.kind.value}: {order}{escaped(str(finding.path))}{detail}")
    for kind, count in shown.items():
        if count > _MOST_SHOWN:
            print(f"{kind}: and {count - _MOST_SHOWN} more (--json lists all)")
    for kind, remedy in REMEDIES.items():
        if shown[kind]:
            print(f"\n{kind.value}:\n  {remedy}.")
    total = f"{comparison.rows} recordings, {comparison.files} files"
    print(f"{total}: {len(found)} do not fit" if found else f"{total}: all is in its place")
