"""Services kept running beside the station."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

from recorderd.station import companions
from recorderd.station.companions import Companions


def _wait_for_lines(file: Path, count: int) -> list[str]:
    for _ in range(200):
        lines = file.read_text().splitlines() if file.exists() else []
        if len(lines) >= count:
            return lines
        threading.Event().wait(0.05)
    raise AssertionError(f"only {lines}")


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stands in for Python: writes down how it was called, then runs `$LASTS` seconds."""
    journal = tmp_path / "journal"
    program = tmp_path / "python"
    program.write_text(f'#!/bin/sh\necho "$@" >> {journal}\nexec sleep "$LASTS"\n')
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    monkeypatch.setattr(companions, "RESTART_SECONDS", 0.05)
    return journal


def test_service_that_ends_is_started_again(journal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LASTS", "0")
    monkeypatch.setattr(sys, "argv", ["recorderd", "run", "--all", "--config", "a b.toml"])
    running = Companions(["finish"])
    lines = _wait_for_lines(journal, 2)
    running.close()
    assert set(lines) == {"-m recorderd finish --config a b.toml"}


def test_services_end_with_the_station(journal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LASTS", "1000")
    monkeypatch.setattr(sys, "argv", ["recorderd", "run", "--config=x.toml"])
    running = Companions(["finish", "web"])
    assert sorted(_wait_for_lines(journal, 2)) == [
        "-m recorderd finish --config=x.toml",
        "-m recorderd web --config=x.toml",
    ]
    running.close()
    assert len(journal.read_text().splitlines()) == 2
