"""`recorderd aim`: what the camera sees, in one line that is written anew again and again."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable
from typing import Final, TextIO

from recorderd.aim import placement, words
from recorderd.aim.live import LiveView, View
from recorderd.errors import DeviceError
from recorderd.settings import Settings
from recorderd.status import NotRunning, status_now
from recorderd.terminal import escaped

LOOK_SECONDS: Final = 0.1
SILENCE_SECONDS: Final = 10.0
"""Without a picture for so long something is wrong, and it is said what."""

_BAR: Final = 10
_BELL: Final = "\a"
_BELL_SECONDS: Final = (1.5, 0.15)
"""From bell to bell: with nothing sharp, and with everything sharp."""


class Aiming:
    """The line, and what it remembers: the best focus so far."""

    def __init__(self) -> None:
        self._best = 0.0

    def line(self, view: View) -> str:
        """All about one view, without a line's end."""
        self._best = max(self._best, view.focus)
        filled, peak = round(view.focus * _BAR), min(_BAR - 1, round(self._best * _BAR))
        cells = ["#" if place < filled else "." for place in range(_BAR)]
        if peak >= filled:
            cells[peak] = "|"
        read = "; ".join(words.code(code).text for code in view.codes) or "nothing read"
        # Whole sentences would not fit beside each other.
        focus, light = words.focus(view.focus).seen, words.exposure(view).seen
        # What matters most comes first: 80 columns are soon full.
        return (
            f"focus {view.focus * 100:3.0f} [{''.join(cells)}] best {self._best * 100:.0f} | "
            f"{read} | {light}, {focus}"
        )


def run_aim(
    settings: Settings,
    *,
    once: bool = False,
    tone: bool = False,
    out: TextIO = sys.stdout,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Show what the running station sees until Ctrl-C, or with `once` one line. Returns 0.

    Raises DeviceError if there is no station, or no picture for ten seconds.
    """
    live, aiming = LiveView(settings.run_folder), Aiming()
    in_place = out.isatty() and not once
    shown_ns = 0
    seen = rung = float("-inf")
    began = clock()
    try:
        while True:
            now = clock()
            view = live.look()
            if view is not None and view.monotonic_ns != shown_ns:
                shown_ns, seen = view.monotonic_ns, now
                _write(out, aiming.line(view), in_place)
                if once:
                    return 0
            if view is not None and tone and now - rung >= _pause(view.focus):
                rung = now
                out.write(_BELL)
                out.flush()
            if now - max(seen, began) > SILENCE_SECONDS:
                raise _no_picture(settings)
            sleep(LOOK_SECONDS)
    finally:
        if in_place:
            out.write("\n")


def _write(out: TextIO, line: str, in_place: bool) -> None:
    if in_place:
        width = shutil.get_terminal_size().columns - 1
        # ECMA-48: back to the first column, then erase to the end of the line.
        out.write(f"\r{line[:width]}\x1b[K")
    else:
        out.write(line + "\n")
    out.flush()


def _pause(focus: float) -> float:
    """A terminal's bell has one pitch: it rings the faster the sharper it is."""
    slow, fast = _BELL_SECONDS
    return float(slow * (fast / slow) ** focus)


def _no_picture(settings: Settings) -> DeviceError:
    status = status_now(settings)
    if isinstance(status, NotRunning):
        return DeviceError(f"The station is not running: {status.problem}", status.remedy)
    faults = status.get("faults")
    problem = "; ".join(map(str, faults.values())) if isinstance(faults, dict) else ""
    return DeviceError(
        f"No picture has come for {SILENCE_SECONDS:g} seconds. {escaped(problem)}".rstrip(". "),
        "'recorderd status' says how the camera is, 'journalctl -u recorderd' says more",
    )


def run_table(settings: Settings) -> int:
    """Print how large labels must be with this camera's picture. Returns 0."""
    width = settings.camera.width
    print(
        f"For a picture {width} pixels wide, with {words.GOOD_MODULE_PIXELS:g} pixels to a module, "
        "which is a good margin:\n"
    )
    print("\n".join(placement.table(width)))
    print("\nThe sides are those of the code alone; around it 4 modules must be white.")
    return 0
