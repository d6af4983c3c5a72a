"""Files that FFmpeg has left open."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def close_left_open(file: Path | int) -> None:
    """Close every descriptor of this process for the file, but the one by which it is named.
    Never raises.

    PyAV (18.1) opens a file with its first packet; if the header cannot be written then, nothing
    ever closes it (measured: a full or failing disk). A disk of which one file is open cannot be
    taken out, and one that was mounted anew is still the old one. Only for files that nobody else
    in this process has open.
    """
    with contextlib.suppress(OSError):
        wanted = os.stat(file)  # noqa: PTH116 - also takes a descriptor
        for entry in list(Path("/proc/self/fd").iterdir()):
            descriptor = int(entry.name)
            with contextlib.suppress(OSError):
                if descriptor != file and os.path.samestat(os.fstat(descriptor), wanted):
                    os.close(descriptor)
