"""Labels and cards before the camera, and the hand scanner: the design's rules as scenarios."""

from __future__ import annotations

import re

import pytest

from recorderd.core.actions import StartRecording, StopRecording
from recorderd.core.model import (
    Fault,
    OtherLabel,
    SameLabel,
    StopReason,
    Symbology,
    nanoseconds,
)
from recorderd.core.rules import LabelRules
from recorderd.core.signals import Signal
from tests.core.bench import Bench

PERMISSIVE = LabelRules(pattern=re.compile(r"(?s).+"))


# --- starting


def test_a_confirmed_label_starts_a_recording_with_the_pre_roll() -> None:
    bench = Bench.ready().show("A-1").wait(0.5)
    (start,) = bench.starts
    assert (start.order.order_id, start.order.label_text) == ("A-1", "A-1")
    assert (start.part, start.continues) == (1, None)
    started = nanoseconds(next(bench.when(StartRecording))) + bench.now
    assert start.from_ns == started - nanoseconds(3)
    assert start.label_sequence == 2
    assert bench.signal() is Signal.RECORDING


def test_a_label_is_answered_at_its_second_reading() -> None:
    bench = Bench.ready().show("A-1").frame()
    assert bench.orders == []
    assert bench.wait(0.17).orders == ["A-1"]


def test_one_reading_is_enough_by_setting() -> None:
    assert Bench.ready(LabelRules(confirm_frames=1)).show("A-1").frame().orders == ["A-1"]


def test_a_label_seen_in_a_single_picture_starts_nothing() -> None:
    assert Bench.ready().show("A-1").frame().hide().wait(10).actions == []


def test_the_starting_tone_waits_for_the_catalogue() -> None:
    bench = Bench.ready().show("A-1").wait(0.2)
    assert bench.played == []
    assert bench.register(take=1).played == [Signal.STARTED]
    assert bench.wait(2).played == [Signal.STARTED]


def test_an_order_recorded_before_says_so() -> None:
    assert Bench.ready().show("A-1").wait(0.2).register(take=2).played == [Signal.STARTED_AGAIN]


def test_the_starting_tone_does_not_wait_for_a_slow_catalogue() -> None:
    bench = Bench.ready().show("A-1").wait(0.6)
    assert bench.played == [Signal.STARTED]
    assert bench.register(take=2).played == [Signal.STARTED]


def test_a_label_outside_the_zone_starts_nothing() -> None:
    bench = Bench.ready(LabelRules(zone=(0.4, 0.4, 0.6, 0.6)))
    assert bench.show("A-1", at=((0.0, 0.0), (0.1, 0.1))).wait(5).orders == []
    assert bench.hide().show("A-1").wait(5).orders == ["A-1"]


# --- the order's own label


def test_the_label_may_lie_in_view_for_ten_minutes_though_it_is_not_always_read() -> None:
    bench = Bench.ready().show("A-1")
    for gap in (0.2, 0.5, 0.9, 1.5, 2.2, 2.6) * 45:
        bench.wait(1.3).hide().wait(gap).show("A-1")
    assert bench.stops == []
    assert bench.orders == ["A-1"]


def test_hands_passing_over_the_label_change_nothing() -> None:
    bench = Bench.ready().show("A-1").wait(10)
    for _ in range(60):
        bench.hide().wait(0.4).show("A-1").wait(0.3)
    assert bench.stops == []


def test_shown_again_after_it_was_away_the_label_stops_its_recording() -> None:
    bench = Bench.ready().show("A-1").wait(6).hide().wait(3.5).show("A-1").wait(1)
    assert bench.reasons == [StopReason.LABEL]
    assert bench.signal() is Signal.SAVING
    assert bench.finish().played[-1] is Signal.SAVED
    assert bench.signal() is Signal.READY


def test_away_for_less_than_the_rearm_time_does_not_stop() -> None:
    bench = Bench.ready().show("A-1").wait(6).hide().wait(2.6).show("A-1").wait(60)
    assert bench.stops == []


