"""Whatever happens, in whatever order and at whatever moment: the promises of the machine."""

from __future__ import annotations

import re
from dataclasses import replace

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from recorderd.core.actions import (
    Action,
    EndRun,
    FlagRecording,
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
from recorderd.core.machine import next_deadline, step
from recorderd.core.model import (
    BLOCKING_FAULTS,
    Code,
    Fault,
    OtherLabel,
    RecordingId,
    SameLabel,
    StopReason,
    Symbology,
    nanoseconds,
)
from recorderd.core.rules import LabelRules, PedalRules, Rules
from recorderd.core.signals import Signal
from recorderd.core.state import Phase, State, standing_signal

TEXTS = st.one_of(
    st.sampled_from(["A-1", "A-1", "B-2", "C-3"]),
    st.sampled_from(["recorderd:stop", "recorderd:flag", "recorderd:void", "recorderd:end-shift"]),
    st.sampled_from(["../../etc/passwd", "", "x" * 4096, "\x00", "📦", "recorderd:no"]),
    st.text(st.characters(), max_size=8),
)
SCENES = st.lists(TEXTS, max_size=3)
SECONDS = st.one_of(
    st.sampled_from([0.0, 0.001, 0.03, 0.17, 0.6, 1.0, 2.0, 3.0, 5.0, 15.0, 60.0, 900.0]),
    st.floats(0, 100),
)
PERMISSIVE = re.compile(r"(?s).+")


@st.composite
def all_rules(draw: st.DrawFn) -> Rules:
    """Any setting a station may have, strange ones included."""
    labels = LabelRules(
        pattern=draw(st.sampled_from([LabelRules().pattern, PERMISSIVE])),
        confirm_frames=draw(st.integers(1, 3)),
        on_other_label=draw(st.sampled_from(OtherLabel)),
        on_same_label=draw(st.sampled_from(SameLabel)),
    )
    moment = st.sampled_from([0.0, 0.3, 2.0, 60.0])
    return Rules(
        labels=labels,
        pedal=PedalRules(debounce=nanoseconds(draw(st.sampled_from([0.0, 0.03])))),
        minimum=nanoseconds(draw(st.sampled_from([0.0, 5.0]))),
        maximum=nanoseconds(draw(st.sampled_from([10.0, 900.0]))),
        warning=nanoseconds(draw(moment)),
        resume=nanoseconds(draw(moment)),
        retry=nanoseconds(draw(moment)),
        announce_within=nanoseconds(draw(st.sampled_from([0.0, 0.3]))),
        minimum_free_bytes=draw(st.sampled_from([0, 5_000_000_000])),
    )


class Station(RuleBasedStateMachine):
    """Sends events and keeps its own books about what the machine did."""

    def __init__(self) -> None:
        super().__init__()
        self.state = State(rules=Rules())
        self.now = 0
        self.sequence = 0
        self.started: list[StartRecording] = []
        self.stopped: set[RecordingId] = set()
        self.reported: set[RecordingId] = set()
        self.ended = False

    @initialize(rules=all_rules(), now=st.integers(0, 10**15), ready=st.booleans())
    def begin(self, rules: Rules, now: int, ready: bool) -> None:
        self.state, self.now = State(rules=rules), now
        if ready:
            for fault in sorted(BLOCKING_FAULTS):
                self.send(FaultCleared(fault))

    # --- events

    @rule(seconds=SECONDS)
    def time_passes_unnoticed(self, seconds: float) -> None:
        self.now += nanoseconds(seconds)

    @rule(seconds=SECONDS)
    def time_passes_and_every_deadline_is_met(self, seconds: float) -> None:
        end = self.now + nanoseconds(seconds)
        for _ in range(50):
            deadline = next_deadline(self.state)
            if deadline is None or deadline > end:
                break
            self.now = max(self.now, deadline)
            self.send(TimePassed())
        else:
            raise AssertionError("deadlines without end")
        self.now = end

    @rule(scene=SCENES)
    def a_picture(self, scene: list[str]) -> None:
        self.sequence += 1
        codes = tuple(Code(text, Symbology.QR) for text in scene)
        self.send(FrameScanned(self.now, self.sequence, codes))

    @rule(scene=SCENES, count=st.integers(2, 20))
    def a_scene_for_a_while(self, scene: list[str], count: int) -> None:
        for _ in range(count):
            self.now += nanoseconds(1 / 6)
            self.a_picture(scene)

    @rule(scene=SCENES, captured=st.integers(-(10**15), 10**15))
    def a_picture_from_any_time(self, scene: list[str], captured: int) -> None:
        codes = tuple(Code(text, Symbology.QR) for text in scene)
        self.send(FrameScanned(captured, self.sequence, codes))

    @rule(text=TEXTS)
    def a_hand_scan(self, text: str) -> None:
        self.send(HandScanned(text))

    @rule(down=st.booleans())
    def the_pedal(self, down: bool) -> None:
        self.send(PedalChanged(down))

    @rule(fault=st.sampled_from(Fault), problem=st.sampled_from(["broken", "worse"]))
    def a_fault(self, fault: Fault, problem: str) -> None:
        self.send(FaultRaised(fault, problem))

    @rule(faults=st.sets(st.sampled_from(Fault)))
    def faults_go_away(self, faults: set[Fault]) -> None:
        for fault in sorted(faults):
            self.send(FaultCleared(fault))

    @rule(free=st.sampled_from([0, 400_000_000, 3_000_000_000, 5_100_000_000, 10**12]))
    def the_disk(self, free: int) -> None:
        self.send(DiskMeasured(free))

    @rule(back=st.integers(0, 3), take=st.integers(1, 3))
    def the_catalogue_answers(self, back: int, take: int) -> None:
        self.send(RecordingRegistered(self.some_id(back), take))

    @rule(back=st.integers(0, 3), reason=st.sampled_from(StopReason), ago=SECONDS)
    def an_interruption(self, back: int, reason: StopReason, ago: float) -> None:
        resume_ns = self.now - nanoseconds(ago)
        self.send(RecordingInterrupted(self.some_id(back), reason, "it broke", resume_ns))

    @rule(back=st.integers(0, 3), good=st.booleans())
    def a_completion(self, back: int, good: bool) -> None:
        recording_id = self.some_id(back)
        self.reported.add(recording_id)
        self.send(RecordingFinished(recording_id) if good else RecordingFailed(recording_id, "bad"))

    @rule()
    def a_panel_test(self) -> None:
        state, actions = step(self.state, PanelTestRequested(), self.now)
        assert (PlaySignal(Signal.TEST) in actions) is (state.phase is Phase.READY)
        self.send(PanelTestRequested())

    @rule(event=st.sampled_from([SourceEnded(), ShutdownRequested()]), really=st.integers(0, 9))
    def the_end(self, event: Event, really: int) -> None:
        if not really:
            self.send(event)

    def some_id(self, back: int) -> RecordingId:
        known = [start.recording_id for start in self.started]
        return known[-1 - back] if back < len(known) else RecordingId("unknown")

    # --- the books

    def send(self, event: Event) -> None:
        supplied = RecordingId(f"r{len(self.started)}")
        before = self.state
        self.state, actions = step(replace(before, next_id=supplied), event, self.now)
        begun = [action for action in actions if isinstance(action, StartRecording)]
        assert len(begun) <= 1
        for action in actions:
            self.book(action, supplied)
        shown = [action.signal for action in actions if isinstance(action, ShowSignal)]
        assert shown == ([] if self.state.signal is before.signal else [self.state.signal])
        deadline = next_deadline(self.state)
        assert deadline is None or deadline > self.now, "a deadline that never clears"

    def book(self, action: Action, supplied: RecordingId) -> None:
        known = {start.recording_id for start in self.started}
        match action:
            case StartRecording():
                assert action.recording_id == supplied
                assert known <= self.stopped, "two recordings at once"
                if action.part == 1:
                    assert action.continues is None
                else:
                    previous = self.started[-1]
                    assert (action.continues, action.part, action.order) == (
                        previous.recording_id,
                        previous.part + 1,
                        previous.order,
                    )
                assert action.from_ns <= self.now
                self.started.append(action)
            case StopRecording(recording_id):
                assert recording_id in known - self.stopped
                self.stopped.add(recording_id)
            case FlagRecording(recording_id) | VoidRecording(recording_id):
                assert recording_id in known
            case EndRun():
                self.ended = True
                assert known == self.stopped <= self.reported
            case _:
                pass

    # --- what always holds

    @invariant()
    def the_lamps_tell_the_truth(self) -> None:
        state = self.state
        assert state.signal in (None, standing_signal(state))
        busy = state.recording or state.suspended or state.closing
        if busy or state.faults or state.pending:
            assert state.signal is not Signal.READY
        if state.recording is None:
            assert state.signal not in (Signal.RECORDING, Signal.STOPS_SOON)
        if state.faults:
            assert state.signal in (None, Signal.FAULT_IDLE, Signal.FAULT_RECORDING)

    @invariant()
    def the_state_agrees_with_the_books(self) -> None:
        state = self.state
        running = [s.recording_id for s in self.started if s.recording_id not in self.stopped]
        assert running == ([state.recording.recording_id] if state.recording else [])
        assert state.recording is None or state.suspended is None
        closing = [one.recording_id for one in state.closing]
        assert len(closing) == len(set(closing))
        assert set(closing) <= self.stopped
        assert self.stopped - self.reported <= set(closing)
        assert (state.phase is Phase.READY) == (
            not (state.recording or state.suspended or state.closing)
        )

    @invariant()
    def a_leaving_station_records_nothing(self) -> None:
        if self.state.leaving is not None:
            assert self.state.order is None
        if self.ended:
            assert self.state.leaving is not None

    def teardown(self) -> None:
        """Wherever it got to: with the faults gone and everything saved, the run ends."""
        self.now += nanoseconds(1)
        self.send(ShutdownRequested())
        for start in self.started:
            self.reported.add(start.recording_id)
            self.send(RecordingFinished(start.recording_id))
        assert self.ended
        assert {start.recording_id for start in self.started} == self.stopped


TestStation = Station.TestCase
TestStation.settings = settings(
    max_examples=120, stateful_step_count=40, deadline=None, print_blob=True
)
