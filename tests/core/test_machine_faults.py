"""Faults, parts, time limit, completion and leaving: the design's rules as scenarios."""

from __future__ import annotations

import pytest

from recorderd.core.actions import EndRun, StartRecording, StopRecording
from recorderd.core.events import (
    FaultCleared,
    FaultRaised,
    RecordingInterrupted,
    ShutdownRequested,
    SourceEnded,
    TimePassed,
)
from recorderd.core.model import BLOCKING_FAULTS, Fault, RecordingId, StopReason, nanoseconds
from recorderd.core.signals import Signal
from recorderd.core.state import Phase
from tests.core.bench import PLENTY, Bench

ENDS_THE_PART = {
    Fault.CAMERA: StopReason.CAMERA_LOST,
    Fault.ENGINE: StopReason.ENGINE_LOST,
    Fault.STORAGE: StopReason.STORAGE_LOST,
}
HARMLESS = sorted(set(Fault) - set(ENDS_THE_PART) - {Fault.DISK_SPACE})


# --- starting up


def test_ready_only_after_every_first_report() -> None:
    bench = Bench().send(TimePassed())
    assert bench.signal() is Signal.STARTING
    for fault in sorted(BLOCKING_FAULTS - {Fault.DISK_SPACE}):
        assert bench.send(FaultCleared(fault)).signal() is Signal.STARTING
    assert bench.free(PLENTY / 1e9).signal() is Signal.READY


def test_a_start_without_its_disk_waits_for_nothing_more() -> None:
    bench = Bench().send(FaultRaised(Fault.STORAGE, "not mounted"))
    for fault in (Fault.ENGINE, Fault.CAMERA):
        bench.send(FaultCleared(fault))
    assert not bench.state.pending
    assert bench.signal() is Signal.FAULT_IDLE
    bench.free(PLENTY / 1e9)
    assert bench.send(FaultCleared(Fault.STORAGE)).signal() is Signal.READY


def test_a_label_that_lies_there_at_the_start_acts_when_the_station_is_ready() -> None:
    bench = Bench().show("A-1").wait(5)
    assert bench.orders == []
    for fault in sorted(BLOCKING_FAULTS - {Fault.DISK_SPACE}):
        bench.send(FaultCleared(fault))
    assert bench.free(100).wait(1).orders == ["A-1"]


# --- faults when idle


@pytest.mark.parametrize("fault", sorted(BLOCKING_FAULTS))
def test_a_blocking_fault_refuses_once_and_the_label_acts_when_it_is_gone(fault: Fault) -> None:
    bench = Bench.ready().send(FaultRaised(fault, "broken")).show("A-1").wait(20)
    assert bench.orders == []
    assert bench.played == [Signal.REFUSED]
    assert bench.signal() is Signal.FAULT_IDLE
    assert bench.send(FaultCleared(fault)).wait(0.5).orders == ["A-1"]


@pytest.mark.parametrize("fault", sorted(BLOCKING_FAULTS))
def test_a_refused_label_that_was_taken_away_does_not_act_later(fault: Fault) -> None:
    bench = Bench.ready().send(FaultRaised(fault, "broken")).show("A-1").wait(5).hide().wait(1)
    assert bench.send(FaultCleared(fault)).wait(10).orders == []


def test_a_refused_label_that_was_taken_away_while_nobody_looked_does_not_act_later() -> None:
    bench = Bench.ready().free(1).show("A-1").wait(5).lose(Fault.CAMERA).hide()
    bench.free(100).wait(30).regain(Fault.CAMERA).wait(10)
    assert bench.orders == []


@pytest.mark.parametrize("fault", HARMLESS)
def test_other_faults_are_signalled_and_recording_goes_on(fault: Fault) -> None:
    bench = Bench.ready().lose(fault).show("A-1").wait(30)
    assert bench.orders == ["A-1"]
    assert bench.stops == []
    assert bench.signal() is Signal.FAULT_RECORDING
    assert bench.regain(fault).signal() is Signal.RECORDING


def test_several_faults_must_all_be_gone() -> None:
    bench = Bench.ready().lose(Fault.STORAGE).lose(Fault.PANEL).regain(Fault.STORAGE)
    assert bench.signal() is Signal.FAULT_IDLE
    assert bench.regain(Fault.PANEL).signal() is Signal.READY


def test_a_repeated_fault_is_noted_again_only_with_a_new_text() -> None:
    bench = Bench.ready()
    for problem in ("no device", "no device", "timed out"):
        bench.send(FaultRaised(Fault.CAMERA, problem))
    assert bench.notes == ["fault: camera: no device", "fault: camera: timed out"]


