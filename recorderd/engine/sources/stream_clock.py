"""From a stream's timestamps to moments on the monotonic clock. Pure."""

from __future__ import annotations

from fractions import Fraction
from typing import Protocol

from recorderd.core.model import NANOSECONDS_PER_SECOND, Nanoseconds

KERNEL_CLOCK_LIMIT: Nanoseconds = 10 * NANOSECONDS_PER_SECOND
"""Kernel timestamps further away from now are of another clock."""
ANCHOR_LIMIT: Nanoseconds = 2 * NANOSECONDS_PER_SECOND
"""A live stream whose timestamps are further behind the arrival has jumped."""

DRIFT_WINDOW: Nanoseconds = 10 * NANOSECONDS_PER_SECOND
"""Among the pictures of so much time one has come without delay."""

_FASTEST_CORRECTION = 1000
"""One part in so many: ten times what a camera's quartz errs by (50 to 100 ppm), and nobody
sees a picture that is shown 33 us later."""

_SMALLEST_STEP: Nanoseconds = 100_000
"""Between pictures that would otherwise have the same time: 9 ticks of a 1/90000 grid."""
_MOST_REORDERED = 4
"""Pictures by which decoding may run ahead of showing in the streams cameras make."""


class StreamClock(Protocol):
    """Gives each picture of a stream its times; keeps state, belongs to one stream."""

    def times(
        self, pts: int | None, dts: int | None, arrival_ns: Nanoseconds
    ) -> tuple[Nanoseconds, Nanoseconds]:
        """When the picture was taken, and its place in decoding order, which always rises."""


def ticks_to_nanoseconds(ticks: int, time_base: Fraction) -> Nanoseconds:
    """Round to the nearest nanosecond.

    Done on the whole count, so errors never add up, and every grid coarser than 2 ns
    comes back exactly with `nanoseconds_to_ticks`.
    """
    numerator = ticks * time_base.numerator * NANOSECONDS_PER_SECOND
    return (2 * numerator + time_base.denominator) // (2 * time_base.denominator)


def nanoseconds_to_ticks(duration: Nanoseconds, time_base: Fraction) -> int:
    """The nearest tick of a time base: the way back."""
    denominator = time_base.numerator * NANOSECONDS_PER_SECOND
    return (2 * duration * time_base.denominator + denominator) // (2 * denominator)


class AnchoredClock:
    """Times run as the stream's own do, from the arrival of the first picture on.

    `live` streams are anchored anew when a timestamp is missing or more than 2 s behind
    the arrival (a camera that was restarted or whose clock was set), and whenever it is
    ahead of the arrival, since no picture comes before it was taken: the first pictures
    have waited in buffers while the stream was opened, so the first anchor is too late.
    A camera whose quartz is slow falls behind by up to a third of a second an hour: when not
    one picture of `DRIFT_WINDOW` has come without delay, the anchor follows, too slowly to see.
    """

    def __init__(self, time_base: Fraction, period_ns: Nanoseconds, *, live: bool) -> None:
        self._time_base = time_base
        self._period_ns = period_ns
        self._live = live
        self._anchor: tuple[int, Nanoseconds] | None = None
        self._last_decode_ns: Nanoseconds | None = None
        self._window_ends_ns: Nanoseconds | None = None
        self._least_delay_ns: Nanoseconds = 0
        self._behind_ns: Nanoseconds = 0

    def times(
        self, pts: int | None, dts: int | None, arrival_ns: Nanoseconds
    ) -> tuple[Nanoseconds, Nanoseconds]:
        last = self._last_decode_ns
        if pts is None:
            self._anchor = None
            captured = decode = arrival_ns
        else:
            captured = self._mapped(pts, arrival_ns)
            if self._live and not 0 <= arrival_ns - captured <= ANCHOR_LIMIT:
                self._anchor = None
                captured = arrival_ns
            if self._anchor is None:
                self._anchor = (pts, captured)
                self._window_ends_ns = None
            if self._live:
                self._follow(captured, arrival_ns)
            decode = self._decode_time(captured, dts, arrival_ns)
        if last is not None and decode <= last:
            decode = last + _SMALLEST_STEP
        self._last_decode_ns = decode
        return max(captured, decode), decode

    def _mapped(self, ticks: int, arrival_ns: Nanoseconds) -> Nanoseconds:
        if self._anchor is None:
            return arrival_ns
        anchor_ticks, anchor_ns = self._anchor
        return anchor_ns + ticks_to_nanoseconds(ticks - anchor_ticks, self._time_base)

    def _follow(self, captured_ns: Nanoseconds, arrival_ns: Nanoseconds) -> None:
        assert self._anchor is not None  # noqa: S101 - for the type checker
        delay_ns = arrival_ns - captured_ns
        if self._window_ends_ns is None:
            self._least_delay_ns, self._behind_ns = delay_ns, 0
            self._window_ends_ns = arrival_ns + DRIFT_WINDOW
        elif arrival_ns < self._window_ends_ns:
            self._least_delay_ns = min(self._least_delay_ns, delay_ns)
        else:
            self._behind_ns, self._least_delay_ns = self._least_delay_ns, delay_ns
            self._window_ends_ns = arrival_ns + DRIFT_WINDOW
        step_ns = min(self._behind_ns, self._period_ns // _FASTEST_CORRECTION)
        self._behind_ns -= step_ns
        ticks, anchor_ns = self._anchor
        self._anchor = (ticks, anchor_ns + step_ns)

    def _decode_time(
        self, captured: Nanoseconds, dts: int | None, arrival_ns: Nanoseconds
    ) -> Nanoseconds:
        if dts is not None:
            return min(captured, self._mapped(dts, arrival_ns))
        # Matroska keeps no decoding times; FFmpeg knows them only after some pictures.
        if self._last_decode_ns is None:
            return captured - _MOST_REORDERED * self._period_ns
        return min(captured, self._last_decode_ns + self._period_ns)


class KernelClock:
    """V4L2 buffer timestamps: microseconds on CLOCK_MONOTONIC already.

    (Linux media documentation: V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC.) A driver that uses
    another clock is anchored to the arrival instead.
    """

    def __init__(self, time_base: Fraction, period_ns: Nanoseconds) -> None:
        self._time_base = time_base
        self._anchored = AnchoredClock(time_base, period_ns, live=True)
        self._last_ns: Nanoseconds | None = None

    def times(
        self, pts: int | None, dts: int | None, arrival_ns: Nanoseconds
    ) -> tuple[Nanoseconds, Nanoseconds]:
        kernel_ns = None if pts is None else ticks_to_nanoseconds(pts, self._time_base)
        if kernel_ns is None or abs(kernel_ns - arrival_ns) > KERNEL_CLOCK_LIMIT:
            kernel_ns, _ = self._anchored.times(pts, dts, arrival_ns)
        if self._last_ns is not None and kernel_ns <= self._last_ns:
            kernel_ns = self._last_ns + _SMALLEST_STEP
        self._last_ns = kernel_ns
        return kernel_ns, kernel_ns


class ArrivalClock:
    """For streams without timestamps: a picture was taken when it came."""

    def __init__(self) -> None:
        self._last_ns: Nanoseconds | None = None

    def times(
        self, pts: int | None, dts: int | None, arrival_ns: Nanoseconds
    ) -> tuple[Nanoseconds, Nanoseconds]:
        del pts, dts
        if self._last_ns is not None:
            arrival_ns = max(arrival_ns, self._last_ns + _SMALLEST_STEP)
        self._last_ns = arrival_ns
        return arrival_ns, arrival_ns
