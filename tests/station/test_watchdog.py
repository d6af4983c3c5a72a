"""What systemd hears, through a real notification socket."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from recorderd.station.watchdog import Watchdog


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """A service manager's end of the socket (sd_notify(3))."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener.bind(str(tmp_path / "notify"))
    listener.settimeout(5)
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    yield listener
    listener.close()


def test_words_on_the_wire(manager: socket.socket) -> None:
    watchdog = Watchdog()
    watchdog.ready()
    watchdog.ready()
    watchdog.status("ready")
    watchdog.status("ready")
    watchdog.alive()
    watchdog.stopping()
    heard = [manager.recv(1000).decode().strip() for _ in range(4)]
    assert heard == ["READY=1", "STATUS=ready", "WATCHDOG=1", "STOPPING=1"]


def test_text_cannot_bring_a_second_message(manager: socket.socket) -> None:
    Watchdog().status("a fault:\nWATCHDOG=trigger\nx")
    assert manager.recv(1000).decode().strip() == "STATUS=a fault: WATCHDOG=trigger x"


def test_without_a_service_manager(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    watchdog = Watchdog()
    watchdog.ready()
    watchdog.alive()


def test_new_settings_are_announced_and_then_ready_again(manager: socket.socket) -> None:
    watchdog = Watchdog()
    watchdog.ready()
    watchdog.reloading()
    watchdog.ready()
    heard = [manager.recv(1000).decode().strip() for _ in range(3)]
    assert heard[0] == heard[2] == "READY=1"
    assert heard[1].startswith("RELOADING=1\nMONOTONIC_USEC=")


def test_more_time_to_stop(manager: socket.socket) -> None:
    Watchdog().more_time(30)
    assert manager.recv(1000).decode().strip() == "EXTEND_TIMEOUT_USEC=30000000"
