"""What must hold after any fault, in one place: the invariants of the design."""

from __future__ import annotations

import sqlite3
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field

import av

from recorderd.core.model import RecordingState
from recorderd.core.signals import Signal
from recorderd.store.consistency import Comparison, Finding, Kind, footage_id_of
from recorderd.store.schema import Recording
from tests.faults.metronome import metronome
from tests.faults.rig import (
    GOP_SECONDS,
    ORDERS,
    PICTURES,
    PRE_ROLL_SECONDS,
    RATE,
    SYNC_SECONDS,
    Rig,
    command,
)
from tests.station.clips import counters

KEPT = (RecordingState.SAVED, RecordingState.RECOVERED)
ENDED = (*KEPT, RecordingState.DAMAGED, RecordingState.LOST, RecordingState.DELETED)
BEHIND_SECONDS = 30.0
"""Rows may follow so much later than their files while a catalogue that failed catches up."""
_RED = (Signal.RECORDING, Signal.STOPS_SOON, Signal.FAULT_RECORDING)


def most_lost(mode: str) -> float:
    """Seconds that a fault may cost, as the README says: what was not yet synced, a group of
    pictures, the picture that was about to come, and in mode encode the pre-roll."""
    group = {"defer": 1 / RATE, "copy": 1.0, "encode": GOP_SECONDS + PRE_ROLL_SECONDS}[mode]
    return SYNC_SECONDS + group + 1 / RATE


def lost_too_much(rig: Rig, seconds: float, fault_ns: int) -> list[str]:
    """Words if a fault at this monotonic moment has cost more than it may. A machine that is
    busy with something else is late with everything; so much is not the station's fault."""
    late = metronome().late_seconds(fault_ns)
    most = most_lost(rig.mode)
    if seconds <= most + late:
        return []
    words = f"{seconds:.2f} s were lost, {most:.2f} s may be (mode {rig.mode})"
    if late:
        words += f", and {late:.2f} s as the machine was late"
    before = [row for row in rig.rows() if row.monotonic_ns < fault_ns]
    newest = sorted(before, key=lambda row: row.monotonic_ns)[-2:]
    return ["; ".join([words, *(_told(rig, row, fault_ns) for row in newest)])]


def _told(rig: Rig, row: Recording, fault_ns: int) -> str:
    ago = (fault_ns - row.monotonic_ns) / 1e9
    return (
        f"{row.id[-4:]} begun {ago:.2f} s before: {row.state}, {row.frames} pictures,"
        f" {rig.whole_pictures.get(row.id)} whole, {row.duration_ms} ms, {row.problem}"
    )


@dataclass(slots=True)
class Outcome:
    """Of one trial."""

    violations: list[str] = field(default_factory=list)
    lost_seconds: float = 0.0
    left_over: int = 0
    """Files in the incoming folder that no recording owns; each is named by fsck."""


def check(
    rig: Rig,
    promised: Iterable[str],
    *,
    before_ns: int,
    settled: bool = True,
    running: bool = True,
    torn: bool = False,
    repeats: bool = False,
) -> Outcome:
    """Look at everything that began before this monotonic moment. The station may run.

    `torn`: a video may have stayed `damaged`, if it plays up to where it was cut off.
    `repeats`: the camera may have shown a picture again.
    """
    outcome = Outcome()
    found = outcome.violations
    if not settled:
        found.append("recordings from before the fault got no end")
    _check_database(rig, found)
    by_id = {row.id: row for row in rig.rows()}
    rows = [row for row in by_id.values() if row.monotonic_ns < before_ns]
    for recording_id in promised:
        row = by_id.get(recording_id)
        if row is None:
            found.append(f"promised {recording_id}: there is no row")
        elif row.state not in KEPT:
            found.append(f"promised {recording_id}: {row.state} ({row.problem})")
    for row in rows:
        _check_row(rig, row, found, torn, repeats)
    for recording_id in rig.known.keys() - by_id.keys():
        found.append(f"{recording_id} has vanished from the catalogue")
    _check_takes(list(by_id.values()), found)
    _check_agreement(rig, before_ns, running, outcome)
    outcome.violations = [text for text in found if text not in rig.complaints]
    rig.complaints.update(found)
    return outcome


def _check_database(rig: Rig, found: list[str]) -> None:
    path = rig.daemon.state / "catalogue.db"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)) as database:
        for (answer,) in database.execute("PRAGMA integrity_check"):
            if answer != "ok":
                found.append(f"integrity_check: {answer}")
        for table, *_ in database.execute("PRAGMA foreign_key_check"):
            found.append(f"foreign_key_check: {table}")


def _check_row(rig: Rig, row: Recording, found: list[str], torn: bool, repeats: bool) -> None:
    if row.state not in ENDED:
        return  # counted by `settled`, or being recorded now
    video = rig.settings.footage_folder / row.path
    if row.state == RecordingState.LOST:
        if video.exists():
            found.append(f"{row.id} is lost, but its file is there")
        return
    if not video.exists():
        found.append(f"{row.id} is {row.state}, but {row.path} is not there")
        return
    status = video.stat()
    facts = (status.st_size, status.st_mtime_ns)
    if rig.known.get(row.id) == facts:
        return
    if row.id in rig.known and row.transcoded_from is None:
        found.append(f"{row.id}: its file was written again")
    if row.state not in KEPT and not torn:
        found.append(f"{row.id} is {row.state}: {row.problem}")
        return
    if status.st_size != row.bytes:
        found.append(f"{row.id}: {status.st_size} bytes, {row.bytes} in the row")
    try:
        cut_off = torn and row.state == RecordingState.DAMAGED
        shown = counters(video, damaged=cut_off)
    except (av.FFmpegError, OSError) as error:
        found.append(f"{row.id} ({row.state}) does not play: {error}")
        return
    # More or less of a file that was cut off may play than was known to be written.
    if len(shown) != row.frames and not cut_off:
        found.append(f"{row.id}: {len(shown)} pictures play, {row.frames} in the row")
    whole = len(shown) if row.dropped else _whole_pictures(shown, repeats)
    rig.whole_pictures[row.id] = whole
    # A page that never reached the disk may lie in the pictures that a fault may cost.
    damaged = (len(shown) - whole) / RATE
    if damaged > (0.0 if row.state == RecordingState.SAVED else most_lost(rig.mode)):
        found.append(f"{row.id}: only {whole} pictures follow one another: {shown}")
    rig.known[row.id] = facts


