"""Wall time that says how far it can be trusted."""

from __future__ import annotations

import ctypes
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from recorderd.core.model import Nanoseconds, nanoseconds
from recorderd.store.records import SYNCHRONISED as SYNCHRONISED
from recorderd.store.records import UNSYNCHRONISED as UNSYNCHRONISED
from recorderd.store.records import KnownTimes

TIMESYNC_FILE: Final = Path("/run/systemd/timesync/synchronized")
"""Touched whenever systemd-timesyncd has set the clock; each boot begins without it."""
LEAST_UNCERTAIN_ERROR: Final = 16_000_000
"""Microseconds. The kernel's largest possible error is set to this when the clock is set by hand
or was never set, and grows up to it when nothing keeps the clock right any more."""
CARRIED_ON: Final = nanoseconds(24 * 3600)
"""So long the monotonic clock alone keeps the time of day right, to within some ten seconds."""
STEP: Final = nanoseconds(1)
_ROUNDING: Final = nanoseconds(0.001)
GOES_ON_AFTER: Final = nanoseconds(60)
"""A machine takes as long to start, and a pre-roll reaches less far back."""
_RELEASED_US: Final = 1_767_225_600_000_000
"""2026-01-01: a clock that says less was never set."""
_MORE_THAN_TIMEX: Final = 512


