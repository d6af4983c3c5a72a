from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorderd.core import labels
from recorderd.core.labels import Card, Meaning, Stranger, View, look, meaning_of
from recorderd.core.model import Code, Order, Symbology, nanoseconds
from recorderd.core.rules import LabelRules

RULES = LabelRules()
PERMISSIVE = LabelRules(pattern=re.compile(r"(?s).+"))

HOSTILE = [
    "../../etc/passwd",
    "x" * 4096,
    "📦📦📦",
    "A-1\x00",
    "A-1\n",
    "\x1b[2J\x07",
    "<script>alert(1)</script>",
    "'; DROP TABLE recordings; --",
    "https://example.com/p/4006381333931",
    "WIFI:S:shop;T:WPA;P:secret;;",
    "A‮1",
    "\ud800",
    " ",
]


def read(text: str, rules: LabelRules = RULES) -> Meaning:
    return meaning_of(Code(text, Symbology.QR), rules)


def order_of(text: str, rules: LabelRules = RULES) -> Order:
    meaning = read(text, rules)
    assert isinstance(meaning, Order)
    return meaning


# --- what a text means


@pytest.mark.parametrize("text", ["A-1", "4006381333931", "SO/2024 #17", "a+b_c.d"])
def test_an_order_label_is_taken_exactly_as_read(text: str) -> None:
    assert order_of(text) == Order(order_id=text, label_text=text, symbology=Symbology.QR)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_no_order_by_default(text: str) -> None:
    assert isinstance(read(text), Stranger)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_permissive_pattern_keeps_hostile_text_unchanged(text: str) -> None:
    if len(text) > PERMISSIVE.maximum_length:
        assert isinstance(read(text, PERMISSIVE), Stranger)
    else:
        assert order_of(text, PERMISSIVE).order_id == text


@pytest.mark.parametrize("rules", [RULES, PERMISSIVE], ids=["default", "permissive"])
def test_an_empty_code_is_never_an_order(rules: LabelRules) -> None:
    assert read("", rules) == Stranger("it is empty")


def test_why_a_text_is_refused_never_repeats_it() -> None:
    for text in HOSTILE:
        meaning = read(text)
        assert isinstance(meaning, Stranger)
        assert text.strip() == "" or text not in meaning.why


def test_the_order_group_of_the_pattern_is_the_order_id() -> None:
    rules = LabelRules(pattern=re.compile(r"https://shop\.example/o/(?P<order>\d+)(\?.*)?"))
    order = order_of("https://shop.example/o/77?from=label", rules)
    assert order.order_id == "77"
    assert order.label_text == "https://shop.example/o/77?from=label"


@pytest.mark.parametrize("pattern", [r"A(?P<order>\d*)", r"A(?P<order>\d)?"])
def test_an_empty_order_group_is_no_order(pattern: str) -> None:
    assert isinstance(read("A", LabelRules(pattern=re.compile(pattern))), Stranger)


def test_the_pattern_must_match_the_whole_text() -> None:
    assert isinstance(read("xA1x", LabelRules(pattern=re.compile(r"A\d"))), Stranger)


@pytest.mark.parametrize("rules", [RULES, PERMISSIVE], ids=["default", "permissive"])
@pytest.mark.parametrize(
    ("text", "card"),
    [
        ("recorderd:stop", Card.STOP),
        ("recorderd:flag", Card.FLAG),
        ("recorderd:void", Card.VOID),
        ("recorderd:end-shift", Card.END_SHIFT),
        ("RECORDERD:STOP", Card.STOP),
    ],
)
def test_control_labels(text: str, card: Card, rules: LabelRules) -> None:
    assert read(text, rules) is card


def test_an_unknown_control_label_is_never_an_order() -> None:
    assert isinstance(read("recorderd:reboot", PERMISSIVE), Stranger)


@given(st.text(st.characters(), max_size=600), st.sampled_from([RULES, PERMISSIVE]))
def test_any_text_has_a_meaning(text: str, rules: LabelRules) -> None:
    meaning = read(text, rules)
    if isinstance(meaning, Order):
        assert meaning.label_text == text
        assert 0 < len(meaning.order_id) <= rules.maximum_length


# --- appearances


def looks(
    *pictures: tuple[float, str], rules: LabelRules = RULES, view: View | None = None
) -> View:
    """The view after pictures at these seconds, each with these space-separated labels."""
    view = view or View()
    for sequence, (seconds, texts) in enumerate(pictures):
        codes = [Code(text, Symbology.QR) for text in texts.split()]
        view = look(view, codes, nanoseconds(seconds), sequence, rules)
    return view


def waiting(view: View, rules: LabelRules = RULES) -> list[str]:
    return [order.order_id for _, order in labels.waiting_orders(view, rules)]


def acting(view: View, rules: LabelRules = RULES) -> list[str]:
    return [
        order.order_id
        for sighting, order in labels.waiting_orders(view, rules)
        if labels.may_act(sighting, view, rules)
    ]


def act(view: View) -> View:
    return labels.marked(view, view.sightings, acted=True)


def test_two_readings_confirm() -> None:
    assert acting(looks((0, "A1"))) == []
    assert acting(looks((0, "A1"), (0.2, "A1"))) == ["A1"]


def test_one_reading_confirms_where_the_setting_says_so() -> None:
    rules = LabelRules(confirm_frames=1)
    assert acting(looks((0, "A1"), rules=rules), rules) == ["A1"]


def test_two_readings_far_apart_do_not_confirm() -> None:
    assert acting(looks((0, "A1"), (0.5, ""), (1, ""), (1.5, "A1"))) == []


