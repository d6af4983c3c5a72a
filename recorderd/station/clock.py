"""Wall time that says how far it can be trusted."""

from __future__ import annotations

import ctypes
import time
from datetime import UTC, datetime

from recorderd.core.model import Nanoseconds

SYNCHRONISED = "synchronised"
UNSYNCHRONISED = "unsynchronised"

_TIME_ERROR = 5
"""What adjtimex(2) returns while the kernel's clock is not synchronised."""

_LARGEST_TIMEX_BYTES = 512


def wall_minus_monotonic_ns() -> Nanoseconds:
    """Add this to a monotonic time to get UTC nanoseconds since 1970, as of now."""
    return time.time_ns() - time.monotonic_ns()


def wall_time(monotonic_ns: Nanoseconds) -> datetime:
    """The UTC time of a monotonic moment of this boot, by the clock as it is set now."""
    since_1970_ns = monotonic_ns + wall_minus_monotonic_ns()
    return datetime.fromtimestamp(since_1970_ns / 1e9, UTC)


def synchronisation() -> str:
    """Whether something (NTP, GPS, a host) keeps the kernel's clock right, by adjtimex(2)."""
    library = ctypes.CDLL(None, use_errno=True)
    only_asking = ctypes.create_string_buffer(_LARGEST_TIMEX_BYTES)
    state = library.adjtimex(only_asking)
    return SYNCHRONISED if 0 <= state < _TIME_ERROR else UNSYNCHRONISED
