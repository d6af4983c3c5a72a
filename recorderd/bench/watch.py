"""`recorderd bench watch`: what it costs to watch a bench at which nothing is recorded.

The station waits for labels before a 4K camera, played from a video file: of a bench at which
nobody is, and of one at which hands move.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from recorderd.bench import clips, processes
from recorderd.bench.report import number, table, tell
from recorderd.bench.trials import before_a_clip, one_after_another
from recorderd.bench.try_out import TryOut
from recorderd.core.model import Mode
from recorderd.engine.sources.bench_script import Scene

RATE: Final = 30
GOAL_CORES: Final = 0.15
"""Of one core, for all processes that watch, while nobody is there."""
_SECONDS: Final = 60.0
_SETTLE_SECONDS: Final = 3.0


@dataclass(frozen=True, slots=True)
class View:
    """What the camera sees, again and again, and how many cores that may take."""

    name: str
    seconds: float
    scenes: Callable[[float], Scene]
    goal: float | None = None


VIEWS: Final = (
    View("nobody there", 4.0, clips.empty_bench, GOAL_CORES),
    View("hands moving", 20.0, clips.hands_at_work),
)


@dataclass(frozen=True, slots=True)
class Watched:
    """Cores on average and megabytes of the processes that watch; `scans` is of labels, for a
    second."""

    name: str
    cores: float
    megabytes: float
    scans: float
    other_cores: float
    goal: float | None

    @property
    def missed(self) -> bool:
        return self.goal is not None and self.cores > self.goal

    @property
    def disturbed(self) -> bool:
        return self.other_cores > processes.DISTURBING_CORES


def run(as_json: bool) -> int:
    """Measure and print; takes three minutes.

    Returns 0, or 1 if the goal was missed and nothing else had the processor. Raises
    DeviceError, StorageError.
    """
    processes.end_with_what_was_started()
    results = one_after_another(VIEWS, _measure)
    return tell(
        "watch",
        shown(results),
        as_json=as_json,
        failed=any(result.missed and not result.disturbed for result in results),
        views=[asdict(result) for result in results],
    )


def shown(results: Sequence[Watched]) -> str:
    """For people."""
    lines = [("", "processor", "goal", "memory", "scans a second", "others")]
    for result in results:
        goal = "-" if result.goal is None else f"{result.goal:g} cores or less"
        lines.append(
            (
                result.name,
                f"{number(result.cores)} cores",
                f"{goal}: missed" if result.missed else goal,
                f"{result.megabytes:.0f} MB",
                number(result.scans),
                f"{number(result.other_cores)} cores",
            )
        )
    return f"4K MJPEG, {RATE} pictures a second, nothing is recorded.\n\n{table(lines)}"


def _measure(view: View, folder: Path) -> Watched:
    clip = folder / "clip.mp4"
    clips.write(clips.Clip(view.seconds, RATE, view.scenes), clip)
    # An encoder that is not needed is not tried either.
    station = before_a_clip(folder, clip, RATE, {"mode": Mode.DEFER.value}, loop=True)
    try:
        station.start()
        station.wait_until_ready()
        time.sleep(_SETTLE_SECONDS)
        watchers = station.recorder()
        others, began = processes.Others(), time.monotonic()
        spent, scans = processes.cpu_seconds(watchers), _scans(station)
        time.sleep(_SECONDS)
        seconds = time.monotonic() - began
        return Watched(
            name=view.name,
            cores=(processes.cpu_seconds(watchers) - spent) / seconds,
            megabytes=processes.memory_bytes(watchers) / 1e6,
            scans=(_scans(station) - scans) / seconds,
            other_cores=others.cores(),
            goal=view.goal,
        )
    finally:
        station.close()


def _scans(station: TryOut) -> int:
    return int(station.status().get("counters", {}).get("scans", 0))
