"""What goes wrong with the station, and what comes right again."""

from __future__ import annotations

from recorderd.core import recordings
from recorderd.core.actions import Note
from recorderd.core.model import Fault, StopReason
from recorderd.core.turn import Turn

_ENDS_PART_WITH = {
    Fault.CAMERA: StopReason.CAMERA_LOST,
    Fault.ENGINE: StopReason.ENGINE_LOST,
    Fault.STORAGE: StopReason.STORAGE_LOST,
}


def raised(turn: Turn, fault: Fault, problem: str) -> None:
    """Something is wrong; some faults end the part that is being recorded."""
    if turn.state.faults.get(fault) != problem:
        turn.do(Note("fault", f"{fault}: {problem}"))
    reported = {fault}
    if fault is Fault.STORAGE:
        # The room on a disk that is not there will not be reported; what is wrong is known.
        reported.add(Fault.DISK_SPACE)
    turn.change(faults={**turn.state.faults, fault: problem}, pending=turn.state.pending - reported)
    active = turn.state.recording
    if fault in _ENDS_PART_WITH and active is not None:
        recordings.suspend(turn, active, _ENDS_PART_WITH[fault], turn.now)


def cleared(turn: Turn, fault: Fault) -> None:
    """The cause is gone, or the first report after the start found nothing wrong."""
    if fault in turn.state.faults:
        turn.do(Note("fault cleared", str(fault)))
    remaining = {kind: text for kind, text in turn.state.faults.items() if kind is not fault}
    turn.change(faults=remaining, pending=turn.state.pending - {fault})


def disk_measured(turn: Turn, free_bytes: int) -> None:
    """Little room refuses new recordings; the reserve is what a running one has to leave."""
    rules = turn.state.rules
    turn.change(free_bytes=free_bytes)
    needed = max(rules.minimum_free_bytes, rules.reserve_bytes)
    low = Fault.DISK_SPACE in turn.state.faults
    if low:
        needed += needed // 20  # so that a fault at the edge does not flicker
    if free_bytes >= needed:
        cleared(turn, Fault.DISK_SPACE)
    elif not low:
        raised(
            turn,
            Fault.DISK_SPACE,
            f"only {free_bytes / 1e9:.1f} GB are free for footage: make room or shorten "
            "how long footage is kept",
        )
    active = turn.state.recording
    if free_bytes < rules.reserve_bytes and active is not None:
        recordings.suspend(turn, active, StopReason.DISK_FULL, turn.now)
