"""What each state and outcome looks and sounds like. The only place that defines it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Lamp(StrEnum):
    GREEN = "green"
    RED = "red"


class Tone(StrEnum):
    """A passive buzzer sounds them at two pitches; an active one, long for low, short for high."""

    HIGH = "high"
    LOW = "low"


class Signal(StrEnum):
    """Everything the panel can tell a packer."""

    STARTING = "starting"
    READY = "ready"
    RECORDING = "recording"
    STOPS_SOON = "stops-soon"
    SAVING = "saving"
    FAULT_IDLE = "fault-idle"
    FAULT_RECORDING = "fault-recording"
    STARTED = "started"
    STARTED_AGAIN = "started-again"
    SAVED = "saved"
    REFUSED = "refused"
    NOTED = "noted"
    FAILED = "failed"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class LampPattern:
    """`steps` are (lamps that are lit, seconds), played over and over if `repeat`.

    One endless step is written with `repeat` and any length.
    """

    steps: tuple[tuple[frozenset[Lamp], float], ...]
    repeat: bool


@dataclass(frozen=True, slots=True)
class BuzzerPattern:
    """`steps` are (tone or silence, seconds); begun again every `every` seconds if set."""

    steps: tuple[tuple[Tone | None, float], ...]
    every: float | None = None


@dataclass(frozen=True, slots=True)
class Appearance:
    """How one signal looks and sounds, and what it tells the packer.

    A standing signal lasts until the next standing one; a momentary one is played once
    over it, after which the standing one shows again.
    """

    meaning: str
    standing: bool
    lamps: LampPattern | None
    buzzer: BuzzerPattern | None
    lamps_in_words: str
    buzzer_in_words: str


_OFF: frozenset[Lamp] = frozenset()
_GREEN = frozenset({Lamp.GREEN})
_RED = frozenset({Lamp.RED})

_SHORT = 0.12
_LONG = 0.40
_GAP = 0.12

_ONE_HIGH = BuzzerPattern(((Tone.HIGH, _SHORT),))
_THREE_LOW = (
    (Tone.LOW, _LONG),
    (None, _GAP),
    (Tone.LOW, _LONG),
    (None, _GAP),
    (Tone.LOW, _LONG),
)


def _steady(lamps: frozenset[Lamp]) -> LampPattern:
    return LampPattern(((lamps, 60.0),), repeat=True)


def _blink(lamps: frozenset[Lamp], half_period: float) -> LampPattern:
    return LampPattern(((lamps, half_period), (_OFF, half_period)), repeat=True)


def _double_flash(lamps: frozenset[Lamp]) -> LampPattern:
    return LampPattern(
        ((_OFF, 0.1), (lamps, 0.15), (_OFF, 0.1), (lamps, 0.15), (_OFF, 0.1)), repeat=False
    )


_ALTERNATE = LampPattern(((_GREEN, 0.3), (_RED, 0.3)), repeat=True)

APPEARANCES: Mapping[Signal, Appearance] = {
    Signal.STARTING: Appearance(
        "starting up", True, _blink(_GREEN, 0.8), None, "green, slow blink", "-"
    ),
    Signal.READY: Appearance("ready", True, _steady(_GREEN), None, "green, steady", "-"),
    Signal.RECORDING: Appearance("recording", True, _steady(_RED), None, "red, steady", "-"),
    Signal.STOPS_SOON: Appearance(
        "recording stops soon (time limit)",
        True,
        _blink(_RED, 0.15),
        BuzzerPattern(((Tone.HIGH, 0.05),), every=5.0),
        "red, fast blink",
        "a tick every 5 seconds",
    ),
    Signal.SAVING: Appearance("saving", True, _blink(_RED, 0.8), None, "red, slow blink", "-"),
    Signal.FAULT_IDLE: Appearance(
        "fault, nothing is being recorded",
        True,
        _ALTERNATE,
        BuzzerPattern(_THREE_LOW),
        "green and red alternate",
        "three low, once",
    ),
    Signal.FAULT_RECORDING: Appearance(
        "fault while an order is being recorded",
        True,
        _ALTERNATE,
        BuzzerPattern(_THREE_LOW, every=10.0),
        "green and red alternate",
        "three low, every 10 seconds",
    ),
    Signal.STARTED: Appearance(
        "recording has started", False, None, _ONE_HIGH, "-", "one short high"
    ),
    Signal.STARTED_AGAIN: Appearance(
        "recording has started, this order was recorded before",
        False,
        None,
        BuzzerPattern(((Tone.HIGH, _SHORT), (None, _GAP), (Tone.LOW, _SHORT))),
        "-",
        "short high, short low",
    ),
    Signal.SAVED: Appearance(
        "saved and checked",
        False,
        _double_flash(_GREEN),
        BuzzerPattern(((Tone.HIGH, _SHORT), (None, _GAP), (Tone.HIGH, _SHORT))),
        "green, double flash",
        "two short high",
    ),
    Signal.REFUSED: Appearance(
        "refused (pedal when idle, not an order label, no space)",
        False,
        _double_flash(_RED),
        BuzzerPattern(((Tone.LOW, _LONG),)),
        "red, double flash",
        "one low",
    ),
    Signal.NOTED: Appearance(
        "control card understood, recording flagged", False, None, _ONE_HIGH, "-", "one short high"
    ),
    Signal.FAILED: Appearance(
        "a recording was cut short, or could not be saved or checked",
        False,
        LampPattern(((_GREEN, 0.3), (_RED, 0.3)) * 3, repeat=False),
        BuzzerPattern(_THREE_LOW),
        "green and red alternate three times",
        "three low, once",
    ),
    Signal.TEST: Appearance(
        "a technician tests lamps and buzzer",
        False,
        LampPattern(((_OFF, 0.3), (_GREEN, 1.0), (_RED, 1.0), (_OFF, 0.3)), repeat=False),
        BuzzerPattern(((None, 0.3), (Tone.HIGH, _SHORT), (None, 0.88), (Tone.LOW, _LONG))),
        "green a second, then red a second",
        "short high, then low",
    ),
}
