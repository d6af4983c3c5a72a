"""Every fault there is: what happens then, what it may cost, and how it is tried."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Final, TypeAlias

from tests.faults import breaking, kills, power
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
    quick: int = 1
    """How many trials are made each time the tests run."""
    round: int = 5
    """How many trials scripts/faults makes before another fault has its turn."""

    def __str__(self) -> str:
        return self.name


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


def _rooted(trials: Trials, folder: Path, count: int, random: Random) -> Iterator[Outcome]:
    """Only root can mount; elsewhere there are no trials."""
    if breaking.may_mount():
        yield from trials(folder, count, random)


def _breaking(kind: type[breaking.Trouble]) -> Trials:
    return partial(breaking.trials, kind)


FAULTS: Final = (
    Fault(
        "kill-station",
        "the station's process is killed",
        "the engine closes its files; the next station goes on with them",
        "nothing",
        partial(_kills, "station"),
    ),
    Fault(
        "kill-engine",
        "the engine's process is killed",
        "the order goes on in its next part; the part before is repaired",
        _UNSYNCED,
        partial(_kills, "engine"),
    ),
    Fault(
        "kill-scanner",
        "the scanner's process is killed",
        "it is started again, recording goes on",
        "nothing",
        partial(_kills, "scanner"),
    ),
    Fault(
        "kill-web",
        "the staff pages are killed",
        "they are started again, recording goes on",
        "nothing",
        partial(_kills, "web"),
    ),
    Fault(
        "kill-finisher",
        "the finisher is killed, also while it replaces a video by its transcoded one",
        "it does the job again",
        "nothing",
        kills.finisher_kills,
        quick=2,
    ),
    Fault(
        "kill-everything",
        "all processes are killed at once",
        "the next start repairs the video; its row says `recovered`",
        _UNSYNCED,
        partial(_kills, "everything"),
    ),
    *(
        Fault(
            f"power-cut-{mode}",
            f"the power is cut while recording, mode {mode}",
            "the next start repairs the video; its row says `recovered`",
            _UNSYNCED,
            partial(_power_cuts, mode),
            quick=2,
            round=15,
        )
        for mode in MODES
    ),
    Fault(
        "power-cut-finisher",
        "the power is cut while the finisher works",
        "it does the job again",
        "nothing",
        kills.finisher_power_cuts,
        quick=2,
        round=10,
    ),
    Fault(
        "disk-full",
        "the disk is full, at any write",
        "alarm; without room to repair it the video is kept as it is; goes on by itself",
        _UNSYNCED,
        _breaking(breaking.FullAtAnyWrite),
    ),
    Fault(
        "small-disk",
        "something else fills the footage disk",
        "alarm, the recording is closed before the disk is full; goes on by itself",
        "nothing",
        partial(_rooted, _breaking(breaking.SmallDisk)),
    ),
    Fault(
        "no-more-files",
        "the disk has room for no more files",
        "alarm; goes on by itself",
        "nothing",
        partial(_rooted, _breaking(breaking.NoMoreFiles)),
    ),
    Fault(
        "io-errors",
        "the disk answers every write with an error",
        "alarm; goes on by itself",
        _UNSYNCED,
        _breaking(breaking.FailingDisk),
    ),
    Fault(
        "one-io-error",
        "a single write, sync, rename or removal fails",
        "the part is closed or the step is done again",
        _UNSYNCED,
        _breaking(breaking.OneFailure),
    ),
    Fault(
        "read-only",
        "the disk becomes read-only",
        "alarm; goes on by itself",
        _UNSYNCED,
        _breaking(breaking.ReadOnly),
    ),
    Fault(
        "mount-vanishes",
        "the footage disk is taken away and comes back",
        "alarm; goes on by itself",
        _UNSYNCED,
        partial(_rooted, _breaking(breaking.FootageVanishes)),
    ),
    Fault(
        "mount-missing",
        "the footage disk is not there at the start",
        "alarm, nothing is recorded anywhere else; begins by itself",
        "nothing",
        partial(_rooted, breaking.missing_mount),
    ),
    Fault(
        "encoder-fails",
        "the encoder refuses pictures in the middle of a recording",
        "the next part begins at once with another encoder",
        "nothing",
        _breaking(breaking.FailingEncoder),
    ),
    Fault(
        "camera-gone",
        "the camera's stream ends",
        "alarm; on its return the order goes on as the next part",
        "nothing",
        _breaking(breaking.CameraGone),
    ),
    Fault(
        "camera-silent",
        "the camera sends nothing",
        "alarm; then as above",
        "nothing",
        _breaking(breaking.CameraSilent),
    ),
    Fault(
        "camera-rubbish",
        "the camera sends rubbish",
        "alarm; then as above",
        "nothing",
        _breaking(breaking.CameraRubbish),
    ),
    Fault(
        "camera-floods",
        "the camera sends as fast as it can",
        "it is all recorded",
        "nothing",
        _breaking(breaking.CameraFloods),
    ),
    Fault(
        "camera-frozen",
        "the camera sends the very same picture for ever",
        "alarm after `camera.frozen_seconds`; then as above",
        "nothing",
        _breaking(breaking.CameraFrozen),
    ),
    Fault(
        "clock-steps",
        "the clock is set by hours, to and fro",
        "nothing: lengths come from the monotonic clock",
        "nothing",
        _breaking(breaking.ClockStepped),
    ),
    Fault(
        "no-clock",
        "it is 1970 at the start, the clock is set later",
        "the rows are corrected and say so",
        "nothing",
        _breaking(breaking.NoClock),
    ),
    Fault(
        "catalogue-locked",
        "another program locks the catalogue",
        "alarm; videos go on, their rows follow",
        "nothing",
        _breaking(breaking.LockedCatalogue),
    ),
    Fault(
        "catalogue-damaged",
        "the catalogue's file is damaged",
        "alarm; no video is touched, a backup fits again",
        "nothing",
        breaking.damaged_catalogue,
    ),
    Fault(
        "memory-limit",
        "the engine gets no more memory",
        "it is started again, the order goes on",
        _UNSYNCED,
        _breaking(breaking.MemoryLimit),
    ),
    Fault(
        "pedal-stuck",
        "the pedal is stuck",
        "alarm; labels work",
        "nothing",
        _breaking(breaking.PedalStuck),
    ),
    Fault(
        "no-gpio",
        "the lamps' pins cannot be used",
        "status and journal say so; it records",
        "nothing",
        breaking.no_gpio,
    ),
)
