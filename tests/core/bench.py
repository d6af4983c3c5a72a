"""A packing bench on paper: drives the state machine through a shift with a simulated clock.

The camera is searched six times a second; the catalogue and the engine answer when told to.
After every step the bench checks what must hold in any state.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, TypeVar

from recorderd.core.actions import (
    Action,
    EndRun,
    FlagRecording,
    Note,
    PlaySignal,
    ShowSignal,
    StartRecording,
    StopRecording,
    VoidRecording,
)
from recorderd.core.events import (
    DiskMeasured,
    Event,
    FaultCleared,
    FaultRaised,
    FrameScanned,
    HandScanned,
    PedalChanged,
    RecordingFailed,
    RecordingFinished,
    RecordingInterrupted,
    RecordingRegistered,
    TimePassed,
)
from recorderd.core.machine import next_deadline, step
from recorderd.core.model import (
    BLOCKING_FAULTS,
    Code,
    Fault,
    Nanoseconds,
    RecordingId,
    StopReason,
    Symbology,
    nanoseconds,
)
from recorderd.core.rules import LabelRules, Rules
from recorderd.core.signals import Signal
from recorderd.core.state import State, standing_signal

AnAction = TypeVar("AnAction", bound=Action)

FRAME_INTERVAL = nanoseconds(1 / 6)
PLENTY = 100_000_000_000
MIDDLE = ((0.45, 0.45), (0.55, 0.45), (0.55, 0.55), (0.45, 0.55))


class Bench:
    """A station whose camera looks at `in_view`; `actions` is all it has done, in order."""

    def __init__(self, labels: LabelRules | None = None, **rules: Any) -> None:
        self.state = State(rules=Rules(labels=labels or LabelRules(), **rules))
        self.now: Nanoseconds = nanoseconds(1000)
        self.in_view: list[Code] = []
        self.camera_looks = True
        self.actions: list[Action] = []
        self.times: list[Nanoseconds] = []
        self._next_frame = self.now
        self._ids = 0
        self._sequence = 0

    @classmethod
    def ready(cls, labels: LabelRules | None = None, **rules: Any) -> Bench:
        """A bench at which every first report after the start was good."""
        bench = cls(labels, **rules)
        for fault in sorted(BLOCKING_FAULTS - {Fault.DISK_SPACE}):
            bench.send(FaultCleared(fault))
        bench.send(DiskMeasured(PLENTY))
        assert bench.signal() is Signal.READY
        bench.actions.clear()
        bench.times.clear()
        return bench

    @classmethod
    def recording(cls, label: str = "A-1", labels: LabelRules | None = None, **rules: Any) -> Bench:
        """A bench that has recorded `label` for ten seconds; nothing is in view."""
        bench = cls.ready(labels, **rules).show(label).wait(1).hide().wait(9)
        assert bench.orders == [label]
        return bench

    def copy(self) -> Bench:
        """A second bench with the same past; the two go on independently."""
        other = Bench.__new__(Bench)
        other.__dict__.update(self.__dict__)
        other.in_view = list(self.in_view)
        other.actions = list(self.actions)
        other.times = list(self.times)
        return other

    # --- what happens

    def send(self, event: Event) -> Bench:
        """One event at this very moment."""
        self._ids += 1
        state = replace(self.state, next_id=RecordingId(f"r{self._ids}"))
        self.state, actions = step(state, event, self.now)
        self.actions.extend(actions)
        self.times.extend(self.now for _ in actions)
        starts = [action for action in actions if isinstance(action, StartRecording)]
        assert [start.recording_id for start in starts] in ([], [state.next_id])
        assert self.signal() is standing_signal(self.state)
        shown = [action.signal for action in actions if isinstance(action, ShowSignal)]
        assert shown in ([], [self.signal()])
        return self

    def wait(self, seconds: float) -> Bench:
        """Let time pass: the camera looks, deadlines are met."""
        end = self.now + nanoseconds(seconds)
        while True:
            deadline = next_deadline(self.state)
            frame = self._next_frame if self.camera_looks else None
            moment = min((m for m in (deadline, frame) if m is not None), default=end)
            if moment > end:
                break
            if moment == deadline:
                self.now = max(self.now, moment)
                self.send(TimePassed())
                after = next_deadline(self.state)
                assert after is None or after > self.now, "a deadline that never clears"
            elif moment == frame:
                self.now = moment
                self._next_frame += FRAME_INTERVAL
                self.frame()
            else:
                break
        self.now = end
        return self

    def frame(self) -> Bench:
        """One picture is searched now."""
        self._sequence += 1
        return self.send(FrameScanned(self.now, self._sequence, tuple(self.in_view)))

    def show(
        self,
        *texts: str,
        at: tuple[tuple[float, float], ...] = MIDDLE,
        code: Symbology | None = None,
    ) -> Bench:
        """Put labels into the camera's view, beside those that lie there."""
        self.in_view += [Code(text, code or Symbology.QR, at) for text in texts]
        return self

    def hide(self, *texts: str) -> Bench:
        """Take labels out of view; all of them if none is named."""
        self.in_view = [code for code in self.in_view if texts and code.text not in texts]
        return self

    def scan_by_hand(self, text: str) -> Bench:
        return self.send(HandScanned(text))

    def press(self, seconds: float = 0.2) -> Bench:
        """The pedal goes down, and up again after `seconds`."""
        return self.pedal_down().wait(seconds).pedal_up().wait(0.1)

    def pedal_down(self) -> Bench:
        return self.send(PedalChanged(True))

    def pedal_up(self) -> Bench:
        return self.send(PedalChanged(False))

    def lose(self, fault: Fault) -> Bench:
        """A fault begins; without camera or engine nobody looks."""
        if fault in (Fault.CAMERA, Fault.ENGINE):
            self.camera_looks = False
        return self.send(FaultRaised(fault, f"the {fault} is broken"))

    def regain(self, fault: Fault) -> Bench:
        if fault in (Fault.CAMERA, Fault.ENGINE):
            self.camera_looks = True
            self._next_frame = max(self._next_frame, self.now)
        return self.send(FaultCleared(fault))

    def free(self, gigabytes: float) -> Bench:
        return self.send(DiskMeasured(round(gigabytes * 1e9)))

    def register(self, take: int = 1) -> Bench:
        """The catalogue answers for the recording that was started last."""
        return self.send(RecordingRegistered(self.starts[-1].recording_id, take))

    def interrupt(self, reason: StopReason, ago: float = 0.2) -> Bench:
        """The engine ends the running recording by itself, its last picture `ago` seconds old."""
        return self.send(
            RecordingInterrupted(
                self.starts[-1].recording_id, reason, "it broke", self.now - nanoseconds(ago)
            )
        )

    def finish(self, recording_id: str | None = None) -> Bench:
        """Everything that was being closed (or the one named) is saved and checked."""
        waiting = [closing.recording_id for closing in self.state.closing]
        for one in [RecordingId(recording_id)] if recording_id else waiting:
            self.send(RecordingFinished(one))
        return self

    def fail(self, recording_id: str) -> Bench:
        return self.send(RecordingFailed(RecordingId(recording_id), "it cannot be read"))

    # --- what was done about it

    def done(self, kind: type[AnAction]) -> list[AnAction]:
        """All actions of one kind so far."""
        return [action for action in self.actions if isinstance(action, kind)]

    def signal(self) -> Signal:
        """What the lamps show now."""
        assert self.state.signal is not None
        return self.state.signal

    @property
    def starts(self) -> list[StartRecording]:
        return self.done(StartRecording)

    @property
    def stops(self) -> list[StopRecording]:
        return self.done(StopRecording)

    @property
    def orders(self) -> list[str]:
        """The order id of each recording begun, in order."""
        return [start.order.order_id for start in self.starts]

    @property
    def reasons(self) -> list[StopReason]:
        return [stop.reason for stop in self.stops]

    @property
    def played(self) -> list[Signal]:
        return [action.signal for action in self.done(PlaySignal)]

    @property
    def shown(self) -> list[Signal]:
        return [action.signal for action in self.done(ShowSignal)]

    @property
    def flagged(self) -> list[RecordingId]:
        return [action.recording_id for action in self.done(FlagRecording)]

    @property
    def voided(self) -> list[RecordingId]:
        return [action.recording_id for action in self.done(VoidRecording)]

    @property
    def notes(self) -> list[str]:
        return [f"{note.event}: {note.detail}" for note in self.done(Note)]

    @property
    def ended(self) -> bool:
        return bool(self.done(EndRun))

    def when(self, kind: type[Action]) -> Iterator[float]:
        """Seconds from now (negative: ago) of each action of one kind."""
        for time, action in zip(self.times, self.actions, strict=True):
            if isinstance(action, kind):
                yield (time - self.now) / 1e9
