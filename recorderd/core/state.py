"""All the station knows while it decides; immutable, replaced as a whole by each step."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from recorderd.core.labels import View
from recorderd.core.model import BLOCKING_FAULTS, Fault, Nanoseconds, Order, RecordingId, StopReason
from recorderd.core.pedal import Pedal
from recorderd.core.rules import Rules
from recorderd.core.signals import Signal


class Phase(StrEnum):
    READY = "ready"
    RECORDING = "recording"
    CLOSING = "closing"


@dataclass(frozen=True, slots=True)
class Active:
    """The recording that is being written.

    `take_started_ns` is when the first part of this take began: time limits count from there.
    `announce_by_ns` is set until the starting tone was chosen. `resume_until_ns` is the
    patience left over from the fault before this part.
    """

    recording_id: RecordingId
    order: Order
    part: int
    take_started_ns: Nanoseconds
    announce_by_ns: Nanoseconds | None
    part_started_ns: Nanoseconds
    resume_until_ns: Nanoseconds | None = None
    warned: bool = False


@dataclass(frozen=True, slots=True)
class Suspended:
    """An order whose recording was cut short by a fault and shall go on afterwards.

    `saved`: its previous part was saved meanwhile.
    """

    order: Order
    previous: RecordingId
    next_part: int
    take_started_ns: Nanoseconds
    from_ns: Nanoseconds
    not_before_ns: Nanoseconds
    until_ns: Nanoseconds
    saved: bool = False


@dataclass(frozen=True, slots=True)
class Closing:
    """A recording on its way to being saved; `final` if its order ends with it."""

    recording_id: RecordingId
    final: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """`next_id` is the id the next recording will get: the caller renews it before each step
    (one step starts at most one recording). `pending` is what has not reported for the first
    time since the start. `leaving` is set once the process is to end.
    """

    rules: Rules
    next_id: RecordingId | None = None
    recording: Active | None = None
    suspended: Suspended | None = None
    closing: tuple[Closing, ...] = ()
    view: View = View()
    pedal: Pedal = Pedal()
    pedal_stopped: RecordingId | None = None
    faults: dict[Fault, str] = field(default_factory=dict)
    pending: frozenset[Fault] = BLOCKING_FAULTS
    free_bytes: int | None = None
    leaving: StopReason | None = None
    signal: Signal | None = None

    @property
    def phase(self) -> Phase:
        if self.recording is not None or self.suspended is not None:
            return Phase.RECORDING
        return Phase.CLOSING if self.closing else Phase.READY

    @property
    def order(self) -> Order | None:
        """The order at hand, also while its recording waits for a fault to go away."""
        current = self.recording or self.suspended
        return current.order if current else None

    @property
    def current_id(self) -> RecordingId | None:
        """The recording a packer means now: the one being written, or the last part of it."""
        if self.recording is not None:
            return self.recording.recording_id
        return self.suspended.previous if self.suspended is not None else None

    @property
    def obstacles(self) -> tuple[str, ...]:
        """Why no order can be started now; empty if one can."""
        return self._against(BLOCKING_FAULTS)

    @property
    def obstacles_to_resume(self) -> tuple[str, ...]:
        """Why an interrupted order cannot go on now; empty if it can.

        Little room refuses new orders only, but at the reserve itself the next part would be
        closed again at once.
        """
        has_room = self.free_bytes is not None and self.free_bytes >= 2 * self.rules.reserve_bytes
        return self._against(BLOCKING_FAULTS - {Fault.DISK_SPACE} if has_room else BLOCKING_FAULTS)

    def _against(self, blocking: frozenset[Fault]) -> tuple[str, ...]:
        texts = [text for fault, text in self.faults.items() if fault in blocking]
        texts += [f"the station is still waiting for: {fault}" for fault in sorted(self.pending)]
        if self.leaving is not None:
            texts.append("the station is stopping")
        return tuple(texts)


def standing_signal(state: State) -> Signal:
    """What the lamps say about this state. Pure, so that a state can never look wrong."""
    if state.faults:
        busy = state.phase is Phase.RECORDING
        return Signal.FAULT_RECORDING if busy else Signal.FAULT_IDLE
    if state.pending:
        return Signal.STARTING
    if state.recording is not None:
        return Signal.STOPS_SOON if state.recording.warned else Signal.RECORDING
    if state.phase is Phase.RECORDING or state.closing:
        return Signal.SAVING
    return Signal.READY
