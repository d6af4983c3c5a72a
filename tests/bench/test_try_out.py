"""The station on a simulated bench, as the demo and the benchmarks start it."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from recorderd.bench.try_out import TryOut, own_environment, write_settings
from recorderd.core.signals import Signal
from recorderd.errors import ConfigError, DeviceError


def test_settings_are_written_and_read_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECORDERD__CAMERA__RATE", "5")
    settings = write_settings(
        tmp_path / "recorderd.toml",
        {"station": {"name": 'a "name" \\'}, "camera": {"rate": 15.0}, "web": {"port": 8081}},
    )
    assert settings.station.name == 'a "name" \\'
    assert (settings.camera.rate, settings.web.port) == (15.0, 8081)


def test_a_mistake_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"camera\.rate"):
        write_settings(tmp_path / "recorderd.toml", {"camera": {"rate": 0}})


def test_settings_of_the_real_station_do_not_reach_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECORDERD__WEB__PORT", "80")
    monkeypatch.setenv("DATABASE_URL", "postgresql://host/name")
    monkeypatch.setenv("LANG", "C.UTF-8")
    environment = own_environment()
    assert environment["LANG"] == "C.UTF-8"
    assert not any(name.startswith(("RECORDERD__", "DATABASE_URL")) for name in environment)


def test_its_folders_lie_in_its_own(tmp_path: Path) -> None:
    settings = TryOut(tmp_path, {"station": {"name": "bench"}}).settings
    assert settings.station.name == "bench"
    assert settings.state_folder == tmp_path / "state"
    assert settings.panel_socket == tmp_path / "run/panel.sock"
    assert settings.panel.driver == "simulated"


def test_a_station_that_does_not_start_is_said(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where a folder should be")
    station = TryOut(tmp_path, {})
    with pytest.raises(DeviceError) as caught:
        station.start()
    assert str(station.log) in caught.value.remedy
    assert station.close() != 0


def test_closing_what_was_never_started(tmp_path: Path) -> None:
    assert TryOut(tmp_path, {}).close() == 0


@pytest.mark.slow
def test_it_runs_and_tells_its_signals(tmp_path: Path) -> None:
    heard: list[tuple[Signal, float]] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    station = TryOut(
        tmp_path,
        {
            "camera": {"source": "simulated", "width": 640, "height": 360, "rate": 10.0},
            "recording": {"mode": "defer"},
            "storage": {"minimum_free_gigabytes": 0.05},
            "web": {"address": "127.0.0.1", "port": port},
        },
        lambda signal, at: heard.append((signal, at)),
    )
    try:
        station.start()
        station.wait_until_ready()
    finally:
        assert station.close() == 0
    assert heard == station.signals()
    assert Signal.READY in [signal for signal, _ in heard]