# --- parts


@pytest.mark.parametrize(("fault", "reason"), sorted(ENDS_THE_PART.items()))
def test_a_fault_ends_the_part_and_the_order_goes_on_when_it_is_gone(
    fault: Fault, reason: StopReason
) -> None:
    bench = Bench.recording().lose(fault)
    lost_at = bench.now
    assert bench.reasons == [reason]
    assert bench.signal() is Signal.FAULT_RECORDING
    bench.finish().wait(30)
    assert Signal.SAVED not in bench.played
    bench.regain(fault)
    first, second = bench.starts
    assert (second.part, second.continues) == (2, first.recording_id)
    assert (second.order, second.label_sequence) == (first.order, None)
    assert second.from_ns == lost_at
    assert bench.signal() is Signal.RECORDING
    bench.press().finish()
    assert bench.played[-1] is Signal.SAVED


def test_parts_count_up() -> None:
    bench = Bench.recording()
    for _ in range(3):
        bench.lose(Fault.CAMERA).wait(10).regain(Fault.CAMERA).wait(10)
    assert [start.part for start in bench.starts] == [1, 2, 3, 4]
    ids = [start.recording_id for start in bench.starts]
    assert [start.continues for start in bench.starts] == [None, *ids[:-1]]


def test_a_fault_that_lasts_too_long_ends_the_order() -> None:
    bench = Bench.recording().lose(Fault.CAMERA).finish().wait(61)
    assert bench.state.phase is Phase.READY
    assert any(note.startswith("order ended") for note in bench.notes)
    assert bench.regain(Fault.CAMERA).wait(30).orders == ["A-1"]
    assert bench.signal() is Signal.READY


def test_the_label_may_lie_there_through_a_blindness_and_does_not_stop_its_order() -> None:
    bench = Bench.ready().show("A-1").wait(20).lose(Fault.CAMERA).wait(30).regain(Fault.CAMERA)
    bench.wait(120)
    assert [start.part for start in bench.starts] == [1, 2]
    assert bench.reasons == [StopReason.CAMERA_LOST]


def test_after_a_blindness_the_label_still_stops_when_it_was_away_and_is_shown() -> None:
    bench = Bench.recording().lose(Fault.CAMERA).wait(30).regain(Fault.CAMERA).wait(5)
    assert bench.show("A-1").wait(1).reasons == [StopReason.CAMERA_LOST, StopReason.LABEL]


def test_another_label_ends_an_order_that_waits_for_the_disk() -> None:
    bench = Bench.recording().lose(Fault.STORAGE).wait(5).show("B-2").wait(5)
    assert bench.orders == ["A-1"]
    bench.regain(Fault.STORAGE).wait(1)
    assert bench.orders == ["A-1", "B-2"]
    assert [start.part for start in bench.starts] == [1, 1]


def test_a_label_in_the_step_that_would_resume_starts_the_new_order_only() -> None:
    bench = Bench.recording("A-1").interrupt(StopReason.STORAGE_LOST)
    bench.camera_looks = False
    bench.show("B-2").wait(1.9).frame()
    bench.now += nanoseconds(0.2)
    assert bench.frame().orders == ["A-1", "B-2"]
    assert bench.state.suspended is None


def test_a_hand_scan_in_the_step_that_would_resume_starts_the_new_order_only() -> None:
    bench = Bench.recording("A-1").interrupt(StopReason.STORAGE_LOST)
    bench.now += nanoseconds(3)
    assert bench.scan_by_hand("B-2").orders == ["A-1", "B-2"]
    assert bench.state.suspended is None


def test_a_later_part_of_a_second_take_starts_with_the_plain_tone() -> None:
    bench = Bench.recording().lose(Fault.CAMERA).regain(Fault.CAMERA)
    assert bench.register(take=2).played[-1] is Signal.STARTED


def test_without_patience_an_interrupted_order_ends() -> None:
    bench = Bench.recording(resume=0).interrupt(StopReason.ENCODER_FAILED).wait(10)
    assert bench.orders == ["A-1"]
    assert bench.state.suspended is None


@pytest.mark.parametrize("reason", [StopReason.ENCODER_FAILED, StopReason.ENCODER_TOO_SLOW])
def test_an_encoder_that_failed_is_replaced_at_once_and_no_picture_is_missing(
    reason: StopReason,
) -> None:
    bench = Bench.recording().interrupt(reason, ago=0.2)
    assert bench.reasons == [reason]
    assert bench.stops[0].at_ns == bench.starts[1].from_ns == bench.now - nanoseconds(0.2)
    assert bench.starts[1].part == 2
    assert bench.signal() is Signal.RECORDING


