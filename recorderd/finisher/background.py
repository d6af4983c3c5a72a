"""Taking only what of processor and disk nobody else wants."""

from __future__ import annotations

import ctypes
import os
import platform
from contextlib import suppress
from typing import Final

_CALLS: Final = {
    "x86_64": (251, 252),
    "aarch64": (30, 31),
    "riscv64": (30, 31),
}
"""Numbers of ioprio_set(2) and ioprio_get(2), which no library wraps (linux/unistd.h)."""
_THIS_PROCESS: Final = 1
_CLASS_SHIFT: Final = 13
IDLE_CLASS: Final = 3


def step_back() -> None:
    """Give this thread, and all that it starts, the idle class for processor and disk.

    sched(7), SCHED_IDLE; ioprio_set(2), which counts where the disk's scheduler is BFQ. What
    the system refuses is done without.
    """
    with suppress(OSError, AttributeError):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    numbers = _CALLS.get(platform.machine())
    if numbers is not None:
        _call(numbers[0], _THIS_PROCESS, 0, IDLE_CLASS << _CLASS_SHIFT)


def io_class() -> int | None:
    """The disk class of this thread; 0 if it has none of its own, None if that is not known."""
    numbers = _CALLS.get(platform.machine())
    priority = -1 if numbers is None else _call(numbers[1], _THIS_PROCESS, 0)
    return None if priority < 0 else priority >> _CLASS_SHIFT


def _call(number: int, *arguments: int) -> int:
    call = ctypes.CDLL(None).syscall
    call.restype = ctypes.c_long
    return int(call(ctypes.c_long(number), *map(ctypes.c_long, arguments)))
