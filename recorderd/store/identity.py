"""Names that are unique without asking anyone: recordings, and this run of the machine."""

from __future__ import annotations

import secrets
import threading
import time
import uuid
from pathlib import Path

from recorderd.core.model import RecordingId

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_RANDOM_BITS = 74
_lock = threading.Lock()
_latest = 0


def new_recording_id() -> RecordingId:
    """Make a UUIDv7 (RFC 9562, section 5.7); any thread.

    Within a process each id sorts after the one before, also when the clock stands still
    or steps back: then the random part is counted on (section 6.2, method 2).
    """
    global _latest
    with _lock:
        milliseconds = time.time_ns() // 1_000_000
        fresh = milliseconds << _RANDOM_BITS | secrets.randbits(_RANDOM_BITS)
        _latest = number = max(fresh, _latest + 1)
    time_and_version = (number >> _RANDOM_BITS) << 16 | 7 << 12 | number >> 62 & 0xFFF
    variant_and_random = 0b10 << 62 | number & (1 << 62) - 1
    return RecordingId(str(uuid.UUID(int=time_and_version << 64 | variant_and_random)))


def boot_id() -> str:
    """Tell which run of the machine this is: Linux draws a new UUID at every boot (random(4)).

    CLOCK_MONOTONIC times may be compared only when they carry the same boot id.
    """
    return _BOOT_ID.read_text(encoding="ascii").strip()