def test_a_label_that_only_passes_by_does_not_stop() -> None:
    bench = Bench.recording().show("A-1").wait(0.5).hide().wait(20)
    assert bench.stops == []


def test_the_dwell_is_counted_from_the_first_reading_of_the_unbroken_view() -> None:
    bench = Bench.recording().show("A-1").wait(0.55)
    assert bench.stops == []
    assert bench.wait(0.4).reasons == [StopReason.LABEL]


def test_a_young_recording_is_not_stopped_until_it_is_old_enough() -> None:
    bench = Bench.ready(minimum=nanoseconds(8)).show("A-1").wait(0.2).hide().wait(4)
    bench.show("A-1").wait(2)
    assert bench.stops == []
    bench.wait(2.2)
    assert bench.reasons == [StopReason.LABEL]


def test_the_label_that_stopped_must_leave_the_view_before_it_starts_take_two() -> None:
    bench = Bench.recording().show("A-1").wait(1).finish().wait(120)
    assert bench.orders == ["A-1"]
    bench.hide().wait(2.5).show("A-1").wait(5)
    assert bench.orders == ["A-1"]
    bench.hide().wait(3.5).show("A-1").wait(1)
    assert bench.orders == ["A-1", "A-1"]
    assert [start.part for start in bench.starts] == [1, 1]


def test_a_label_that_lies_there_when_the_pedal_stops_does_not_start_again() -> None:
    bench = Bench.ready().show("A-1").wait(10).press().finish().wait(60)
    assert bench.orders == ["A-1"]
    assert bench.signal() is Signal.READY


def test_a_label_hidden_by_a_hand_when_the_pedal_stops_does_not_start_again() -> None:
    bench = Bench.ready().show("A-1").wait(10).hide().wait(2).press().wait(1).show("A-1").wait(30)
    assert bench.orders == ["A-1"]


def test_same_label_may_be_told_to_do_nothing() -> None:
    bench = Bench.recording(labels=LabelRules(on_same_label=SameLabel.IGNORE)).show("A-1").wait(30)
    assert bench.stops == []
    assert Signal.REFUSED not in bench.played


# --- another order's label


def test_another_label_switches_and_no_picture_is_lost_between() -> None:
    bench = Bench.recording("A-1").show("B-2").wait(0.5)
    assert bench.reasons == [StopReason.OTHER_LABEL]
    assert bench.orders == ["A-1", "B-2"]
    stop, start = bench.stops[0], bench.starts[1]
    assert start.from_ns == stop.at_ns - nanoseconds(3)
    assert (start.part, start.continues) == (1, None)
    assert bench.signal() is Signal.RECORDING
    assert bench.finish("r1").state.recording is not None


def test_after_a_switch_the_first_label_may_lie_in_view() -> None:
    bench = Bench.ready().show("A-1").wait(10).show("B-2").wait(120)
    assert bench.orders == ["A-1", "B-2"]
    assert bench.reasons == [StopReason.OTHER_LABEL]


def test_saved_of_the_first_order_sounds_while_the_second_is_recorded() -> None:
    bench = Bench.recording("A-1").show("B-2").wait(1).register()
    bench.actions.clear()
    first = bench.state.closing[0].recording_id
    bench.finish(first)
    assert bench.played == [Signal.SAVED]
    assert bench.shown == []


def test_another_label_may_stop_only() -> None:
    bench = Bench.recording(labels=LabelRules(on_other_label=OtherLabel.STOP))
    bench.show("B-2").wait(20)
    assert bench.reasons == [StopReason.OTHER_LABEL]
    assert bench.orders == ["A-1"]
    assert bench.hide().wait(4).show("B-2").wait(1).orders == ["A-1", "B-2"]


def test_another_label_may_be_refused_and_acts_once_the_first_order_is_done() -> None:
    bench = Bench.recording(labels=LabelRules(on_other_label=OtherLabel.REFUSE))
    bench.show("B-2").wait(20)
    assert bench.stops == []
    assert bench.played.count(Signal.REFUSED) == 1
    assert bench.press().wait(1).orders == ["A-1", "B-2"]


