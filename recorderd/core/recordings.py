"""The life of an order's recordings: start, stop, parts, time limit, completion."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from recorderd.core import labels
from recorderd.core.actions import Note, PlaySignal, StartRecording, StopRecording
from recorderd.core.events import RecordingInterrupted
from recorderd.core.model import Nanoseconds, Order, RecordingId, StopReason
from recorderd.core.signals import Signal
from recorderd.core.state import Active, Closing, State, Suspended
from recorderd.core.turn import Turn

_ANOTHER_ENCODER = frozenset({StopReason.ENCODER_FAILED, StopReason.ENCODER_TOO_SLOW})
"""Nothing has to be waited for: the engine has chosen anew when it says so."""


def start(turn: Turn, order: Order, label_sequence: int | None) -> None:
    """Begin a take. Only while no order is at hand and nothing stands against it."""
    _begin(
        turn,
        order,
        part=1,
        continues=None,
        take_started_ns=turn.now,
        from_ns=turn.now - turn.state.rules.pre_roll,
        label_sequence=label_sequence,
    )


def stop(turn: Turn, reason: StopReason) -> None:
    """End the order at hand; its label must leave the view before it counts again."""
    state = turn.state
    if state.order is None:
        return
    turn.change(view=labels.spent(state.view, state.order), suspended=None)
    if state.recording is not None:
        _close(turn, state.recording, turn.now, reason, final=True)
    elif state.suspended is not None:
        last = state.suspended.previous
        turn.do(Note("order ended", f"{reason}, while its recording was interrupted", last))
        turn.change(
            closing=tuple(
                replace(closing, final=closing.final or closing.recording_id == last)
                for closing in state.closing
            )
        )
        if state.suspended.saved:
            turn.do(PlaySignal(Signal.SAVED))


def suspend(
    turn: Turn,
    active: Active,
    reason: StopReason,
    resume_ns: Nanoseconds,
    wait: Nanoseconds = 0,
) -> None:
    """Close this part; its order goes on in the next one once the fault is gone.

    The next part is to begin with the picture captured at `resume_ns`, and not before `wait`
    from now. A part that failed at once does not win new patience: a disk that refuses every
    file would else be tried for ever.
    """
    rules = turn.state.rules
    until_ns = min(turn.now + rules.resume, active.take_started_ns + rules.maximum)
    if active.resume_until_ns is not None and _failed_again(turn, active):
        until_ns = active.resume_until_ns
    _close(turn, active, resume_ns, reason, final=False)
    turn.change(
        suspended=Suspended(
            order=active.order,
            previous=active.recording_id,
            next_part=active.part + 1,
            take_started_ns=active.take_started_ns,
            from_ns=resume_ns,
            not_before_ns=turn.now + wait,
            until_ns=until_ns,
        )
    )


def resume(turn: Turn) -> None:
    """Go on with an interrupted order as soon as nothing stands against it."""
    waiting = turn.state.suspended
    if waiting is None or turn.state.obstacles_to_resume:
        return
    if waiting.not_before_ns <= turn.now < waiting.until_ns:
        turn.change(suspended=None)
        _begin(
            turn,
            waiting.order,
            part=waiting.next_part,
            continues=waiting.previous,
            take_started_ns=waiting.take_started_ns,
            from_ns=waiting.from_ns,
            label_sequence=None,
            resume_until_ns=waiting.until_ns,
        )


def meet_deadlines(turn: Turn) -> None:
    """Do what time alone brings about: give up, announce, warn, stop."""
    rules = turn.state.rules
    waiting = turn.state.suspended
    if waiting is not None and turn.now >= waiting.until_ns:
        turn.do(
            Note("order ended", "its recording was interrupted for too long", waiting.previous),
            PlaySignal(Signal.FAILED),
        )
        turn.change(suspended=None)
    active = turn.state.recording
    if active is None:
        return
    if active.announce_by_ns is not None and turn.now >= active.announce_by_ns:
        active = _announce(turn, active, Signal.STARTED)
    limit = active.take_started_ns + rules.maximum
    if turn.now >= limit:
        stop(turn, StopReason.TIME_LIMIT)
    elif turn.now >= limit - rules.warning and not active.warned:
        turn.change(recording=replace(active, warned=True))


def deadlines(state: State) -> Iterator[Nanoseconds]:
    """When `meet_deadlines` or `resume` will have something to do, without any event."""
    active, waiting = state.recording, state.suspended
    if active is not None:
        limit = active.take_started_ns + state.rules.maximum
        yield limit if active.warned else limit - state.rules.warning
        if active.announce_by_ns is not None:
            yield active.announce_by_ns
    if waiting is not None:
        yield waiting.until_ns
        if not state.obstacles_to_resume:
            yield waiting.not_before_ns


def registered(turn: Turn, recording_id: RecordingId, take: int) -> None:
    """Play the starting tone; the catalogue knows now which of the two it is."""
    active = turn.state.recording
    if active is None or active.recording_id != recording_id or active.announce_by_ns is None:
        return
    again = take > 1 and active.part == 1
    _announce(turn, active, Signal.STARTED_AGAIN if again else Signal.STARTED)


def interrupted(turn: Turn, event: RecordingInterrupted) -> None:
    """The engine ended the part by itself.

    With an encoder that failed or fell behind the engine takes another one, or none: go on at
    once, so that no picture is lost, unless the next encoder failed at once too.
    """
    active = turn.state.recording
    if active is None or active.recording_id != event.recording_id:
        return
    turn.do(Note("recording interrupted", event.problem, event.recording_id))
    hurry = event.reason in _ANOTHER_ENCODER and not _failed_again(turn, active)
    wait = 0 if hurry else turn.state.rules.retry
    suspend(turn, active, event.reason, event.resume_ns, wait)


def finished(turn: Turn, recording_id: RecordingId) -> None:
    """The recording is saved and checked; the packer hears of the last part of an order."""
    closed = _forget_closing(turn, recording_id)
    if closed is None:
        return
    waiting = turn.state.suspended
    if closed.final:
        turn.do(PlaySignal(Signal.SAVED))
    elif waiting is not None and waiting.previous == recording_id:
        turn.change(suspended=replace(waiting, saved=True))


def failed(turn: Turn, recording_id: RecordingId, problem: str) -> None:
    """The recording cannot be kept as promised; one that was still running is tried anew."""
    active = turn.state.recording
    if active is not None and active.recording_id == recording_id:
        suspend(turn, active, StopReason.STORAGE_LOST, turn.now, turn.state.rules.retry)
    if _forget_closing(turn, recording_id) is not None:
        turn.do(Note("recording failed", problem, recording_id), PlaySignal(Signal.FAILED))


def _begin(
    turn: Turn,
    order: Order,
    *,
    part: int,
    continues: RecordingId | None,
    take_started_ns: Nanoseconds,
    from_ns: Nanoseconds,
    label_sequence: int | None,
    resume_until_ns: Nanoseconds | None = None,
) -> None:
    recording_id = turn.state.next_id
    if recording_id is None:
        turn.refuse("recording refused", "no recording id was supplied: a bug in recorderd")
        return
    turn.do(StartRecording(recording_id, order, part, continues, from_ns, label_sequence))
    turn.change(
        next_id=None,
        recording=Active(
            recording_id,
            order,
            part,
            take_started_ns,
            announce_by_ns=turn.now + turn.state.rules.announce_within,
            part_started_ns=turn.now,
            resume_until_ns=resume_until_ns,
        ),
    )


def _announce(turn: Turn, active: Active, signal: Signal) -> Active:
    turn.do(PlaySignal(signal))
    announced = replace(active, announce_by_ns=None)
    turn.change(recording=announced)
    return announced


def _failed_again(turn: Turn, active: Active) -> bool:
    """Whether this part, itself begun after an interruption, did not last either."""
    lasted = turn.now - active.part_started_ns
    return active.resume_until_ns is not None and lasted < 2 * turn.state.rules.retry


def _close(
    turn: Turn, active: Active, at_ns: Nanoseconds, reason: StopReason, *, final: bool
) -> None:
    turn.do(StopRecording(active.recording_id, at_ns, reason))
    turn.change(recording=None, closing=(*turn.state.closing, Closing(active.recording_id, final)))


def _forget_closing(turn: Turn, recording_id: RecordingId) -> Closing | None:
    for closing in turn.state.closing:
        if closing.recording_id == recording_id:
            turn.change(closing=tuple(c for c in turn.state.closing if c is not closing))
            return closing
    return None
