"""The finisher takes only what nobody else wants."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

from recorderd.finisher import background

_TELL = """
import os, threading
from recorderd.finisher.background import io_class, step_back
before = io_class()
step_back()
inherited = []
thread = threading.Thread(target=lambda: inherited.append((os.sched_getscheduler(0), io_class())))
thread.start()
thread.join()
print(before, os.sched_getscheduler(0) == os.SCHED_IDLE, io_class(), inherited[0][1])
"""


@pytest.mark.skipif(platform.machine() not in ("x86_64", "aarch64"), reason="no known call")
def test_processor_and_disk_in_the_idle_class() -> None:
    found = subprocess.run(
        [sys.executable, "-c", _TELL], capture_output=True, text=True, check=True, timeout=60
    )
    before, processor, disk, inherited = found.stdout.split()
    assert before != str(background.IDLE_CLASS)
    assert processor == "True"
    assert disk == inherited == str(background.IDLE_CLASS)


def test_machine_whose_calls_are_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "pdp11")
    monkeypatch.setattr(os, "sched_setscheduler", lambda *_: None)
    background.step_back()
    assert background.io_class() is None
