"""Which programs have a device open: proc(5), the links in /proc/PID/fd."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Holder:
    process_id: int
    program: str

    def __str__(self) -> str:
        return f"{self.program} (process {self.process_id})"


def holders_of(device: Path, root: Path = Path("/")) -> list[Holder]:
    """Programs that have this device open, but this one. Others' are seen by root only."""
    wanted = str(device.resolve())
    found = []
    for folder in (root / "proc").glob("[0-9]*"):
        if folder.name != str(os.getpid()) and _has_open(folder / "fd", wanted):
            with suppress(OSError):
                program = (folder / "comm").read_text(errors="replace").strip()
                found.append(Holder(int(folder.name), program))
    return sorted(found, key=lambda holder: holder.process_id)


def _has_open(descriptors: Path, wanted: str) -> bool:
    with suppress(OSError):
        for link in descriptors.iterdir():
            with suppress(OSError):
                if str(link.readlink()) == wanted:
                    return True
    return False
