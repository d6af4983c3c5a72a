"""The station's state machine: one pure function from what happened to what to do.

`step` is total: it takes any event in any state, never raises, and ignores completions of
recordings it no longer waits for. The rules are those of the README's "How it behaves"; the
table `tests/core/transitions.md` is generated from this code.
"""

from __future__ import annotations

from recorderd.core import faults, packer, pedal, recordings
from recorderd.core.actions import Action, EndRun, ShowSignal
from recorderd.core.events import (
    DiskMeasured,
    Event,
    FaultCleared,
    FaultRaised,
    FrameScanned,
    HandScanned,
    PanelTestRequested,
    PedalChanged,
    RecordingFailed,
    RecordingFinished,
    RecordingInterrupted,
    RecordingRegistered,
    ShutdownRequested,
    SourceEnded,
    TimePassed,
)
from recorderd.core.model import Nanoseconds, StopReason
from recorderd.core.state import Phase, State, standing_signal
from recorderd.core.turn import Turn


def step(state: State, event: Event, now: Nanoseconds) -> tuple[State, tuple[Action, ...]]:
    """The state after `event` at `now` (CLOCK_MONOTONIC), and what has to be done."""
    turn = Turn(state, now)
    packer.advance_pedal(turn)
    recordings.meet_deadlines(turn)
    _handle(turn, event)
    packer.advance_pedal(turn)
    recordings.resume(turn)
    recordings.meet_deadlines(turn)
    _show_standing_signal(turn)
    if _is_done(turn.state) and not _is_done(state):
        turn.do(EndRun())
    return turn.state, tuple(turn.actions)


def next_deadline(state: State) -> Nanoseconds | None:
    """When `step` must be called with TimePassed at the latest; None if only events matter."""
    deadlines = list(recordings.deadlines(state))
    pedal_deadline = pedal.next_deadline(state.pedal, state.rules.pedal)
    if pedal_deadline is not None:
        deadlines.append(pedal_deadline)
    return min(deadlines, default=None)


def _handle(turn: Turn, event: Event) -> None:
    match event:
        case FrameScanned():
            packer.frame_scanned(turn, event)
        case HandScanned(text):
            packer.hand_scanned(turn, text)
        case PedalChanged(down):
            turn.change(pedal=pedal.contact_changed(turn.state.pedal, down, turn.now))
        case FaultRaised(fault, problem):
            faults.raised(turn, fault, problem)
        case FaultCleared(fault):
            faults.cleared(turn, fault)
        case DiskMeasured(free_bytes):
            faults.disk_measured(turn, free_bytes)
        case RecordingRegistered(recording_id, take):
            recordings.registered(turn, recording_id, take)
        case RecordingInterrupted():
            recordings.interrupted(turn, event)
        case RecordingFinished(recording_id):
            recordings.finished(turn, recording_id)
        case RecordingFailed(recording_id, problem):
            recordings.failed(turn, recording_id, problem)
        case PanelTestRequested():
            packer.panel_test_requested(turn)
        case SourceEnded():
            _leave(turn, StopReason.SOURCE_ENDED)
        case ShutdownRequested():
            _leave(turn, StopReason.SHUTDOWN)
        case TimePassed():
            pass


def _leave(turn: Turn, reason: StopReason) -> None:
    if turn.state.leaving is None:
        turn.change(leaving=reason)
    recordings.stop(turn, reason)


def _show_standing_signal(turn: Turn) -> None:
    signal = standing_signal(turn.state)
    if signal is not turn.state.signal:
        turn.change(signal=signal)
        turn.do(ShowSignal(signal))


def _is_done(state: State) -> bool:
    return state.leaving is not None and state.phase is Phase.READY
