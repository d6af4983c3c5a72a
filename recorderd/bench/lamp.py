"""`recorderd bench lamp`: how soon after a label can be read lamp and beep answer.

Labels are shown to a 4K camera, played from a video file, one after another, each at its own
moment between two scans. The first picture that shows one whole and still is the one in which it
can first be read; the panel says when the lamp changed. Both are moments of the monotonic clock.
"""

from __future__ import annotations

import random
import time
from bisect import bisect_left
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import av

from recorderd.bench import clips, processes
from recorderd.bench.beside import fitting_rate
from recorderd.bench.report import number, percentile, table, tell
from recorderd.bench.trials import before_a_clip, one_after_another
from recorderd.core.model import NANOSECONDS_PER_SECOND, Mode
from recorderd.core.signals import Signal
from recorderd.doctor.encoders import encoder_table
from recorderd.engine.footage_file import BEGINNING_TAG
from recorderd.engine.luma import luma_of
from recorderd.engine.sources.bench_scene import read_counter
from recorderd.engine.sources.bench_script import Scene
from recorderd.settings import Settings
from recorderd.store.reader import find

PRESENTATIONS: Final = 200
CAMERA_RATE: Final = 30
GOAL_MS: Final = 150.0
"""Of 95 in 100 presentations, at 30 pictures a second."""
_LABELS: Final = 12
"""In one round of the video: the same one comes again long after it may count anew."""
_EVERY_SECONDS: Final = 2.0
_SHOWN_SECONDS: Final = 1.2
_LATEST_START_SECONDS: Final = 0.6
_MOST_ROWS: Final = 1000
_STARTS: Final = (Signal.STARTED, Signal.STARTED_AGAIN)


