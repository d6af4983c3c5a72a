"""`recorderd verify`: is everything still as it was when this station sealed it?"""

from __future__ import annotations

import json as json_format
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from recorderd.errors import RecorderdError, StorageError
from recorderd.proof.findings import Finding
from recorderd.proof.stand_alone import Broken, key_in_pem
from recorderd.proof.verification import Verification
from recorderd.settings import Settings
from recorderd.store.consistency import footage_id_of
from recorderd.store.footage import check
from recorderd.terminal import escaped


def run_verify(settings: Settings, order_id: str | None, key_file: Path | None, json: bool) -> int:
    """Print what is not as it was sealed. Returns 0 if nothing was found, else 1.

    `order_id` None: all recordings on this station's disk. With `key_file` only seals by this
    public key are believed. Changes nothing, may run while the station records. Raises
    CatalogueError, StorageError.
    """
    key = None if key_file is None else _key(key_file)
    footage_id = footage_id_of(settings)
    if footage_id is not None:
        problem = check(settings, footage_id).problem
        if problem is not None:
            raise StorageError(problem, "Connect the disk, mount it, and try again")
    verification = Verification(settings, footage_id, order_id, key)
    if sys.stderr.isatty():
        verification.progress = _show
    found = list(verification)
    if json:
        print(json_format.dumps(_document(verification, found), indent=2))
    else:
        _print(verification, found)
    nothing_there = order_id is not None and not verification.recordings
    return 1 if found or nothing_there else 0


def _key(file: Path) -> bytes:
    try:
        return key_in_pem(file.read_text("ascii", "replace"))
    except OSError as error:
        raise StorageError(f"{file} cannot be read: {error.strerror}", "Check --key") from error
    except Broken as error:
        raise RecorderdError(f"{file} cannot be used: {error}", "Check --key") from error


def _show(order_id: str, number: int, count: int) -> None:
    print(f"\r\x1b[K{number} of {count}: {escaped(order_id)}", end="", file=sys.stderr, flush=True)
    if number == count:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def _document(verification: Verification, found: list[Finding]) -> dict[str, Any]:
    return {
        "recordings": verification.recordings,
        "videos": verification.videos,
        "seals": verification.seals,
        "time_stamps": verification.stamps,
        "waiting": verification.waiting,
        "deleted": verification.deleted,
        "keys": [
            asdict(section) | {"known_from": section.known_from and str(section.known_from)}
            for section in verification.sections
        ],
        "found": [
            asdict(finding) | {"kind": finding.kind.value, "remedy": finding.remedy}
            for finding in found
        ],
    }


def _print(verification: Verification, found: list[Finding]) -> None:
    for finding in found:
        order = f"order {escaped(finding.order_id)}: " if finding.order_id else ""
        print(f"{finding.kind.value}: {order}{escaped(finding.what)}")
    for kind in dict.fromkeys(finding.kind for finding in found):
        remedy = next(finding.remedy for finding in found if finding.kind == kind)
        print(f"\n{kind.value}:\n  {remedy}.")
    if found:
        print()
    if verification.order_id is not None and not verification.recordings:
        print(f"No recording of the order '{escaped(verification.order_id)}' is on this disk.")
    for section in verification.sections:
        seals = f"seals {section.first} to {section.last} of {escaped(section.station)}"
        file = f" ({escaped(str(section.known_from))})" if section.known_from else ""
        print(f"{seals}: key {section.key}{file}")
    sections = len(verification.sections) - len({each.station for each in verification.sections})
    if sections > 0:
        print("The key changed. If nobody replaced the computer or its key, find out why.")
    if verification.stamps:
        print(f"{verification.stamps} seals have the time stamp of an authority.")
    if verification.waiting:
        print(f"{verification.waiting} recordings wait for their seal (recorderd finish).")
    total = (
        f"{verification.recordings} recordings ({verification.deleted} of them deleted), "
        f"{verification.videos} videos read, {verification.seals} seals"
    )
    print(f"{total}: {len(found)} not as sealed" if found else f"{total}: all as it was sealed")