class _Timex(ctypes.Structure):
    """The beginning of struct timex, adjtimex(2)."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("rest", ctypes.c_char * _MORE_THAN_TIMEX),
    )


def wall_minus_monotonic_ns() -> Nanoseconds:
    """Add this to a monotonic time to get UTC nanoseconds since 1970, as of now."""
    return time.time_ns() - time.monotonic_ns()


def wall_time(monotonic_ns: Nanoseconds) -> datetime:
    """The UTC time of a monotonic moment of this boot, by the clock as it is set now."""
    return utc_of(monotonic_ns + wall_minus_monotonic_ns())


def synchronisation() -> str:
    """Whether something (NTP, GPS, a host) keeps the system's clock right.

    By the largest error that adjtimex(2) tells, as systemd's timedated does: the flag
    STA_UNSYNC, and with it the answer TIME_ERROR, is also set by a chrony without `rtcsync`
    and by a timesyncd that keeps the hardware clock in local time, though all is well. Where
    the call is forbidden (a container, ProtectClock=) the file of timesyncd is the witness.
    """
    library = ctypes.CDLL(None, use_errno=True)
    only_asking = _Timex()
    if library.adjtimex(ctypes.byref(only_asking)) < 0:
        return SYNCHRONISED if TIMESYNC_FILE.exists() else UNSYNCHRONISED
    right = 0 <= only_asking.maxerror < LEAST_UNCERTAIN_ERROR
    return SYNCHRONISED if right else UNSYNCHRONISED


def synchronised_offset_ns() -> Nanoseconds | None:
    """What `wall_minus_monotonic_ns` says while the clock is right; None if it is not known to be.

    A clock that is set while it is asked might be called right for what it said before or after.
    """
    before_ns = wall_minus_monotonic_ns()
    right = synchronisation() == SYNCHRONISED
    after_ns = wall_minus_monotonic_ns()
    return after_ns if right and abs(after_ns - before_ns) <= STEP else None


class StationClock:
    """By what the station dates its rows: the monotonic clock and an offset it has reason for.

    The system's clock is believed while it is synchronised. Later in the same boot the
    monotonic clock carries the time on, whatever somebody sets. Whoever sets a clock that was
    right is believed only if it is still called right a look later: the word that it is no more
    may come after the step itself. Before it was ever right, the system's clock is
    taken as it is, unless it was plainly never set: then time goes on from the newest row, so
    that what is recorded next is also listed next. All rows of a boot that were dated without
    a right clock share one offset, so that they keep their order and distance.

    Used by the station's main thread.
    """

    def __init__(self) -> None:
        right_ns = synchronised_offset_ns()
        self.status = UNSYNCHRONISED if right_ns is None else SYNCHRONISED
        self.offset_ns = wall_minus_monotonic_ns() if right_ns is None else right_ns
        self._right_offset_ns: Nanoseconds | None = None
        self._right_at_ns: Nanoseconds = 0
        self._slept_then_ns: Nanoseconds = 0
        self._right_when_looked = False
        self._doubted_offset_ns: Nanoseconds | None = None
        self._least_offset_ns: Nanoseconds | None = None
        self._offset_instead_ns: Nanoseconds | None = None
        self.look()

    def time_of(self, monotonic_ns: Nanoseconds) -> datetime:
        """The UTC time of a monotonic moment of this boot."""
        return utc_of(monotonic_ns + self.offset_ns)

    def look(self) -> bool:
        """Once a second. True if what was dated without a right clock has to be dated anew."""
        before = (self.status, self.offset_ns)
        now, system_ns = time.monotonic_ns(), wall_minus_monotonic_ns()
        right_ns = synchronised_offset_ns()
        doubtful = right_ns is not None and self._doubts(right_ns)
        self._right_when_looked = right_ns is not None
        if right_ns is not None and not doubtful:
            self.status, self.offset_ns = SYNCHRONISED, right_ns
            self._right_offset_ns, self._right_at_ns = right_ns, now
            self._slept_then_ns = _slept_ns()
            return before[0] != SYNCHRONISED
        if self._right_offset_ns is not None:
            carried_on = now - self._right_at_ns < CARRIED_ON
            self.status = SYNCHRONISED if carried_on else UNSYNCHRONISED
            self.offset_ns = self._carried_on_ns(self._right_offset_ns)
            return False
        self.status = UNSYNCHRONISED
        wanted_ns = self._best_guess(system_ns)
        if abs(wanted_ns - self.offset_ns) > STEP:
            self.offset_ns = wanted_ns
        return self.offset_ns != before[1]

    def recall(self, known: KnownTimes) -> bool:
        """The catalogue is open. True as for `look`."""
        # The machine was started (monotonic 0) after all that is known of earlier boots.
        self._least_offset_ns = max(_RELEASED_US, known.trusted_us or 0) * 1000
        instead = [known.boot_offset_ns] if known.boot_offset_ns is not None else []
        if known.newest_us is not None:
            instead.append(known.newest_us * 1000 + GOES_ON_AFTER - time.monotonic_ns())
        self._offset_instead_ns = max(instead, default=None)
        if known.boot_is_trusted and self._right_offset_ns is None:
            # An earlier run of the station saw the clock being right.
            self._right_offset_ns = known.boot_offset_ns
            self._right_at_ns = known.boot_moment_ns or 0
            self._slept_then_ns = _slept_ns()
        changed = self.look() or self.status == SYNCHRONISED
        rows_ns = self.offset_ns if known.boot_offset_ns is None else known.boot_offset_ns
        return changed or abs(rows_ns - self.offset_ns) > _ROUNDING

    def _doubts(self, system_ns: Nanoseconds) -> bool:
        """Whether a clock that is called right was just set to something else."""
        if self._right_offset_ns is None or not self._right_when_looked:
            return False
        if abs(system_ns - self._carried_on_ns(self._right_offset_ns)) <= STEP:
            self._doubted_offset_ns = None
            return False
        doubted_ns, self._doubted_offset_ns = self._doubted_offset_ns, system_ns
        return doubted_ns is None or abs(system_ns - doubted_ns) > STEP

    def _carried_on_ns(self, right_offset_ns: Nanoseconds) -> Nanoseconds:
        return right_offset_ns + _slept_ns() - self._slept_then_ns

    def _best_guess(self, system_ns: Nanoseconds) -> Nanoseconds:
        if self._least_offset_ns is None or system_ns >= self._least_offset_ns:
            return system_ns
        instead_ns = self._offset_instead_ns
        return system_ns if instead_ns is None else max(system_ns, instead_ns)


def _slept_ns() -> Nanoseconds:
    """How long this machine has been suspended since it was started."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) - time.monotonic_ns()


def utc_of(since_1970_ns: Nanoseconds) -> datetime:
    """The UTC time so many nanoseconds after 1970 began."""
    return datetime.fromtimestamp(since_1970_ns / 1e9, UTC)
