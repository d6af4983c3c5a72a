"""The disk that videos go to: the right one, writable, and of a kind that lasts."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from recorderd.doctor.check import Finding, bad, good, warning
from recorderd.doctor.examination import Examination
from recorderd.doctor.machine import Machine
from recorderd.errors import CatalogueError
from recorderd.store import footage
from recorderd.store.consistency import footage_id_of

_IN_MEMORY = frozenset({"tmpfs", "ramfs"})
_FOUR_GIGABYTES = frozenset({"vfat", "msdos"})
_OVER_THE_NETWORK = frozenset({"nfs", "nfs4", "cifs", "smb3", "sshfs", "fuse.sshfs"})


@dataclass(frozen=True, slots=True)
class Mount:
    device: str
    folder: str
    kind: str
    options: str


class FootageDiskCheck:
    name = "footage disk"
    limit_seconds = 6.0
    slow = False

    def look(self, examination: Examination, /) -> Finding:
        settings = examination.settings
        folder = settings.footage_folder
        there = examination.footage_place
        mount = mount_of(there, examination.machine)
        facts = (
            ("folder", str(folder)),
            ("disk", f"{mount.device}, {mount.kind}, mounted on {mount.folder}"),
            ("options", mount.options),
        )
        if there != folder:
            if examination.status is None and _is_new(examination):
                return good(f"{folder} is made when the station first starts", *facts)
            return bad(
                f"{folder} is missing",
                "Connect and mount the disk this station records to",
                *facts,
            )
        try:
            footage_id = footage_id_of(settings)
        except CatalogueError:
            footage_id = None  # The catalogue's own check tells that.
        wrong = None if footage_id is None else footage.wrong_disk(settings, footage_id)
        if wrong is not None:
            return bad(wrong.problem, wrong.remedy, *facts)
        if os.statvfs(folder).f_flag & os.ST_RDONLY:
            return bad(
                f"the disk {mount.device} is read-only",
                "Mount it for writing; one that became so by itself may be failing: replace it",
                *facts,
            )
        if mount.kind in _IN_MEMORY:
            return bad(
                f"{mount.folder} lies in memory: all videos are gone when it is switched off",
                "Set storage.footage_folder to a folder on a real disk",
                *facts,
            )
        if mount.kind in _FOUR_GIGABYTES:
            return bad(
                f"the disk has {mount.kind}, where no file can be larger than 4 GB",
                "Format it with ext4",
                *facts,
            )
        if mount.kind in _OVER_THE_NETWORK:
            return warning(
                "videos go over the network: nothing can be recorded while that is away",
                "Record to a disk in this computer",
                *facts,
            )
        card = Path(mount.device).name.startswith("mmcblk")
        if card and settings.recording.sync_seconds < 2:
            return warning(
                f"videos go to a memory card ({mount.device}), which wears out",
                "Connect an SSD over USB, or set recording.sync_seconds = 5 to spare the card",
                *facts,
            )
        return good(f"{mount.device} ({mount.kind}) on {mount.folder}", *facts)


def mount_of(path: Path, machine: Machine) -> Mount:
    """Where this existing folder is mounted, by proc_pid_mountinfo(5)."""
    resolved = path.resolve()
    found = Mount("unknown", "/", "unknown", "")
    for line in (machine.text("proc/self/mountinfo") or "").splitlines():
        left, _, right = line.partition(" - ")
        fields, kinds = left.split(), right.split()
        if len(fields) < 6 or len(kinds) < 2:
            continue
        folder = fields[4].replace("\\040", " ")
        if resolved.is_relative_to(folder) and len(folder) >= len(found.folder):
            found = Mount(kinds[1], folder, kinds[0], fields[5])
    return found


def _is_new(examination: Examination) -> bool:
    try:
        return footage_id_of(examination.settings) is None
    except CatalogueError:
        return True
