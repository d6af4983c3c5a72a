"""`recorderd bench soak`: thousands of orders without a pause, and what memory does meanwhile.

The station records one order after the other, each by showing its label while the one before is
still recorded, as fast as labels can be told apart. What leaks, leaks with every order, so that
an hour of this tells as much as weeks of packing.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean
from typing import Final

from recorderd.bench import clips, processes
from recorderd.bench.report import goals_line, number, table, tell, unmet
from recorderd.bench.trials import before_a_clip, one_after_another
from recorderd.bench.try_out import TryOut
from recorderd.core.model import Mode, RecordingState
from recorderd.engine.sources.bench_script import Scene
from recorderd.store.reader import find

SIZE: Final = (1920, 1080)
RATE: Final = 10
ORDERS: Final = 2000
GROWTH_GOAL: Final = 1.1
"""Memory in the last third of the time, as a multiple of the second third: in the first all that
is needed is loaded, and filled once."""
_LABELS: Final = 20
_ORDER_SECONDS: Final = 1.5
_SHOWN_SECONDS: Final = 1.0
_SAMPLE_SECONDS: Final = 5.0
_SETTLE_SECONDS: Final = 5.0
_SAMPLES_EACH: Final = 3


@dataclass(frozen=True, slots=True)
class Soaked:
    """`megabytes` of all recording processes over time; `orders` is how many were shown."""

    name: str
    orders: int
    recordings: int
    unsaved: int
    scanner_deaths: int
    engine_restarts: int
    megabytes: list[float]

    @property
    def growth(self) -> float:
        third = len(self.megabytes) // _SAMPLES_EACH
        if not third:
            return 1.0
        return mean(self.megabytes[-third:]) / mean(self.megabytes[third : 2 * third])

    @property
    def missed(self) -> list[str]:
        """Goals in words."""
        return unmet(
            ("every order recorded", self.recordings >= self.orders),
            ("every recording saved", not self.unsaved),
            ("no process died", not self.scanner_deaths and not self.engine_restarts),
            (f"memory grows by {GROWTH_GOAL:g} at most", self.growth <= GROWTH_GOAL),
        )


@dataclass(frozen=True, slots=True)
class Run:
    """So many orders."""

    name: str
    orders: int


def run(orders: int, as_json: bool) -> int:
    """Measure and print; takes 25 minutes for a thousand orders.

    Returns 0, or 1 if a goal was missed. Raises DeviceError, StorageError.
    """
    processes.end_with_what_was_started()
    (result,) = one_after_another((Run(f"{orders} orders", orders),), measure)
    return tell(
        "soak",
        shown(result),
        as_json=as_json,
        failed=bool(result.missed),
        growth=result.growth,
        missed=result.missed,
        **asdict(result),
    )


def measure(plan: Run, folder: Path) -> Soaked:
    """Let a station record so many orders."""
    clip = folder / "clip.mp4"
    seconds = _LABELS * _ORDER_SECONDS
    clips.write(clips.Clip(seconds, RATE, _scene, "mjpeg", SIZE), clip)
    recording = {"mode": Mode.DEFER.value, "pre_roll_seconds": 0.5}
    labels = {"on_other_label": "switch"}
    station = before_a_clip(folder, clip, RATE, recording, labels=labels, loop=True)
    megabytes = []
    try:
        station.start()
        station.wait_until_recording()
        ends = time.monotonic() + plan.orders * _ORDER_SECONDS
        while (left := ends - time.monotonic()) > 0:
            time.sleep(min(left, _SAMPLE_SECONDS))
            megabytes.append(round(processes.memory_bytes(station.recorder()) / 1e6, 1))
        counters = _counters(station)
        time.sleep(_SETTLE_SECONDS)
    finally:
        station.close()
    rows = find(station.settings.database_url, "SOAK-", 2 * plan.orders + 100)
    saved = sum(row.state == RecordingState.SAVED for row in rows)
    return Soaked(
        plan.name,
        plan.orders,
        len(rows),
        len(rows) - saved,
        counters.get("scanner_deaths", 0),
        counters.get("engine_restarts", 0),
        megabytes,
    )


def _scene(second: float) -> Scene:
    turn, within = divmod(second, _ORDER_SECONDS)
    scene = clips.hands_at_work(second)
    if within < _SHOWN_SECONDS:
        return clips.with_label(scene, f"SOAK-{int(turn) % _LABELS + 1}")
    return scene


def _counters(station: TryOut) -> dict[str, int]:
    counters = station.status().get("counters", {})
    return {name: int(value) for name, value in counters.items() if isinstance(value, int)}


def shown(result: Soaked) -> str:
    """For people."""
    megabytes: Sequence[float] = result.megabytes or [0.0]
    lines = (
        ("orders shown", str(result.orders)),
        ("recordings", str(result.recordings)),
        ("not saved", str(result.unsaved)),
        ("scanner processes that died", str(result.scanner_deaths)),
        ("engines that were replaced", str(result.engine_restarts)),
        ("memory at first, most, at last", _span(megabytes)),
        ("memory in the last third", f"{number(result.growth)} times that of the second"),
    )
    return f"{table(lines)}\n\n{goals_line(result.missed)}"


def _span(megabytes: Sequence[float]) -> str:
    return f"{megabytes[0]:.0f}, {max(megabytes):.0f}, {megabytes[-1]:.0f} MB"