def test_encoders_that_fail_one_after_the_other_do_not_make_a_storm_of_parts() -> None:
    bench = Bench.recording()
    bench.camera_looks = False
    for _ in range(600):
        if bench.state.recording is not None:
            bench.interrupt(StopReason.ENCODER_FAILED)
        bench.wait(0.1)
    assert 3 < len(bench.starts) < 40


def test_an_interrupted_recording_is_tried_again_after_a_moment() -> None:
    bench = Bench.recording().interrupt(StopReason.STORAGE_LOST)
    assert bench.wait(1.9).orders == ["A-1"]
    assert bench.wait(0.2).orders == ["A-1", "A-1"]
    assert bench.starts[1].from_ns == bench.stops[0].at_ns


def test_a_disk_that_refuses_every_file_is_given_up() -> None:
    bench = Bench.recording()
    for _ in range(2000):
        if bench.state.recording is not None:
            bench.fail(bench.starts[-1].recording_id)
        bench.wait(0.1)
    assert bench.state.phase is Phase.READY
    assert 5 < len(bench.starts) < 40
    assert all(-200 < when < -130 for when in bench.when(StartRecording) if when > -200)


def test_a_recording_that_fails_while_it_runs_is_heard_and_goes_on() -> None:
    bench = Bench.recording()
    bench.fail(bench.starts[0].recording_id)
    assert bench.played[-1] is Signal.FAILED
    assert bench.reasons == [StopReason.STORAGE_LOST]
    assert bench.wait(3).orders == ["A-1", "A-1"]


# --- disk


def test_a_low_disk_refuses_new_orders_but_lets_a_recording_run() -> None:
    bench = Bench.recording().free(3).wait(30)
    assert bench.stops == []
    assert bench.signal() is Signal.FAULT_RECORDING
    bench.press().finish().show("B-2").wait(10)
    assert bench.orders == ["A-1"]
    assert bench.played[-1] is Signal.REFUSED
    assert bench.free(100).wait(1).orders == ["A-1", "B-2"]


@pytest.mark.parametrize("fault", sorted(ENDS_THE_PART))
def test_with_a_low_disk_an_interrupted_order_still_goes_on(fault: Fault) -> None:
    bench = Bench.recording().free(3).lose(fault).wait(10).regain(fault)
    assert [start.part for start in bench.starts] == [1, 2]
    assert bench.signal() is Signal.FAULT_RECORDING


def test_with_a_low_disk_an_encoder_is_still_replaced_at_once() -> None:
    bench = Bench.recording().free(3).interrupt(StopReason.ENCODER_FAILED)
    assert [start.part for start in bench.starts] == [1, 2]


def test_right_at_the_reserve_an_order_does_not_go_on() -> None:
    bench = Bench.recording().free(0.4).free(0.6).wait(10)
    assert bench.orders == ["A-1"]
    assert bench.free(1.0).orders == ["A-1", "A-1"]


def test_before_the_disk_is_full_the_recording_is_closed() -> None:
    bench = Bench.recording().free(0.4)
    assert bench.reasons == [StopReason.DISK_FULL]
    assert bench.wait(10).orders == ["A-1"]
    assert bench.free(20).orders == ["A-1", "A-1"]


def test_a_disk_at_the_edge_does_not_flicker() -> None:
    bench = Bench.ready().free(4.9)
    for gigabytes in (5.0, 5.1, 5.2, 4.99):
        assert bench.free(gigabytes).signal() is Signal.FAULT_IDLE
    assert bench.free(5.3).signal() is Signal.READY
    assert bench.free(5.0).signal() is Signal.READY


def test_a_reserve_larger_than_the_minimum_is_the_minimum() -> None:
    bench = Bench.recording(minimum_free_bytes=0).free(0.4)
    for _ in range(20):
        bench.wait(1).free(0.4)
    assert bench.orders == ["A-1"]


# --- time limit


def test_a_forgotten_recording_is_warned_of_and_closed() -> None:
    bench = Bench.recording().wait(900 - 60 - 10 - 2)
    assert bench.signal() is Signal.RECORDING
    assert bench.wait(3).signal() is Signal.STOPS_SOON
    assert bench.wait(60).reasons == [StopReason.TIME_LIMIT]
    assert bench.signal() is Signal.SAVING


