"""Which lamps are lit and which tone sounds at a given moment: pure, no clock, no thread."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from recorderd.core.model import Nanoseconds, nanoseconds
from recorderd.core.signals import APPEARANCES, BuzzerPattern, Lamp, LampPattern, Signal, Tone
from recorderd.errors import InvariantViolationError

LONGEST_QUEUE = 8
"""Momentary signals that may wait; a packer makes sense of no more than a few."""

PAUSE: Nanoseconds = nanoseconds(0.15)
"""Silence between two sounds, so that two short ones are not heard as a long one."""

_DARK: frozenset[Lamp] = frozenset()
_Shown = TypeVar("_Shown")


@dataclass(frozen=True, slots=True)
class PanelMoment:
    """What the panel shows now, and when that changes next by itself (None: never).

    `begun` are the signals that began since the last call, oldest first.
    """

    lit: frozenset[Lamp]
    tone: Tone | None
    begun: tuple[Signal, ...]
    next_change_ns: Nanoseconds | None


class SignalSchedule:
    """Puts momentary signals over the standing one and works out lamps and buzzer.

    Momentary signals are played one after the other, whole. They go before the sound of
    the standing signal, which then is played whole as well: what was cut off by one is
    begun again after it. Lamps of a momentary signal cover the standing ones, whose
    pattern goes on underneath. A moment earlier than one passed in before counts as that.
    """

    def __init__(self) -> None:
        self.standing: Signal | None = None
        self.dropped = 0
        """Momentary signals that were never played because too many were waiting."""
        self._standing_since: Nanoseconds = 0
        self._standing_sound_due: Nanoseconds | None = None
        self._standing_sound_since: Nanoseconds | None = None
        self._waiting: deque[Signal] = deque()
        self._momentary: Signal | None = None
        self._momentary_since: Nanoseconds = 0
        self._quiet_until: Nanoseconds = 0
        self._begun: deque[Signal] = deque(maxlen=4 * LONGEST_QUEUE)
        self._latest_ns: Nanoseconds = 0

    def show(self, signal: Signal, now_ns: Nanoseconds) -> None:
        """Let a standing signal replace the one before; the same one again changes nothing."""
        if not APPEARANCES[signal].standing:
            raise InvariantViolationError(f"The momentary signal {signal} was to be shown for good")
        if signal == self.standing:
            return
        now_ns = self._latest_ns = max(now_ns, self._latest_ns)
        self._cut_standing_sound(now_ns)
        self.standing = signal
        self._standing_since = now_ns
        self._standing_sound_due = None if APPEARANCES[signal].buzzer is None else now_ns
        self._begun.append(signal)

    def play(self, signal: Signal) -> None:
        """Queue a momentary signal; where too many wait, the oldest of them is dropped."""
        if APPEARANCES[signal].standing:
            raise InvariantViolationError(f"The standing signal {signal} was to be played once")
        if len(self._waiting) == LONGEST_QUEUE:
            self._waiting.popleft()
            self.dropped += 1
        self._waiting.append(signal)

    def advance(self, now_ns: Nanoseconds) -> PanelMoment:
        """Go on to `now_ns` and say what is lit and sounds from then on."""
        now_ns = self._latest_ns = max(now_ns, self._latest_ns)
        self._end_what_is_over(now_ns)
        self._begin_momentary(now_ns)
        self._begin_standing_sound(now_ns)
        changes: list[Nanoseconds] = []
        lit = self._lit(now_ns, changes)
        tone = self._tone(now_ns, changes)
        if self._momentary is not None:
            changes.append(self._momentary_since + _length(self._momentary))
        elif self._waiting:
            changes.append(self._quiet_until)
        if (
            self._standing_sound_due is not None
            and self._standing_sound_since is None
            and not self._waiting
        ):
            changes.append(max(self._standing_sound_due, self._quiet_until))
        begun = tuple(self._begun)
        self._begun.clear()
        later = [moment for moment in changes if moment > now_ns]
        return PanelMoment(lit, tone, begun, min(later, default=None))

    def _end_what_is_over(self, now_ns: Nanoseconds) -> None:
        if self._momentary is not None and now_ns >= self._momentary_since + _length(
            self._momentary
        ):
            self._momentary = None
        pattern = self._standing_buzzer()
        if (
            pattern is not None
            and self._standing_sound_since is not None
            and now_ns >= self._standing_sound_since + _total(pattern.steps)
        ):
            self._standing_sound_since = None

    def _begin_momentary(self, now_ns: Nanoseconds) -> None:
        while self._momentary is None and self._waiting:
            sound = APPEARANCES[self._waiting[0]].buzzer
            if sound is not None:
                if self._cut_standing_sound(now_ns):
                    self._standing_sound_due = now_ns
                if now_ns < self._quiet_until:
                    return
                self._quiet_until = now_ns + _total(sound.steps) + PAUSE
            signal = self._waiting.popleft()
            self._begun.append(signal)
            if _length(signal):
                self._momentary = signal
                self._momentary_since = now_ns

    def _begin_standing_sound(self, now_ns: Nanoseconds) -> None:
        pattern = self._standing_buzzer()
        if (
            pattern is None
            or self._standing_sound_since is not None
            or self._standing_sound_due is None
            or now_ns < max(self._standing_sound_due, self._quiet_until)
            or self._waiting
        ):
            return
        self._standing_sound_since = now_ns
        self._quiet_until = now_ns + _total(pattern.steps) + PAUSE
        self._standing_sound_due = None
        if pattern.every is not None:
            every = nanoseconds(pattern.every)
            times = (now_ns - self._standing_since) // every + 1
            self._standing_sound_due = self._standing_since + times * every

    def _cut_standing_sound(self, now_ns: Nanoseconds) -> bool:
        if self._standing_sound_since is None:
            return False
        self._standing_sound_since = None
        self._quiet_until = now_ns + PAUSE
        return True

    def _standing_buzzer(self) -> BuzzerPattern | None:
        return None if self.standing is None else APPEARANCES[self.standing].buzzer

    def _lit(self, now_ns: Nanoseconds, changes: list[Nanoseconds]) -> frozenset[Lamp]:
        for signal, since in (
            (self._momentary, self._momentary_since),
            (self.standing, self._standing_since),
        ):
            pattern = None if signal is None else APPEARANCES[signal].lamps
            if pattern is not None:
                lit = _lit_by(pattern, since, now_ns, changes)
                if lit is not None:
                    return lit
        return _DARK

    def _tone(self, now_ns: Nanoseconds, changes: list[Nanoseconds]) -> Tone | None:
        momentary = None if self._momentary is None else APPEARANCES[self._momentary].buzzer
        sounds = (
            (momentary, self._momentary_since),
            (self._standing_buzzer(), self._standing_sound_since),
        )
        for pattern, since in sounds:
            if pattern is not None and since is not None:
                step = _step(pattern.steps, now_ns - since)
                if step is not None:
                    tone, left = step
                    changes.append(now_ns + left)
                    return tone
        return None


def _lit_by(
    pattern: LampPattern, since: Nanoseconds, now_ns: Nanoseconds, changes: list[Nanoseconds]
) -> frozenset[Lamp] | None:
    """Lamps lit by a pattern that began at `since`; None once it is over."""
    elapsed = now_ns - since
    step = _step(pattern.steps, elapsed % _total(pattern.steps) if pattern.repeat else elapsed)
    if step is None:
        return None
    lit, left = step
    changes.append(now_ns + left)
    return lit


def _step(
    steps: Sequence[tuple[_Shown, float]], elapsed: Nanoseconds
) -> tuple[_Shown, Nanoseconds] | None:
    """The step in force `elapsed` after the first began and how long it lasts yet."""
    for shown, seconds in steps:
        length = nanoseconds(seconds)
        if elapsed < length:
            return shown, length - elapsed
        elapsed -= length
    return None


def _total(steps: Sequence[tuple[object, float]]) -> Nanoseconds:
    return sum(nanoseconds(seconds) for _, seconds in steps)


def _length(signal: Signal) -> Nanoseconds:
    """How long a momentary signal takes: its lamps or its sound, whichever is longer."""
    appearance = APPEARANCES[signal]
    lamps = 0 if appearance.lamps is None else _total(appearance.lamps.steps)
    sound = 0 if appearance.buzzer is None else _total(appearance.buzzer.steps)
    return max(lamps, sound)
