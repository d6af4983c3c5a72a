"""What it costs the station to enter a recording into a large catalogue, beside an empty one."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from statistics import median
from typing import Final

from recorderd.bench.made_up import BEGIN, LENGTH, STATIONS
from recorderd.bench.report import Comparison
from recorderd.core.model import Mode, Order, StopReason, Symbology
from recorderd.store.catalogue import SYNCHRONISED, CapturedFile, Catalogue, NewRecording
from recorderd.store.identity import new_recording_id

_ROUNDS: Final = 5
_IN_A_ROUND: Final = 60
_SPACING: Final = timedelta(seconds=63)
_PRE_ROLL: Final = timedelta(seconds=3)
_MILLISECONDS: Final = 1000


def compared(large: Path, empty: Path) -> list[Comparison]:
    """Enter recordings into both files in turn, each step synced. Raises CatalogueError."""
    with (
        closing(Catalogue.open(f"sqlite:///{large}", STATIONS[0])) as ours,
        closing(Catalogue.open(f"sqlite:///{empty}", STATIONS[0])) as theirs,
    ):
        rounds = []
        for number in range(_ROUNDS):
            both = [(ours, number), (theirs, number)]
            # Which one comes first changes from round to round.
            found = {id(one): _steps(one, of) for one, of in both[:: 1 if number % 2 else -1]}
            rounds.append((found[id(ours)], found[id(theirs)]))
    return [
        Comparison(
            name,
            "ms",
            tuple(figure(mine[step]) for mine, _ in rounds),
            tuple(figure(others[step]) for _, others in rounds),
        )
        for step, name, figure in (
            (0, "it begins", median),
            (1, "its video is closed", median),
            (2, "it is saved", median),
            (3, "all three, the slowest of a round", max),
        )
    ]


def _steps(catalogue: Catalogue, round_number: int) -> list[list[float]]:
    """What each step took, of all recordings of a round, and what all three took together."""
    times: list[list[float]] = [[], [], [], []]
    for number in range(_IN_A_ROUND):
        steps = _recording(catalogue, round_number * _IN_A_ROUND + number)
        taken = [_timed(step) for step in steps]
        for kept, each in zip(times, (*taken, sum(taken)), strict=True):
            kept.append(each)
    return times


def _recording(catalogue: Catalogue, number: int) -> list[Callable[[], object]]:
    """The steps of one recording, newer than all that is in the made-up catalogue."""
    recording_id = new_recording_id()
    begun = BEGIN + LENGTH + _SPACING * number
    new = NewRecording(
        id=recording_id,
        order=Order(f"NEW-{number:07}", f"NEW-{number:07}", Symbology.QR),
        part=1,
        continues=None,
        station=catalogue.station,
        path=f"{begun:%Y/%m/%d}/{recording_id}.mp4",
        started_at=begun,
        monotonic_ns=_SPACING.seconds * 10**9 * (number + 1),
        boot_id="6f0c2f4e-1d0b-4d0e-9a57-0a5d9f5f6f12",
        clock=SYNCHRONISED,
    )
    file = CapturedFile(
        path=new.path,
        bytes=150_000_000,
        frames=1800,
        dropped=0,
        duration_ms=60_000,
        started_at=begun - _PRE_ROLL,
        ended_at=begun - _PRE_ROLL + timedelta(seconds=60),
        codec="h264",
        encoder="libx264",
        mode=Mode.ENCODE,
        width=3840,
        height=2160,
        stop_reason=StopReason.LABEL,
        recovered=False,
    )
    return [
        lambda: catalogue.register(new),
        lambda: catalogue.captured(recording_id, file),
        lambda: catalogue.saved(recording_id),
    ]


def _timed(do: Callable[[], object]) -> float:
    begun = time.perf_counter()
    do()
    return (time.perf_counter() - begun) * _MILLISECONDS