def test_a_label_twice_in_one_picture_is_read_once() -> None:
    assert acting(looks((0, "A1 A1"))) == []


def test_two_stickers_of_one_order_are_one_label() -> None:
    rules = LabelRules(pattern=re.compile(r"(?P<order>[A-Z]\d)(-box\d)?"))
    view = looks((0, "A1-box1 A1-box2"), (0.2, "A1-box2"), rules=rules)
    assert acting(view, rules) == ["A1"]
    assert len(view.sightings) == 1


def test_a_label_that_misses_a_picture_is_still_there_but_does_not_act() -> None:
    view = looks((0, "A1"), (0.2, "A1"), (0.4, ""))
    assert waiting(view) == ["A1"]
    assert acting(view) == []


def test_held_time_runs_through_short_gaps_and_starts_anew_after_long_ones() -> None:
    assert looks((0, "A1"), (0.6, "A1"), (1.2, "A1")).sightings[0].held == nanoseconds(1.2)
    view = looks((0, "A1"), (0.6, "A1"), (1.2, ""), (1.5, "A1"), (1.7, "A1"))
    assert view.sightings[0].held == pytest.approx(nanoseconds(0.2))


def test_an_appearance_outlives_gaps_shorter_than_rearm() -> None:
    view = act(looks((0, "A1")))
    for lift in range(200):
        hidden = [(2.9 * lift + step / 2, "") for step in range(1, 6)]
        view = looks(*hidden, (2.9 * (lift + 1), "A1"), view=view)
    assert waiting(view) == []


def test_out_of_view_for_rearm_begins_a_new_appearance() -> None:
    view = act(looks((0, "A1")))
    view = looks(*((step / 2, "") for step in range(1, 6)), view=view)
    assert len(view.sightings) == 1
    view = looks((3, ""), (3.2, "A1"), (3.4, "A1"), view=view)
    assert acting(view) == ["A1"]


def test_time_without_pictures_is_not_out_of_view() -> None:
    view = act(looks((0, "A1"), (0.2, "A1")))
    assert waiting(looks((300, "A1"), (300.2, "A1"), view=view)) == []


def test_blind_time_adds_nothing_to_the_held_time() -> None:
    view = looks((0, "A1"), (300, "A1"))
    assert view.sightings[0].held <= RULES.held_gap


def test_out_of_view_time_before_and_after_blindness_adds_up() -> None:
    view = act(looks((0, "A1")))
    view = looks(*((step / 2, "") for step in range(1, 5)), view=view)
    view = looks((300, ""), (300.4, ""), (300.6, "A1"), (300.8, "A1"), view=view)
    assert acting(view) == ["A1"]


def test_a_label_taken_away_in_blind_time_does_not_act_afterwards() -> None:
    assert acting(looks((0, "A1"), (0.2, "A1"), (300, ""), (300.2, ""))) == []


@pytest.mark.parametrize("leap", [-500.0, -2.0, 500.0])
def test_a_leap_of_the_capture_clock_neither_ends_nor_freezes_an_appearance(leap: float) -> None:
    view = act(looks((1000, "A1"), (1000.2, "A1")))
    after = 1000.2 + leap
    assert waiting(looks((after, "A1"), (after + 0.2, "A1"), view=view)) == []
    gone = looks(*((after + step / 2, "") for step in range(10)), view=view)
    assert gone.sightings == ()


def test_many_codes_at_once_do_not_make_a_label_forgotten_that_has_acted() -> None:
    view = act(looks((0, "A1")))
    sheet = " ".join(f"P{number}" for number in range(200))
    view = looks((0.2, sheet), (0.4, sheet), view=view)
    assert len(view.sightings) == labels.MOST_SIGHTINGS
    assert "A1" not in waiting(looks((0.6, "A1"), (0.8, "A1"), view=view))


def test_a_spent_label_must_leave_the_view_even_if_a_hand_hides_it() -> None:
    order = order_of("A1")
    view = labels.spent(looks((0, "A1"), (0.2, "A1"), (2.9, "")), order)
    assert waiting(looks((3.1, ""), (5.5, "A1"), (5.7, "A1"), view=view)) == []


def test_a_label_outside_the_zone_is_not_seen() -> None:
    rules = LabelRules(zone=(0.25, 0.25, 0.75, 0.75))
    code = Code("A1", Symbology.QR, ((0.0, 0.0), (0.2, 0.0), (0.2, 0.2), (0.0, 0.2)))
    inside = replace(code, corners=tuple((x + 0.4, y + 0.4) for x, y in code.corners))
    assert look(View(), [code], 0, 0, rules).sightings == ()
    assert len(look(View(), [inside], 0, 0, rules).sightings) == 1
    assert len(look(View(), [code], 0, 0, RULES).sightings) == 1


@given(
    st.lists(
        st.tuples(st.floats(-5, 5), st.lists(st.sampled_from(["A1", "B2", "?", "recorderd:stop"]))),
        max_size=40,
    )
)
def test_any_pictures_in_any_order_give_a_sane_view(
    pictures: list[tuple[float, list[str]]],
) -> None:
    view, now = View(), 0.0
    for gap, texts in pictures:
        now += gap
        view = looks((now, " ".join(texts)), view=view)
        assert view.looked_ns == nanoseconds(now)
        keys = [sighting.key for sighting in view.sightings]
        assert len(keys) == len(set(keys))
        assert {sighting.text for sighting in labels.just_read(view)} == set(texts)
        for sighting in view.sightings:
            assert sighting.held_since_ns <= sighting.last_ns <= nanoseconds(now)