# --- two labels at once


def test_two_orders_at_once_are_refused_after_a_second_and_none_is_chosen() -> None:
    bench = Bench.ready().show("A-1", "B-2").wait(0.8)
    assert bench.actions == []
    bench.wait(30)
    assert bench.orders == []
    assert bench.played == [Signal.REFUSED]


def test_two_orders_read_one_after_the_other_are_still_two() -> None:
    bench = Bench.ready().show("A-1").frame().show("B-2").wait(10)
    assert bench.orders == []


def test_two_orders_read_in_turns_are_still_two() -> None:
    bench = Bench.ready()
    bench.camera_looks = False
    for _ in range(30):
        bench.hide().show("A-1").frame().wait(0.15).hide().show("B-2").frame().wait(0.15)
    assert bench.orders == []
    assert bench.played == [Signal.REFUSED]


def test_when_one_of_two_is_taken_away_the_other_acts() -> None:
    bench = Bench.ready().show("A-1", "B-2").wait(5).hide("A-1").wait(1)
    assert bench.orders == ["B-2"]


def test_two_other_orders_while_recording_leave_the_recording_alone() -> None:
    bench = Bench.recording("A-1").show("B-2", "C-3").wait(30)
    assert bench.stops == []
    assert bench.played.count(Signal.REFUSED) == 1


# --- codes that are not ours


STRANGERS = [
    "../../etc/passwd",
    "x" * 4096,
    "📦📦",
    "\x1b[2J\x07\x00",
    "",
    "https://example.com/p/1?x=<script>",
    "recorderd:reboot",
]


@pytest.mark.parametrize("text", STRANGERS)
def test_a_foreign_code_is_refused_only_when_it_is_held(text: str) -> None:
    bench = Bench.ready().show(text).wait(0.8).hide().wait(5)
    assert bench.actions == []
    bench.show(text).wait(30)
    assert bench.orders == []
    assert bench.played == [Signal.REFUSED]


@pytest.mark.parametrize("text", STRANGERS)
def test_a_foreign_code_never_disturbs_a_recording(text: str) -> None:
    bench = Bench.recording().show(text).wait(30).scan_by_hand(text)
    assert bench.stops == []
    assert bench.signal() is Signal.RECORDING


@pytest.mark.parametrize("text", ["../../etc/passwd", "📦📦", "\x1b[2J\x07\x00", "https://e.com/?"])
def test_with_a_permissive_pattern_any_text_is_an_order_kept_as_read(text: str) -> None:
    bench = Bench.ready(PERMISSIVE).show(text).wait(1)
    assert bench.orders == [text]
    assert bench.starts[0].order.label_text == text


@pytest.mark.parametrize("text", ["", "x" * 4096, "recorderd:reboot"])
def test_even_a_permissive_pattern_has_limits(text: str) -> None:
    bench = Bench.ready(PERMISSIVE).show(text).wait(5)
    assert bench.orders == []
    assert bench.played == [Signal.REFUSED]


def test_two_texts_at_once_with_a_permissive_pattern() -> None:
    bench = Bench.ready(PERMISSIVE).show("A-1", "https://example.com").wait(10)
    assert bench.orders == []
    assert bench.played == [Signal.REFUSED]


def test_a_product_code_beside_the_order_label_does_no_harm() -> None:
    bench = Bench.ready().show("A-1", "https://example.com").wait(0.5)
    assert bench.orders == ["A-1"]
    assert bench.wait(60).played.count(Signal.REFUSED) == 1
    assert bench.stops == []


# --- control labels


def test_the_stop_card_stops_after_its_dwell() -> None:
    bench = Bench.recording().show("recorderd:stop").wait(0.8)
    assert bench.stops == []
    assert bench.wait(0.5).reasons == [StopReason.STOP_CARD]
    assert Signal.REFUSED not in bench.wait(60).played


def test_the_stop_card_when_idle_is_refused_once() -> None:
    assert Bench.ready().show("recorderd:stop").wait(60).played == [Signal.REFUSED]


