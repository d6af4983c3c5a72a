"""The foot pedal: the design's rules as scenarios."""

from __future__ import annotations

from recorderd.core.model import Fault, StopReason
from recorderd.core.signals import Signal
from tests.core.bench import Bench


def test_a_press_stops_the_recording() -> None:
    bench = Bench.recording().press()
    assert bench.reasons == [StopReason.PEDAL]
    assert bench.signal() is Signal.SAVING


def test_a_press_acts_when_it_is_debounced_not_when_it_is_released() -> None:
    bench = Bench.recording().pedal_down()
    assert bench.stops == []
    assert bench.wait(0.03).reasons == [StopReason.PEDAL]


def test_a_press_when_idle_is_refused() -> None:
    assert Bench.ready().press().played == [Signal.REFUSED]


def test_a_second_press_while_saving_is_neither_stop_nor_refusal() -> None:
    bench = Bench.recording().press().press()
    assert bench.reasons == [StopReason.PEDAL]
    assert Signal.REFUSED not in bench.played


def test_a_bouncing_pedal_is_pressed_once() -> None:
    bench = Bench.recording()
    for _ in range(6):
        bench.pedal_down().wait(0.003).pedal_up().wait(0.002)
    bench.pedal_down().wait(0.2)
    for _ in range(6):
        bench.pedal_up().wait(0.002).pedal_down().wait(0.003)
    bench.pedal_up().wait(1)
    assert bench.reasons == [StopReason.PEDAL]
    assert Signal.REFUSED not in bench.played


def test_interference_on_the_cable_does_nothing() -> None:
    bench = Bench.recording()
    for _ in range(100):
        bench.pedal_down().wait(0.02).pedal_up().wait(0.05)
    assert bench.stops == []
    assert bench.flagged == []


def test_a_held_pedal_stops_and_flags_that_recording() -> None:
    bench = Bench.recording().press(seconds=2.5)
    assert bench.reasons == [StopReason.PEDAL]
    assert bench.flagged == [bench.starts[0].recording_id]
    assert Signal.NOTED in bench.played


def test_a_hold_flags_the_recording_it_stopped_though_the_next_has_begun() -> None:
    bench = Bench.recording("A-1").pedal_down().wait(0.1).finish().show("B-2").wait(3).pedal_up()
    assert bench.orders == ["A-1", "B-2"]
    assert bench.flagged == [bench.starts[0].recording_id]


def test_a_pedal_held_when_idle_flags_nothing() -> None:
    assert Bench.ready().press(seconds=3).flagged == []


def test_a_pedal_stuck_down_is_a_fault_until_it_is_released() -> None:
    bench = Bench.recording().pedal_down().wait(60).finish()
    assert bench.reasons == [StopReason.PEDAL]
    assert bench.flagged == [bench.starts[0].recording_id]
    assert Fault.PEDAL_STUCK in bench.state.faults
    assert bench.signal() is Signal.FAULT_IDLE
    bench.pedal_up().wait(0.1)
    assert bench.state.faults == {}
    assert bench.signal() is Signal.READY


def test_with_a_stuck_pedal_orders_are_still_recorded() -> None:
    bench = Bench.ready().pedal_down().wait(20).show("A-1").wait(30)
    assert bench.orders == ["A-1"]
    assert bench.stops == []
    assert bench.signal() is Signal.FAULT_RECORDING


def test_a_press_ends_an_order_that_waits_for_the_camera() -> None:
    bench = Bench.recording().lose(Fault.CAMERA).wait(5).press().regain(Fault.CAMERA).wait(20)
    assert bench.orders == ["A-1"]
    assert bench.reasons == [StopReason.CAMERA_LOST]


def test_a_press_while_the_last_part_is_being_saved_makes_it_the_final_one() -> None:
    bench = Bench.recording().lose(Fault.CAMERA).press().finish()
    assert bench.played[-1] is Signal.SAVED


def test_a_hold_flags_the_last_part_of_an_interrupted_order() -> None:
    bench = Bench.recording().lose(Fault.CAMERA).wait(5).press(seconds=3)
    assert bench.flagged == [bench.starts[0].recording_id]


def test_a_press_after_the_last_part_was_saved_says_so() -> None:
    bench = Bench.recording().lose(Fault.CAMERA).finish()
    assert Signal.SAVED not in bench.played
    assert bench.press().played[-1] is Signal.SAVED


def test_a_press_after_the_last_part_failed_does_not_say_saved() -> None:
    bench = Bench.recording().lose(Fault.CAMERA)
    bench.fail(bench.starts[0].recording_id).press()
    assert Signal.SAVED not in bench.played
