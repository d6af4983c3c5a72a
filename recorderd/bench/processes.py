"""What other processes cost: their time on the processor and their memory, from /proc."""

from __future__ import annotations

import os
import signal
import sys
import time
import types
from collections.abc import Iterable
from pathlib import Path
from typing import Final

DISTURBING_CORES: Final = 0.2
"""More than this taken by others, and figures say more about them than about recorderd."""
_TICKS_PER_SECOND: Final = os.sysconf("SC_CLK_TCK")
_OWN_TIMES: Final = slice(11, 13)
_WITH_CHILDREN: Final = slice(11, 15)
"""Their places in /proc/PID/stat, counted after the name (proc(5): fields 14 to 17)."""
_WORK: Final = slice(1, 4)
"""User, nice and system in /proc/stat; interrupts also count for whoever caused them."""


def end_with_what_was_started() -> None:
    """Make SIGTERM end this process as Ctrl-C does: what it started is ended, too."""

    def leave(number: int, _frame: types.FrameType | None) -> None:
        sys.exit(128 + number)

    signal.signal(signal.SIGTERM, leave)


def family(process_id: int) -> list[int]:
    """A process and all that it started, as far as they live."""
    found = [process_id]
    for children in Path(f"/proc/{process_id}/task").glob("*/children"):
        try:
            found += [one for child in children.read_text().split() for one in family(int(child))]
        except OSError:
            continue
    return found


def named(process_ids: Iterable[int], *words: str) -> list[int]:
    """Those that were started with all these words on their command line."""
    return [one for one in process_ids if set(words) <= set(_command(one))]


def cpu_seconds(process_ids: Iterable[int]) -> float:
    """Time spent so far in all threads of these processes, also in the kernel for them.

    Counted in hundredths of a second. Processes that have gone count nothing.
    """
    return sum(_ticks(one, _OWN_TIMES) for one in process_ids) / _TICKS_PER_SECOND


def memory_bytes(process_ids: Iterable[int]) -> int:
    """Memory of these processes; what they share counts once (Pss in proc(5))."""
    return 1024 * sum(_kilobytes(one) for one in process_ids)


class Others:
    """How busy everybody else on this machine is, from when this is made.

    A figure is worth little if something else had the processor meanwhile.
    """

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._before = _ticks_of_others()

    def cores(self) -> float:
        """Processors that were taken on average by what is not ours or our children's."""
        ticks = _ticks_of_others() - self._before
        return max(0.0, ticks / _TICKS_PER_SECOND / (time.monotonic() - self._began))


def _ticks_of_others() -> int:
    return _ticks_of_everybody() - sum(_ticks(one, _WITH_CHILDREN) for one in family(os.getpid()))


def _ticks_of_everybody() -> int:
    times = Path("/proc/stat").read_text().partition("\n")[0].split()
    return sum(map(int, times[_WORK]))


def _command(process_id: int) -> list[str]:
    try:
        return (
            Path(f"/proc/{process_id}/cmdline").read_bytes().decode("utf-8", "replace").split("\0")
        )
    except OSError:
        return []


def _ticks(process_id: int, times: slice) -> int:
    try:
        fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return sum(map(int, fields[times]))


def _kilobytes(process_id: int) -> int:
    try:
        lines = Path(f"/proc/{process_id}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