@dataclass(frozen=True, slots=True)
class Presentation:
    """A label of the video: which one, and in which pictures it is shown."""

    order: str
    first: int
    end: int


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What the processor has to do besides."""

    name: str
    mode: Mode
    rate: int
    goal_ms: float | None


@dataclass(frozen=True, slots=True)
class Answers:
    """How long each presentation waited for its lamp, in milliseconds; `missed` had none."""

    circumstances: Circumstances
    milliseconds: list[float]
    missed: int
    other_cores: float

    @property
    def p95(self) -> float:
        return percentile(self.milliseconds, 95)

    @property
    def too_late(self) -> bool:
        """Labels that got no lamp are infinitely late."""
        goal = self.circumstances.goal_ms
        if goal is None:
            return False
        in_time = sum(each <= goal for each in self.milliseconds)
        return in_time < 0.95 * max(1, len(self.milliseconds) + self.missed)

    @property
    def disturbed(self) -> bool:
        return self.other_cores > processes.DISTURBING_CORES


def run(as_json: bool) -> int:
    """Measure and print; takes about fifteen minutes.

    Returns 0, or 1 if the goal was missed and nothing else had the processor. Raises
    DeviceError, StorageError.
    """
    processes.end_with_what_was_started()
    proofs = encoder_table(Settings())
    rate = round(fitting_rate([proof.frames_per_second for proof in proofs if proof.proved]))
    all_circumstances = (
        Circumstances("pictures kept as they come", Mode.DEFER, CAMERA_RATE, GOAL_MS),
        Circumstances("encoded as they come", Mode.ENCODE, rate, None),
    )
    results = one_after_another(all_circumstances, measure)
    return tell(
        "lamp",
        shown(results),
        as_json=as_json,
        failed=any(result.too_late and not result.disturbed for result in results),
        circumstances=[_document(result) for result in results],
    )


def presentations(rate: int) -> list[Presentation]:
    """Of one round of the video."""
    chance = random.Random(rate)
    found = []
    for turn in range(_LABELS):
        begin = turn * _EVERY_SECONDS + chance.uniform(0.0, _LATEST_START_SECONDS)
        first = round(begin * rate)
        found.append(Presentation(f"BENCH-{turn + 1}", first, first + round(_SHOWN_SECONDS * rate)))
    return found


def measure(circumstances: Circumstances, folder: Path) -> Answers:
    """Show `PRESENTATIONS` labels to a station and wait for its lamp."""
    clip, rate = folder / "clip.mp4", circumstances.rate
    plan = presentations(rate)
    seconds = _LABELS * _EVERY_SECONDS

    def scene(second: float) -> Scene:
        picture = round(second * rate)
        behind = clips.hands_at_work(second)
        for presentation in plan:
            if presentation.first <= picture < presentation.end:
                return clips.with_label(behind, presentation.order)
        return behind

    clips.write(clips.Clip(seconds, rate, scene), clip)
    # Without pre-roll a recording begins with the very picture in which its label was read.
    recording = {"mode": circumstances.mode.value, "pre_roll_seconds": 0.0}
    station = before_a_clip(folder, clip, rate, recording, loop=True)
    try:
        station.start()
        # The first label may be in the very first picture: it is ready for no longer than that.
        station.wait_until_recording()
        others = processes.Others()
        time.sleep(PRESENTATIONS * _EVERY_SECONDS)
        other_cores = others.cores()
    finally:
        station.close()
    rows = find(station.settings.database_url, "BENCH-", _MOST_ROWS)
    begins = [
        begin
        for row in sorted(rows, key=lambda row: row.started_at)
        if (begin := _begin(row.order_id, station.settings.footage_folder / row.path))
    ]
    return answers(circumstances, plan, begins, station.signals(), other_cores)


@dataclass(frozen=True, slots=True)
class Begin:
    """Of a recording: the number of its first picture in the video that stands for the camera,
    and when it was taken (CLOCK_MONOTONIC)."""

    order: str
    picture: int
    monotonic_ns: int


def _begin(order: str, video: Path) -> Begin | None:
    with suppress(OSError, av.FFmpegError, KeyError, ValueError), av.open(str(video)) as container:
        frame = next(container.decode(video=0))
        picture = read_counter(luma_of(frame))
        if picture is not None:
            return Begin(order, picture, int(container.metadata[BEGINNING_TAG]))
    return None


def answers(
    circumstances: Circumstances,
    plan: Sequence[Presentation],
    begins: Sequence[Begin],
    signals: Sequence[tuple[Signal, float]],
    other_cores: float,
) -> Answers:
    """Bring together when labels could be read and when the lamp changed.

    `begins` are in the order in which they were recorded.
    """
    firsts = {presentation.order: presentation.first for presentation in plan}
    orders = [presentation.order for presentation in plan]
    lamps = [at for signal, at in signals if signal in _STARTS]
    waited: list[float] = []
    for begin in begins:
        late = (begin.picture - firsts[begin.order]) / circumstances.rate
        readable = begin.monotonic_ns / NANOSECONDS_PER_SECOND - late
        answered = bisect_left(lamps, readable)
        if answered < len(lamps):
            waited.append(round(1000 * (lamps[answered] - readable), 1))
    places = [orders.index(begin.order) for begin in begins]
    missed = sum((after - before - 1) % len(plan) for before, after in pairwise(places))
    return Answers(circumstances, waited, missed, other_cores)


def shown(results: Sequence[Answers]) -> str:
    """For people."""
    lines: list[tuple[str, ...]] = [
        ("", "labels", "p50", "p95", "p99", "worst", "goal", "missed", "others")
    ]
    for result in results:
        circumstances, times = result.circumstances, result.milliseconds
        goal = f"p95 {GOAL_MS:g} ms or less" if circumstances.goal_ms is not None else "-"
        lines.append(
            (
                f"{circumstances.name}, {circumstances.rate}/s",
                str(len(times)),
                *(f"{percentile(times, share):.0f} ms" for share in (50, 95, 99, 100)),
                f"{goal}: missed" if result.too_late else goal,
                str(result.missed),
                f"{number(result.other_cores)} cores",
            )
        )
    return f"From a label that can be read to its lamp, 4K.\n\n{table(lines)}"


def _document(result: Answers) -> dict[str, Any]:
    return asdict(result) | {"p95": result.p95, "too_late": result.too_late}
