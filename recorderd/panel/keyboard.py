"""Text typed by a hand scanner: key events of a US keyboard in, texts out. Pure.

Key codes are those of the Linux input layer (input-event-codes.h), which never change.
Hand scanners type as US keyboards unless they were told otherwise.
"""

from __future__ import annotations

from recorderd.core.model import Nanoseconds, nanoseconds

LONGEST_TEXT = 4096
"""Characters; the largest QR code holds 4296 (ISO/IEC 18004), no label needs that many."""

LONGEST_PAUSE: Nanoseconds = nanoseconds(1.0)
"""Scanners type a text within milliseconds: what was left half-typed before is no part of it."""

UP, DOWN = 0, 1
"""Values of a key event; 2 is the repetition of a key that is held."""

_ENTER, _TAB, _KEYPAD_ENTER = 28, 15, 96
_ENDS = frozenset({_ENTER, _TAB, _KEYPAD_ENTER})
_SHIFTS = frozenset({42, 54})
_CONTROLS_ALTS_METAS = frozenset({29, 97, 56, 100, 125, 126})

_ROWS = (
    (2, "1234567890-=", "!@#$%^&*()_+"),
    (16, "qwertyuiop[]", "QWERTYUIOP{}"),
    (30, "asdfghjkl;'`", 'ASDFGHJKL:"~'),
    (43, "\\zxcvbnm,./", "|ZXCVBNM<>?"),
    (57, " ", " "),
)
_KEYPAD = ((55, "*"), (71, "789-456+1230."), (98, "/"), (117, "="), (121, ","))

PLAIN = {first + n: char for first, row, _ in _ROWS for n, char in enumerate(row)} | {
    first + n: char for first, row in _KEYPAD for n, char in enumerate(row)
}
SHIFTED = PLAIN | {first + n: char for first, _, row in _ROWS for n, char in enumerate(row)}


class TypedText:
    """Collects keys until Enter or Tab. Longer texts than LONGEST_TEXT are thrown away whole.

    Keys pressed together with Control, Alt or Meta are commands, not text, and ignored as
    unknown keys are.
    """

    def __init__(self) -> None:
        self._characters: list[str] = []
        self._spoilt = False
        self._held: set[int] = set()
        self._last_ns: Nanoseconds | None = None

    def key(self, code: int, value: int, now_ns: Nanoseconds) -> str | None:
        """Take one key event. Returns the text if this key completed one."""
        if self._last_ns is not None and now_ns - self._last_ns > LONGEST_PAUSE:
            self._begin_anew()
        self._last_ns = now_ns
        if code in _SHIFTS | _CONTROLS_ALTS_METAS:
            if value == UP:
                self._held.discard(code)
            else:
                self._held.add(code)
        elif value == DOWN and not self._held & _CONTROLS_ALTS_METAS:
            if code in _ENDS:
                return self._end()
            self._add((SHIFTED if self._held else PLAIN).get(code, ""))
        return None

    def lose(self) -> None:
        """Events were lost: what is being typed is worth nothing up to its Enter."""
        self._held.clear()
        self._characters.clear()
        self._spoilt = True

    def forget(self) -> None:
        """The keyboard is gone or another one came: nothing was typed and nothing is held."""
        self._held.clear()
        self._begin_anew()

    def _add(self, character: str) -> None:
        if self._spoilt:
            return
        self._characters.append(character)
        if len(self._characters) > LONGEST_TEXT:
            self._characters.clear()
            self._spoilt = True

    def _end(self) -> str | None:
        text = "".join(self._characters)
        self._begin_anew()
        return text or None

    def _begin_anew(self) -> None:
        self._characters.clear()
        self._spoilt = False
