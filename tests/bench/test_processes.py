"""What other processes cost, seen on this one and on a child of it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from recorderd.bench import processes
from recorderd.bench.processes import Others, cpu_seconds, family, memory_bytes, named

TICKS = os.sysconf("SC_CLK_TCK")
BUSY = "sum(range(10_000_000)); print('ready', flush=True); input()"


@contextmanager
def _child() -> Iterator[int]:
    child = subprocess.Popen(
        [sys.executable, "-c", BUSY], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        yield child.pid


def test_a_family_is_a_process_and_its_children() -> None:
    with _child() as child:
        assert {os.getpid(), child} <= set(family(os.getpid()))
        assert family(child) == [child]
        assert named(family(os.getpid()), "-c", BUSY) == [child]
        assert named([child], "-c", "something else") == []


def test_what_it_cost() -> None:
    with _child() as child:
        used, memory = cpu_seconds([child]), memory_bytes([child])
        assert used > 0
        assert cpu_seconds([child, child]) == 2 * used
        assert memory > 1_000_000


def test_who_has_gone_costs_nothing() -> None:
    with _child() as child:
        pass
    assert cpu_seconds([child]) == 0
    assert memory_bytes([child]) == 0
    assert named([child], "-c") == []


def test_our_own_children_are_not_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when they have ended: a second of work of ours must not be seen as somebody else's."""
    everybody = 1000
    monkeypatch.setattr(processes, "_ticks_of_everybody", lambda: everybody)
    monkeypatch.setattr(time, "monotonic", lambda: float(everybody) / TICKS)
    before = _ours()
    others = Others()
    with _child():
        pass
    used = _ours() - before
    everybody += used + 2 * TICKS
    assert used > 0
    assert others.cores() == pytest.approx(2 * TICKS / (used + 2 * TICKS), rel=0.05)


def _ours() -> int:
    times = os.times()
    return round(TICKS * sum(times[:4]))
