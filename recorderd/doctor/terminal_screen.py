"""The results on a terminal: each as it comes, and a last line that says what still goes on."""

from __future__ import annotations

import shutil
import sys
import textwrap
import time
from collections.abc import Sequence
from typing import TextIO

from recorderd.doctor.check import Result, Verdict, total, worst
from recorderd.terminal import escaped

_COLOURS = {Verdict.GOOD: "32", Verdict.WARNING: "33", Verdict.BAD: "31", Verdict.SKIPPED: "2"}
NAME_WIDTH = 16
_VERDICT_WIDTH = 9
_INDENT = 2 + _VERDICT_WIDTH + NAME_WIDTH
_ERASE_LINE = "\r\x1b[K"
"""ECMA-48: to the line's beginning, and everything on it gone."""
_SPINNER = "|/-\\"


class TerminalScreen:
    """Used by one thread. Without a terminal there are no colours and no moving line.

    What checks found is shown with everything in it that would move the cursor written out:
    it holds labels, names of programs and cameras, errors of drivers.
    """

    def __init__(self, stream: TextIO = sys.stdout) -> None:
        self._stream = stream
        self._moves = stream.isatty()
        self._width = max(60, min(110, shutil.get_terminal_size().columns))

    def begin(self, station: str) -> None:
        shown = escaped(station)
        self._write(f"\n  Station {shown}, looked at on {time.strftime('%Y-%m-%d %H:%M')}\n\n")

    def found(self, result: Result) -> None:
        finding = result.finding
        verdict = self._coloured(finding.verdict, f"{finding.verdict.upper():<{_VERDICT_WIDTH}}")
        lines = textwrap.wrap(escaped(finding.seen), self._width - _INDENT) or [""]
        text = f"  {verdict}{result.name:<{NAME_WIDTH}}{lines[0]}\n"
        text += "".join(f"{' ' * _INDENT}{line}\n" for line in lines[1:])
        if finding.remedy:
            remedy = textwrap.wrap(f"{escaped(finding.remedy)}.", self._width - _INDENT - 3)
            text += "".join(
                f"{' ' * _INDENT}{'->' if number == 0 else '  '} {line}\n"
                for number, line in enumerate(remedy)
            )
        self._erase()
        self._write(text)

    def looking(self, names: Sequence[str]) -> None:
        if self._moves and names:
            turn = _SPINNER[int(time.monotonic() * 5) % len(_SPINNER)]
            line = f"  {turn} looking at: {', '.join(names)}"
            self._write(_ERASE_LINE + line[: self._width - 1])

    def end(self, results: Sequence[Result]) -> None:
        self._erase()
        self._write(f"\n  {self._coloured(worst(results), total(results))}\n\n")

    def _erase(self) -> None:
        if self._moves:
            self._write(_ERASE_LINE)

    def _coloured(self, verdict: Verdict, text: str) -> str:
        return f"\x1b[{_COLOURS[verdict]}m{text}\x1b[0m" if self._moves else text

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


class NoScreen:
    """For output that programs read."""

    def found(self, result: Result) -> None:
        """It is printed with all others."""

    def looking(self, names: Sequence[str]) -> None:
        """Nobody looks."""
