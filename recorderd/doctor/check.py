"""What a check is, and what it finds: plain data, shown by terminal, JSON and report alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from recorderd.doctor.examination import Examination


class Verdict(StrEnum):
    """GOOD: as it should be. WARNING: it works, but somebody should look. BAD: orders would be
    lost or nobody would notice. SKIPPED: nothing can be said."""

    GOOD = "good"
    WARNING = "warning"
    BAD = "bad"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Picture:
    """A JPEG for the report. `outline` is drawn over it: (x, y) as fractions of the picture."""

    caption: str
    jpeg: bytes
    outline: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check saw, in one sentence without a full stop, and what to do about it.

    `remedy` is empty if nothing needs to be done. `facts` are (what, how much), for whoever wants
    to know it exactly.
    """

    verdict: Verdict
    seen: str
    remedy: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    pictures: tuple[Picture, ...] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """A finding and whose it is; `seconds` is how long it took."""

    name: str
    finding: Finding
    seconds: float


class Check(Protocol):
    """One question to the station.

    `name` begins the line on the screen. A check gets `limit_seconds`; after that nobody waits
    for it any more. A `slow` one works the camera, the disk or the processor, so that two at once
    would spoil each other's figures.
    """

    @property
    def name(self) -> str: ...
    @property
    def limit_seconds(self) -> float: ...
    @property
    def slow(self) -> bool: ...

    def look(self, examination: Examination, /) -> Finding:
        """Any thread. May raise RecorderdError and OSError: that is a bad finding, too."""


class HandsCheck(Protocol):
    """A question that needs a person who looks, listens and presses."""

    @property
    def name(self) -> str: ...

    def look(self, examination: Examination, /) -> Finding:
        """On the main thread, when all others are done. Raises as `Check.look`."""


def as_sentence(text: str) -> str:
    """A text of ours that begins with a small letter, because it was part of another one."""
    return text[:1].upper() + text[1:]


def good(seen: str, *facts: tuple[str, str]) -> Finding:
    return Finding(Verdict.GOOD, seen, facts=facts)


def warning(seen: str, remedy: str, *facts: tuple[str, str]) -> Finding:
    return Finding(Verdict.WARNING, seen, remedy, facts)


def bad(seen: str, remedy: str, *facts: tuple[str, str]) -> Finding:
    return Finding(Verdict.BAD, seen, remedy, facts)


def skipped(seen: str, *facts: tuple[str, str]) -> Finding:
    return Finding(Verdict.SKIPPED, seen, facts=facts)


def worst(results: Sequence[Result]) -> Verdict:
    """BAD if anything is, else WARNING if anything is, else GOOD."""
    found = {result.finding.verdict for result in results}
    return next((v for v in (Verdict.BAD, Verdict.WARNING) if v in found), Verdict.GOOD)


def total(results: Sequence[Result]) -> str:
    """All in one sentence."""
    verdicts = [result.finding.verdict for result in results]
    wrong, look = verdicts.count(Verdict.BAD), verdicts.count(Verdict.WARNING)
    if wrong:
        said = "1 thing is wrong" if wrong == 1 else f"{wrong} things are wrong"
        also = f", {look} more should be looked at" if look else ""
        return f"Not ready: {said}{also}."
    if look:
        said = "1 thing" if look == 1 else f"{look} things"
        return f"It works; {said} should be looked at."
    return "All is well."
