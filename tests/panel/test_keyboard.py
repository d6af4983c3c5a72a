"""Key events of a hand scanner become the text it read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorderd.core.model import nanoseconds
from recorderd.panel.keyboard import DOWN, LONGEST_TEXT, PLAIN, SHIFTED, UP, TypedText

ENTER, TAB, KEYPAD_ENTER = 28, 15, 96
LEFT_SHIFT, RIGHT_SHIFT, LEFT_CONTROL, RIGHT_ALT = 42, 54, 29, 100
F1, CAPS_LOCK = 59, 58
REPEAT = 2
PRINTABLE = "".join(map(chr, range(0x20, 0x7F)))

KEY_OF = {char: (code, False) for code, char in sorted(PLAIN.items(), reverse=True)} | {
    char: (code, True) for code, char in SHIFTED.items() if char not in PLAIN.values()
}


class Typist:
    """Types on a US keyboard, one key every five milliseconds."""

    def __init__(self) -> None:
        self.typed = TypedText()
        self.now = 0
        self.texts: list[str] = []

    def event(self, code: int, value: int) -> None:
        text = self.typed.key(code, value, self.now)
        if text is not None:
            self.texts.append(text)

    def press(self, code: int, *held: int) -> None:
        for each in held:
            self.event(each, DOWN)
        self.event(code, DOWN)
        self.event(code, UP)
        for each in held:
            self.event(each, UP)
        self.now += nanoseconds(0.005)

    def type(self, text: str, shift: int = LEFT_SHIFT) -> None:
        for char in text:
            code, shifted = KEY_OF[char]
            self.press(code, *([shift] if shifted else []))


@given(
    texts=st.lists(st.text(PRINTABLE, min_size=1, max_size=60), max_size=4),
    end=st.sampled_from([ENTER, TAB, KEYPAD_ENTER]),
    shift=st.sampled_from([LEFT_SHIFT, RIGHT_SHIFT]),
)
def test_whatever_ascii_is_typed_comes_out(texts: list[str], end: int, shift: int) -> None:
    typist = Typist()
    for text in texts:
        typist.type(text, shift)
        typist.press(end)
    assert typist.texts == texts


@given(st.lists(st.tuples(st.integers(0, 767), st.integers(0, 2), st.floats(0, 3)), max_size=200))
def test_no_events_whatsoever_do_harm(events: list[tuple[int, int, float]]) -> None:
    typed, now = TypedText(), 0
    for code, value, pause in events:
        now += nanoseconds(pause)
        text = typed.key(code, value, now)
        assert text is None or (text and set(text) <= set(PRINTABLE))


def test_shift_stays_down_over_several_keys() -> None:
    typist = Typist()
    typist.event(LEFT_SHIFT, DOWN)
    typist.type("ab")
    typist.event(LEFT_SHIFT, UP)
    typist.type("c")
    typist.press(ENTER)
    assert typist.texts == ["ABc"]


def test_one_of_two_shifts_suffices() -> None:
    typist = Typist()
    typist.event(LEFT_SHIFT, DOWN)
    typist.event(RIGHT_SHIFT, DOWN)
    typist.event(LEFT_SHIFT, UP)
    typist.type("a")
    typist.press(ENTER)
    assert typist.texts == ["A"]


def test_the_keypad_types_digits_whatever_shift_does() -> None:
    typist = Typist()
    for code in (79, 80, 81, 75, 76, 77, 71, 72, 73, 82, 83, 78, 74, 55, 98):
        typist.press(code)
        typist.press(code, LEFT_SHIFT)
    typist.press(KEYPAD_ENTER)
    assert typist.texts == ["112233445566778899" + "00..++--**//"]


def test_unknown_keys_and_repetitions_are_ignored() -> None:
    typist = Typist()
    typist.type("a")
    typist.press(F1)
    typist.press(CAPS_LOCK)
    typist.event(KEY_OF["a"][0], REPEAT)
    typist.type("b")
    typist.press(ENTER)
    assert typist.texts == ["ab"]


@pytest.mark.parametrize("modifier", [LEFT_CONTROL, RIGHT_ALT])
def test_keys_with_control_or_alt_are_no_text(modifier: int) -> None:
    typist = Typist()
    typist.type("a")
    typist.press(KEY_OF["]"][0], modifier)
    typist.press(ENTER, modifier)
    typist.type("b")
    typist.press(ENTER)
    assert typist.texts == ["ab"]


def test_enter_alone_is_no_text() -> None:
    typist = Typist()
    typist.type("a")
    for end in (ENTER, TAB, ENTER):
        typist.press(end)
    assert typist.texts == ["a"]


def test_the_longest_text_is_taken_and_a_longer_one_thrown_away_up_to_its_end() -> None:
    typist = Typist()
    for length in (LONGEST_TEXT, LONGEST_TEXT + 1, 3 * LONGEST_TEXT, 2):
        typist.type("x" * length)
        typist.press(ENTER)
    assert [len(text) for text in typist.texts] == [LONGEST_TEXT, 2]


def test_a_pause_begins_a_text_anew() -> None:
    typist = Typist()
    typist.type("lost")
    typist.now += nanoseconds(1)
    typist.type("kept")
    typist.now += nanoseconds(0.9)
    typist.type(" on")
    typist.press(ENTER)
    assert typist.texts == ["kept on"]


def test_a_pause_ends_what_was_too_long() -> None:
    typist = Typist()
    typist.type("x" * (LONGEST_TEXT + 1))
    typist.now += nanoseconds(1.1)
    typist.type("new")
    typist.press(ENTER)
    assert typist.texts == ["new"]


def test_a_text_of_which_keys_were_lost_is_thrown_away() -> None:
    typist = Typist()
    typist.type("12")
    typist.typed.lose()
    typist.type("34")
    typist.press(ENTER)
    typist.type("56")
    typist.press(ENTER)
    assert typist.texts == ["56"]


KERNEL_NAMES = {
    **{char: f"KEY_{char.upper()}" for char in "abcdefghijklmnopqrstuvwxyz0123456789"},
    "-": "KEY_MINUS",
    "=": "KEY_EQUAL",
    "[": "KEY_LEFTBRACE",
    "]": "KEY_RIGHTBRACE",
    ";": "KEY_SEMICOLON",
    "'": "KEY_APOSTROPHE",
    "`": "KEY_GRAVE",
    "\\": "KEY_BACKSLASH",
    ",": "KEY_COMMA",
    ".": "KEY_DOT",
    "/": "KEY_SLASH",
    " ": "KEY_SPACE",
}
KERNEL_KEYPAD_NAMES = {
    **{digit: f"KEY_KP{digit}" for digit in "0123456789"},
    "*": "KEY_KPASTERISK",
    "/": "KEY_KPSLASH",
    ".": "KEY_KPDOT",
    "+": "KEY_KPPLUS",
    "-": "KEY_KPMINUS",
    "=": "KEY_KPEQUAL",
    ",": "KEY_KPCOMMA",
}


def test_the_codes_are_those_of_the_kernel() -> None:
    codes = pytest.importorskip("evdev").ecodes.ecodes
    named = [*KERNEL_NAMES.items(), *KERNEL_KEYPAD_NAMES.items()]
    assert {codes[name]: char for char, name in named} == PLAIN
    assert (
        codes["KEY_ENTER"],
        codes["KEY_TAB"],
        codes["KEY_KPENTER"],
    ) == (ENTER, TAB, KEYPAD_ENTER)
    assert (codes["KEY_LEFTSHIFT"], codes["KEY_RIGHTSHIFT"]) == (LEFT_SHIFT, RIGHT_SHIFT)
    assert (codes["KEY_LEFTCTRL"], codes["KEY_RIGHTALT"]) == (LEFT_CONTROL, RIGHT_ALT)