def _whole_pictures(shown: list[int | None], repeats: bool) -> int:
    """How many there are until one is damaged or missing."""
    steps = (0, 1) if repeats else (1,)
    before: int | None = None
    for count, number in enumerate(shown):
        if number is None or (before is not None and (number - before) % PICTURES not in steps):
            return count
        before = number
    return len(shown)


def _check_takes(rows: list[Recording], found: list[str]) -> None:
    """Numbers that follow one another, and no recording twice."""
    takes: dict[str, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        takes[row.order_id][row.take].append(row.part)
    for order, parts_of in takes.items():
        if order not in ORDERS:
            found.append(f"an order {order!r} was never shown")
        if sorted(parts_of) != list(range(1, len(parts_of) + 1)):
            found.append(f"{order}: takes {sorted(parts_of)}")
        for take, parts in parts_of.items():
            if sorted(parts) != list(range(1, len(parts) + 1)):
                found.append(f"{order}, take {take}: parts {sorted(parts)}")


def _check_agreement(rig: Rig, before_ns: int, running: bool, outcome: Outcome) -> None:
    """What fsck says; a file that no recording owns is no loss, but must be named."""
    settings = rig.settings
    found = _disagreements(rig, running)
    deadline = time.monotonic() + BEHIND_SECONDS
    while running and found and time.monotonic() < deadline:
        time.sleep(0.2)
        found = _disagreements(rig, running)
    lost = {row.id for row in rig.rows() if row.state == RecordingState.LOST}
    for finding in found:
        if finding.kind is Kind.LEFT_OVER and finding.path.stem not in lost:
            outcome.left_over += 1
        else:
            outcome.violations.append(f"fsck: {finding.kind}: {finding.path.name} {finding.detail}")
    if running:
        open_rows = {row.id for row in rig.rows() if row.state not in ENDED}
        for path in settings.incoming_folder.iterdir():
            try:
                status = path.stat()
            except FileNotFoundError:
                continue  # The station goes on meanwhile.
            old = status.st_ctime_ns < _wall(before_ns)
            if old and path.name.partition(".")[0] not in open_rows:
                outcome.left_over += 1


def _disagreements(rig: Rig, running: bool) -> list[Finding]:
    return list(Comparison(rig.settings, footage_id_of(rig.settings), being_recorded=running))


def _wall(monotonic_ns: int) -> int:
    return monotonic_ns + time.time_ns() - time.monotonic_ns()


def fsck(rig: Rig) -> list[str]:
    """What the command itself says while no station runs."""
    done = subprocess.run(
        command("fsck", "--config", str(rig.daemon.config)), capture_output=True, text=True
    )
    return [] if done.returncode == 0 else [f"recorderd fsck: {done.stdout}{done.stderr}"]


def lost_seconds(rig: Rig, fault_ns: int, signals: list[tuple[float, Signal]]) -> float:
    """How much of what was filmed under the red lamp before the fault is in no file.

    A pause before another part of the same order is not this fault's, but that of one before.
    """
    standing = [(at, shown) for at, shown in signals if at * 1e9 <= fault_ns and stands(shown)]
    if not standing or standing[-1][1] not in _RED:
        return 0.0
    red_since = next(
        at
        for at, shown in reversed(standing)
        if shown in _RED and not _red_just_before(standing, at)
    )
    ends = [
        row.monotonic_ns + _whole_ns(rig, row)
        for row in rig.rows()
        if row.state in (*KEPT, RecordingState.DAMAGED) and row.monotonic_ns < fault_ns
    ]
    resumed = [row.monotonic_ns for row in rig.rows() if row.part > 1]
    before_fault = [moment for moment in resumed if moment < fault_ns]
    covered_ns = max([round(red_since * 1e9), *ends, *before_fault])
    return max(0.0, (fault_ns - covered_ns) / 1e9)


def _whole_ns(rig: Rig, row: Recording) -> int:
    """How long it plays until a picture is damaged; the last one is shown for its time, too."""
    plays = (row.duration_ms or 0) * 1_000_000 + round(1e9 / RATE)
    damaged = (row.frames or 0) - rig.whole_pictures.get(row.id, row.frames or 0)
    return plays - round(damaged * 1e9 / RATE)


def stands(shown: Signal) -> bool:
    """Whether a signal goes on until the next one that does."""
    return shown in (
        *_RED,
        Signal.READY,
        Signal.STARTING,
        Signal.SAVING,
        Signal.FAULT_IDLE,
    )


def _red_just_before(standing: list[tuple[float, Signal]], at: float) -> bool:
    before = [shown for moment, shown in standing if moment < at]
    return bool(before) and before[-1] in _RED
