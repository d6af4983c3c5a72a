"""Which recordings may be deleted, in what order, and why.

Oldest first, in the order in which they were entered into the catalogue: unlike dates, that
order is right however wrong the clock was. A recording that is held, or whose hash is
still to be taken, stays whatever the limits say.

An original that waits for its encoding goes like any other: newer ones are encoded first, so that
one which has become the oldest of all was waited for long enough. Else a disk could fill for good
with more than can be encoded.

Files that were set aside, because nothing in them plays or a mended file took their place, go
by the same limits, and before any recording: what plays is worth more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from recorderd.core.model import RecordingId

SECONDS_PER_DAY: Final = 86_400
SECONDS_PER_HOUR: Final = 3_600
_NEWEST: Final = 100
"""So many recordings say how large the next one may become."""


class Reason(StrEnum):
    """Why a recording goes, as the event log says it."""

    AGE = "its time is over"
    SIZE = "all videos together take too much room"
    SPACE = "the disk has too little room left"


class Awaited(StrEnum):
    """What is still to be done with a finished recording.

    The fingerprint must be taken before it may go, which is a matter of moments; but that of an
    original is taken when it is encoded.
    """

    TRANSCODE = "transcode"
    FINGERPRINT = "fingerprint"


@dataclass(frozen=True, slots=True)
class Kept:
    """A finished recording whose video is on the disk.

    `age_seconds` is None if nothing trustworthy says it: the clock was not set when it was
    made, or is not set now.
    """

    id: RecordingId
    bytes: int
    age_seconds: float | None
    held: bool = False
    awaited: frozenset[Awaited] = frozenset()

    @property
    def may_go(self) -> bool:
        """Whether it may be deleted for whatever reason."""
        return not self.held and (not self.awaited or Awaited.TRANSCODE in self.awaited)


@dataclass(frozen=True, slots=True)
class Spare:
    """A file that was set aside, by its `name`; `age_seconds` and `held` are its recording's."""

    name: str
    bytes: int
    age_seconds: float | None
    held: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionRules:
    """The limits; 0 is no limit. `needed_bytes` must be free for an order to be started."""

    days: float = 0.0
    maximum_bytes: int = 0
    free_bytes: int = 0
    keep_seconds: float = 0.0
    needed_bytes: int = 0

    @property
    def any(self) -> bool:
        return bool(self.days or self.maximum_bytes or self.free_bytes)


@dataclass(frozen=True, slots=True)
class Doomed:
    """A recording that is to be deleted."""

    id: RecordingId
    bytes: int
    reason: Reason


@dataclass(frozen=True, slots=True)
class DoomedSpare:
    """A file that was set aside and is to be deleted."""

    name: str
    bytes: int
    reason: Reason


def spares_to_delete(
    spares: Sequence[Spare],
    recordings: Sequence[Kept],
    rules: RetentionRules,
    *,
    clock_is_set: bool,
    free_bytes: int,
) -> list[DoomedSpare]:
    """Name the files among those set aside that are to be deleted now, oldest first.

    To be asked before `to_delete`, which is then told of the room that this makes.
    """
    room = _Room(rules, clock_is_set, free_goal(recordings, rules), free_bytes)
    room.taken_bytes = sum(each.bytes for each in spares)
    room.taken_bytes += sum(recording.bytes for recording in recordings)
    doomed: list[DoomedSpare] = []
    for spare in sorted(spares, key=lambda each: -(each.age_seconds or 0.0)):
        reason = None if spare.held else room.reason_against(spare.age_seconds)
        if reason is not None:
            doomed.append(DoomedSpare(spare.name, spare.bytes, reason))
            room.make(spare.bytes)
    return doomed


def to_delete(
    recordings: Sequence[Kept], rules: RetentionRules, *, clock_is_set: bool, free_bytes: int
) -> list[Doomed]:
    """Name what is to be deleted now, in this order.

    `recordings` are all that lie on the disk, in the order in which they were entered. While
    the clock is not set nothing goes for its age.
    """
    room = _Room(rules, clock_is_set, free_goal(recordings, rules), free_bytes)
    room.taken_bytes = sum(recording.bytes for recording in recordings)
    doomed: list[Doomed] = []
    for recording, age in zip(recordings, _honest_ages(recordings), strict=True):
        if not recording.may_go:
            continue
        reason = room.reason_against(age)
        if reason is not None:
            doomed.append(Doomed(recording.id, recording.bytes, reason))
            room.make(recording.bytes)
    return doomed


@dataclass(slots=True)
class _Room:
    """How much there is while one after another is doomed."""

    rules: RetentionRules
    clock_is_set: bool
    goal_bytes: int
    free_bytes: int
    taken_bytes: int = 0

    def reason_against(self, age_seconds: float | None) -> Reason | None:
        """Why what is so old may not stay; None if it may."""
        rules, age = self.rules, age_seconds
        longest = rules.days * SECONDS_PER_DAY
        if longest and self.clock_is_set and age is not None and age > longest:
            return Reason.AGE
        if age is not None and age < rules.keep_seconds:
            return None
        if rules.maximum_bytes and self.taken_bytes > rules.maximum_bytes:
            return Reason.SIZE
        return Reason.SPACE if self.free_bytes < self.goal_bytes else None

    def make(self, freed_bytes: int) -> None:
        self.taken_bytes -= freed_bytes
        self.free_bytes += freed_bytes


def urgent_below(recordings: Sequence[Kept], rules: RetentionRules) -> int:
    """With fewer free bytes than this the next order could bring the station to refuse.

    A station that refuses begins again only with a twentieth more than it needs.
    """
    if not rules.free_bytes:
        return 0
    return rules.needed_bytes + rules.needed_bytes // 20 + _largest(recordings)


def free_goal(recordings: Sequence[Kept], rules: RetentionRules) -> int:
    """How many bytes are to be free: what is asked for, but room for two more orders at least.

    One of them may be recorded while nothing can be deleted, the other begins after it.
    """
    if not rules.free_bytes:
        return 0
    return max(rules.free_bytes, urgent_below(recordings, rules) + _largest(recordings))


def _largest(recordings: Sequence[Kept]) -> int:
    return max((recording.bytes for recording in recordings[-_NEWEST:]), default=0)


def _honest_ages(recordings: Sequence[Kept]) -> list[float | None]:
    """How old each is at least, by its own time and by its place in the order.

    One whose own time is unknown is as old as the oldest of those after it. None is older
    than one before it, whatever its date says.
    """
    ages: list[float | None] = []
    at_least: float | None = None
    for recording in reversed(recordings):
        own = recording.age_seconds
        if own is not None and own >= 0:
            at_least = own if at_least is None else max(at_least, own)
            ages.append(own)
        else:
            ages.append(at_least)
    ages.reverse()
    at_most: float | None = None
    for index, recording in enumerate(recordings):
        own, age = recording.age_seconds, ages[index]
        if own is not None and own >= 0:
            at_most = own if at_most is None else min(at_most, own)
        if age is not None and at_most is not None:
            ages[index] = min(age, at_most)
    return ages