def test_the_flag_card_flags_once_per_appearance() -> None:
    bench = Bench.recording().show("recorderd:flag").wait(20)
    assert bench.flagged == [bench.starts[0].recording_id]
    assert bench.played[-1] is Signal.NOTED
    bench.hide().wait(4).show("recorderd:flag").wait(2)
    assert len(bench.flagged) == 2
    assert bench.stops == []


def test_the_void_card_voids_and_stops() -> None:
    bench = Bench.recording().show("recorderd:void").wait(2)
    assert bench.voided == [bench.starts[0].recording_id]
    assert bench.reasons == [StopReason.VOID_CARD]


def test_the_end_shift_card_stops_and_is_noted_also_when_idle() -> None:
    bench = Bench.recording().show("recorderd:end-shift").wait(2)
    assert bench.reasons == [StopReason.END_OF_SHIFT]
    idle = Bench.ready().show("recorderd:end-shift").wait(2)
    assert idle.played == [Signal.NOTED]
    assert any(note.startswith("shift ended") for note in idle.notes)


def test_a_stop_card_beside_the_order_label_does_not_start_it_again() -> None:
    bench = Bench.ready().show("A-1").wait(10).show("recorderd:stop").wait(60)
    assert bench.orders == ["A-1"]
    assert bench.reasons == [StopReason.STOP_CARD]


# --- hand scanner


def test_the_hand_scanner_starts_at_once() -> None:
    bench = Bench.ready().scan_by_hand("A-1")
    (start,) = bench.starts
    assert start.order.symbology is Symbology.HAND_SCANNER
    assert start.label_sequence is None


def test_a_double_scan_does_not_stop_but_a_later_one_does() -> None:
    bench = Bench.ready().scan_by_hand("A-1").wait(0.5).scan_by_hand("A-1")
    assert bench.stops == []
    assert bench.wait(10).scan_by_hand("A-1").reasons == [StopReason.LABEL]


def test_the_camera_does_not_stop_what_the_hand_scanner_started() -> None:
    bench = Bench.ready().scan_by_hand("A-1").wait(10).show("A-1").wait(60)
    assert bench.stops == []
    bench.press().wait(60)
    assert bench.orders == ["A-1"]


def test_the_hand_scanner_switches_orders() -> None:
    bench = Bench.recording("A-1").scan_by_hand("B-2")
    assert bench.orders == ["A-1", "B-2"]
    assert bench.reasons == [StopReason.OTHER_LABEL]
    assert list(bench.when(StopRecording)) == [0]


def test_the_hand_scanner_obeys_the_other_label_setting() -> None:
    refusing = Bench.recording(labels=LabelRules(on_other_label=OtherLabel.REFUSE))
    assert refusing.scan_by_hand("B-2").stops == []
    assert refusing.played[-1] is Signal.REFUSED
    stopping = Bench.recording(labels=LabelRules(on_other_label=OtherLabel.STOP))
    assert stopping.scan_by_hand("B-2").reasons == [StopReason.OTHER_LABEL]
    assert stopping.orders == ["A-1"]


def test_the_hand_scanner_obeys_the_same_label_setting() -> None:
    bench = Bench.recording(labels=LabelRules(on_same_label=SameLabel.IGNORE)).scan_by_hand("A-1")
    assert bench.stops == []


def test_the_hand_scanner_reads_cards_too() -> None:
    assert Bench.recording().scan_by_hand("recorderd:stop").reasons == [StopReason.STOP_CARD]


@pytest.mark.parametrize("text", STRANGERS)
def test_the_hand_scanner_refuses_foreign_codes(text: str) -> None:
    bench = Bench.ready().scan_by_hand(text)
    assert (bench.orders, bench.played) == ([], [Signal.REFUSED])


def test_the_hand_scanner_is_refused_with_a_fault() -> None:
    bench = Bench.ready().lose(Fault.CAMERA).scan_by_hand("A-1").regain(Fault.CAMERA).wait(5)
    assert bench.orders == []
    assert Signal.REFUSED in bench.played
