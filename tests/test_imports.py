"""A native crash must not take the lamps down, and a small command must stay small."""

from __future__ import annotations

import subprocess
import sys

import pytest

NATIVE = {"av", "cv2", "zbar", "zxingcpp", "numpy"}
DEVICES = {"gpiozero", "evdev", "systemd"}
HEAVY = {"peewee", "structlog", "asyncio", "segno", "multiprocessing"}


def _imported_by(module: str) -> set[str]:
    """The top-level names of all that is loaded in a fresh interpreter."""
    code = f"import sys, {module}; print(*{{name.split('.')[0] for name in sys.modules}})"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    return set(found.stdout.split())


@pytest.mark.parametrize("module", ["recorderd.station.run", "recorderd.panel.panel"])
def test_no_native_code_in_the_station_process(module: str) -> None:
    imported = _imported_by(module)
    assert "recorderd" in imported
    assert not imported & (NATIVE | DEVICES)


def test_finding_and_status_need_no_video() -> None:
    for module in ("recorderd.find", "recorderd.status"):
        assert not _imported_by(module) & (NATIVE | DEVICES)


def test_command_line_stays_light() -> None:
    assert not _imported_by("recorderd.cli") & (NATIVE | DEVICES | HEAVY)


def test_this_test_can_fail() -> None:
    assert {"av", "numpy"} <= _imported_by("recorderd.engine.scan_feed")
