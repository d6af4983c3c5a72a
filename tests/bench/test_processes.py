"""What other processes cost, seen on this one and on a child of it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from recorderd.bench.processes import cpu_seconds, family, memory_bytes, named

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
