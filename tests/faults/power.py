"""The plug is pulled: folders as a power cut may leave them, and the real station on each."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from random import Random

from recorderd.core.signals import Signal
from tests.faults.invariants import Outcome, check, fsck, lost_seconds, lost_too_much
from tests.faults.replay import NAMING, Disk, Luck, Operation, Record, difference, records
from tests.faults.rig import Rig

TRACE_SECONDS = 6.0


@dataclass(frozen=True, slots=True)
class Traced:
    """A run of the station, with all that it did to its state folder."""

    mode: str
    disk: Disk
    """The state folder as it was when it began."""
    records: list[Record]
    signals: list[tuple[float, Signal]]
    saved: list[str]
    """The recordings of the `saved` signals, in the same order."""

    def promised(self, moment_ns: int) -> list[str]:
        """The recordings that the lamp had called saved by then."""
        heard = sum(
            1 for at, shown in self.signals if shown is Signal.SAVED and at * 1e9 <= moment_ns
        )
        return self.saved[:heard]


def record_run(folder: Path, mode: str, seconds: float = TRACE_SECONDS) -> Traced:
    """Let a station work under the tracer, and prove that the trace tells all of it."""
    rig = Rig(folder / "traced", mode)
    beginning = Disk(rig.daemon.state)
    rig.start(trace=True)
    started = rig.daemon.wait_for(Signal.RECORDING, 30)
    time.sleep(max(0.0, started + seconds - time.monotonic()))
    rig.daemon.press("press")
    rig.daemon.press("release")
    rig.daemon.wait_for(Signal.SAVED, after=time.monotonic())
    if rig.stop() != 0:
        raise AssertionError(rig.daemon.log.read_text()[-3000:])
    found = records(rig.trace)
    disk = deepcopy(beginning)
    for record in found:
        disk.play(record)
    replayed = folder / "replayed"
    disk.leave(replayed, Luck.KEPT, Random(0))
    unlike = difference(replayed, rig.daemon.state)
    if unlike:
        raise AssertionError(f"The trace does not lead to the folder that was left: {unlike}")
    return Traced(mode, beginning, found, rig.daemon.signals(), rig.saved_lines())


def cuts(trace: list[Record], count: int, random: Random) -> list[int]:
    """Places in the trace, in order: half of them anywhere in time, half where names change,
    something is synced, or the catalogue is written."""
    times = [record.monotonic_ns for record in trace]
    delicate = [
        number
        for number, record in enumerate(trace)
        if record.operation in (*NAMING, Operation.SYNC_BEGINS, Operation.SYNC_ENDED)
    ]
    found = []
    for _ in range(count):
        if random.random() < 0.5:
            found.append(bisect_right(times, random.randint(times[0], times[-1])))
        else:
            found.append(min(len(times), random.choice(delicate) + random.randint(0, 1)))
    return sorted(found)


@dataclass(frozen=True, slots=True)
class Left:
    """What a power cut at this moment of the traced run may have left in `state`."""

    moment_ns: int
    luck: Luck
    state: Path


def left_by_cuts(traced: Traced, count: int, folder: Path, random: Random) -> Iterator[Left]:
    """So many folders, one after another."""
    disk = deepcopy(traced.disk)
    done = 0
    for number, place in enumerate(cuts(traced.records, count, random)):
        for record in traced.records[done:place]:
            disk.play(record)
        done = place
        luck = random.choice(list(Luck))
        state = folder / f"left-{number}"
        disk.leave(state, luck, random)
        yield Left(traced.records[place - 1].monotonic_ns if place else 0, luck, state)


def start_on(left: Left, traced: Traced, folder: Path, *, command: bool = False) -> Outcome:
    """Start the station on it, let it record, stop it, and look at everything."""
    rig = Rig(folder, traced.mode, state=left.state)
    rig.start()
    rig.daemon.wait_for(Signal.RECORDING, 30)
    settled = rig.wait_settled(rig.started_ns)
    rig.daemon.wait_for(Signal.SAVED, 30)
    code = rig.stop()
    outcome = check(
        rig,
        traced.promised(left.moment_ns),
        before_ns=time.monotonic_ns(),
        settled=settled,
        running=False,
    )
    if code != 0:
        outcome.violations.append(f"the station ended with exit code {code}")
    outcome.lost_seconds = lost_seconds(rig, left.moment_ns, traced.signals)
    outcome.violations += [
        f"{words}; on the disk: {left.luck}"
        for words in lost_too_much(rig, outcome.lost_seconds, left.moment_ns)
    ]
    if command and not outcome.left_over:
        outcome.violations += fsck(rig)
    return outcome
