"""New settings for a running station, and leaving when nothing is being recorded."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from recorderd.core.signals import Signal
from tests.panel.listening import eventually

from .daemon import Daemon
from .test_daemon import SMALL_CAMERA

pytestmark = pytest.mark.slow
SETTINGS: dict[str, dict[str, Any]] = {"camera": SMALL_CAMERA, "recording": {"mode": "encode"}}


def _wait_for_line(daemon: Daemon, words: str) -> None:
    assert eventually(lambda: words in daemon.log.read_text()), daemon.log.read_text()


def _rename(daemon: Daemon, name: str) -> None:
    daemon.config.write_text(
        daemon.config.read_text().replace("[station]\n", f'[station]\nname = "{name}"\n')
    )


def test_bad_settings_are_refused_and_new_ones_wait_for_the_recording(tmp_path: Path) -> None:
    with Daemon(tmp_path, SETTINGS) as daemon:
        daemon.wait_for(Signal.STARTED)
        good = daemon.config.read_text()
        daemon.config.write_text(good + "nonsense = 1\n")
        daemon.process.send_signal(signal.SIGHUP)
        _wait_for_line(daemon, "the new settings are refused")
        daemon.config.write_text(good)
        daemon.process.send_signal(signal.SIGHUP)
        _wait_for_line(daemon, "the settings are the same as before")
        _rename(daemon, "bench 7")
        daemon.process.send_signal(signal.SIGHUP)
        _wait_for_line(daemon, "as soon as nothing is being recorded")
        assert daemon.status()["station"] == "station-1"
        daemon.press("press")
        daemon.wait_until(lambda status: status.get("station") == "bench 7")
    row = daemon.rows()[-1]
    assert (row.state, row.stop_reason, row.station) == ("saved", "pedal", "station-1")


def test_settings_that_are_given_back_before_they_were_taken_up_change_nothing(
    tmp_path: Path,
) -> None:
    with Daemon(tmp_path, SETTINGS) as daemon:
        daemon.wait_for(Signal.STARTED)
        good = daemon.config.read_text()
        _rename(daemon, "bench 7")
        daemon.process.send_signal(signal.SIGHUP)
        _wait_for_line(daemon, "as soon as nothing is being recorded")
        daemon.config.write_text(good)
        daemon.process.send_signal(signal.SIGHUP)
        assert eventually(
            lambda: daemon.log.read_text().count("as soon as nothing is being recorded") == 2
        )
        daemon.wait_until(lambda status: status.get("phase") == "recording")
        daemon.press("press")
        _wait_for_line(daemon, "new settings are taken up\n")
        daemon.wait_until(lambda status: status.get("phase") == "ready")
        assert daemon.status()["station"] == "station-1"
    assert {row.station for row in daemon.rows()} == {"station-1"}


def test_it_leaves_when_nothing_is_being_recorded(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, SETTINGS).start()
    daemon.wait_for(Signal.STARTED)
    daemon.process.send_signal(signal.SIGUSR1)
    daemon.press("press")
    assert daemon.wait(30) == 0
    row = daemon.rows()[-1]
    assert (row.state, row.stop_reason) == ("saved", "pedal")
