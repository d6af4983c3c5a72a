"""Every fault there is: what happens then, what it may cost, and how it is tried."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Final, TypeAlias

from tests.faults import kills, power
from tests.faults.invariants import Outcome
from tests.faults.rig import MODES

Trials: TypeAlias = Callable[[Path, int, Random], Iterator[Outcome]]
"""Tries a fault so many times, in a folder that is there and empty."""

_UNSYNCED: Final = "what was not yet synced or encoded"


@dataclass(frozen=True, slots=True)
class Fault:
    """`happens` and `may_be_lost` are words for the table in recorderd/README.md."""

    name: str
    fault: str
    happens: str
    may_be_lost: str
    trials: Trials
    quick: int
    """How many trials are enough each time the tests run."""


def _kills(victim: str, folder: Path, count: int, random: Random) -> Iterator[Outcome]:
    return kills.kills(folder, random.choice(MODES), victim, count, random)


def _power_cuts(mode: str, folder: Path, count: int, random: Random) -> Iterator[Outcome]:
    traced = power.record_run(folder, mode)
    for number, left in enumerate(power.left_by_cuts(traced, count, folder, random)):
        place = folder / f"trial-{number}"
        outcome = power.start_on(left, traced, place, command=number % 10 == 0)
        yield outcome
        if not outcome.violations:
            shutil.rmtree(place)


FAULTS: Final = (
    Fault(
        "kill-station",
        "the station's process is killed",
        "the engine closes its files; the next station goes on with them",
        "nothing",
        partial(_kills, "station"),
        2,
    ),
    Fault(
        "kill-engine",
        "the engine's process is killed",
        "the order goes on in its next part; the part before is repaired",
        _UNSYNCED,
        partial(_kills, "engine"),
        2,
    ),
    Fault(
        "kill-scanner",
        "the scanner's process is killed",
        "it is started again, recording goes on",
        "nothing",
        partial(_kills, "scanner"),
        2,
    ),
    Fault(
        "kill-web",
        "the staff pages are killed",
        "they are started again, recording goes on",
        "nothing",
        partial(_kills, "web"),
        1,
    ),
    Fault(
        "kill-finisher",
        "the finisher is killed, also while it replaces a video by its transcoded one",
        "it does the job again",
        "nothing",
        kills.finisher_kills,
        3,
    ),
    Fault(
        "kill-everything",
        "all processes are killed at once",
        "the next start repairs the video; its row says `recovered`",
        _UNSYNCED,
        partial(_kills, "everything"),
        2,
    ),
    *(
        Fault(
            f"power-cut-{mode}",
            f"the power is cut while recording, mode {mode}",
            "the next start repairs the video; its row says `recovered`",
            _UNSYNCED,
            partial(_power_cuts, mode),
            3,
        )
        for mode in MODES
    ),
    Fault(
        "power-cut-finisher",
        "the power is cut while the finisher works",
        "it does the job again",
        "nothing",
        kills.finisher_power_cuts,
        3,
    ),
)