def test_the_label_of_a_forgotten_recording_does_not_start_it_again() -> None:
    bench = Bench.ready().show("A-1").wait(2000)
    assert bench.orders == ["A-1"]


def test_the_time_limit_counts_from_the_first_part() -> None:
    bench = Bench.recording().wait(700).lose(Fault.CAMERA).wait(30).regain(Fault.CAMERA)
    assert bench.wait(120).signal() is Signal.STOPS_SOON
    assert bench.wait(60).reasons == [StopReason.CAMERA_LOST, StopReason.TIME_LIMIT]


def test_an_order_that_waits_for_a_fault_ends_at_the_time_limit_too() -> None:
    bench = Bench.recording().wait(880).lose(Fault.CAMERA).wait(20).regain(Fault.CAMERA).wait(10)
    assert bench.orders == ["A-1"]
    assert bench.state.suspended is None


def test_a_part_that_begins_within_the_warning_time_warns_at_once() -> None:
    bench = Bench.recording().wait(860).lose(Fault.CAMERA).wait(10).regain(Fault.CAMERA)
    assert bench.signal() is Signal.STOPS_SOON


# --- completion


def test_saved_sounds_for_the_final_part_only() -> None:
    bench = Bench.recording().lose(Fault.CAMERA).finish().regain(Fault.CAMERA).wait(5)
    assert Signal.SAVED not in bench.played
    assert bench.press().finish().played.count(Signal.SAVED) == 1


def test_a_failed_recording_is_heard() -> None:
    bench = Bench.recording().press()
    bench.fail(bench.starts[0].recording_id)
    assert bench.played[-1] is Signal.FAILED
    assert bench.signal() is Signal.READY
    assert Signal.SAVED not in bench.played


def test_ready_is_shown_only_when_everything_is_saved() -> None:
    bench = Bench.recording("A-1").show("B-2").wait(10).press()
    first, second = (start.recording_id for start in bench.starts)
    assert bench.finish(second).signal() is Signal.SAVING
    assert bench.finish(first).signal() is Signal.READY


def test_stale_completions_change_nothing() -> None:
    bench = Bench.recording().press().finish()
    known = bench.starts[0].recording_id
    before = list(bench.actions)
    for recording_id in (known, "never-started"):
        bench.finish(recording_id).fail(recording_id)
        bench.send(RecordingInterrupted(RecordingId(recording_id), StopReason.DISK_FULL, "full", 0))
    assert bench.register().actions == before


def test_an_interruption_that_crosses_a_stop_is_ignored() -> None:
    bench = Bench.recording().press().interrupt(StopReason.ENCODER_FAILED).wait(20)
    assert bench.orders == ["A-1"]
    assert bench.finish().played[-1] is Signal.SAVED


# --- leaving


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (ShutdownRequested(), StopReason.SHUTDOWN),
        (SourceEnded(), StopReason.SOURCE_ENDED),
    ],
)
def test_the_run_ends_only_when_everything_is_saved(
    event: ShutdownRequested | SourceEnded, reason: StopReason
) -> None:
    bench = Bench.recording("A-1").show("B-2").wait(5).send(event)
    assert bench.reasons == [StopReason.OTHER_LABEL, reason]
    first, second = (start.recording_id for start in bench.starts)
    assert not bench.wait(1).finish(second).wait(1).ended
    assert bench.finish(first).ended
    assert isinstance(bench.actions[-1], EndRun)
    bench.send(ShutdownRequested()).wait(10).press()
    assert len(bench.done(EndRun)) == 1


def test_an_idle_station_leaves_at_once() -> None:
    assert Bench.ready().send(ShutdownRequested()).ended


def test_a_failed_recording_does_not_hold_the_station_up() -> None:
    bench = Bench.recording().send(ShutdownRequested())
    assert bench.fail(bench.starts[0].recording_id).ended


def test_leaving_gives_up_an_order_that_waits_for_a_fault() -> None:
    bench = Bench.recording().lose(Fault.CAMERA).send(ShutdownRequested())
    assert bench.regain(Fault.CAMERA).wait(5).orders == ["A-1"]
    assert bench.finish().ended


def test_a_leaving_station_starts_nothing() -> None:
    bench = Bench.recording().send(ShutdownRequested()).show("B-2").wait(10).scan_by_hand("C-3")
    assert bench.orders == ["A-1"]


def test_each_recording_is_stopped_once() -> None:
    bench = Bench.recording().press().press().scan_by_hand("recorderd:stop")
    bench.lose(Fault.CAMERA).free(0.1).send(ShutdownRequested())
    assert len(bench.done(StopRecording)) == 1
