"""The whole station on a simulated bench, in a folder of its own, and somebody who packs there.

Only camera, lamps and pedal are simulated. What the packer does with the labels is in the
simulated camera's script; the foot on the pedal is played here, through the panel's socket.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from recorderd.bench import processes
from recorderd.config import load, toml_value
from recorderd.core.signals import Signal
from recorderd.core.state import Phase
from recorderd.engine.sources.bench_script import CYCLE_SECONDS, StopBy, moments
from recorderd.errors import DeviceError
from recorderd.settings import Settings

Sections = Mapping[str, Mapping[str, Any]]

STARTING_SECONDS: Final = 30.0
_PATIENCE_SECONDS: Final = 60.0
_LEAVE_SECONDS: Final = 90.0
_PRESS_SECONDS: Final = 0.2
_LOOK_SECONDS: Final = 0.1


def own_environment() -> dict[str, str]:
    """This process's environment without settings that are meant for the real station."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("RECORDERD__") and name != "DATABASE_URL"
    }


def write_settings(file: Path, sections: Sections) -> Settings:
    """Write a settings file and read it back. Raises ConfigError."""
    file.write_text(
        "\n".join(
            f"[{name}]\n" + "".join(f"{key} = {toml_value(value)}\n" for key, value in keys.items())
            for name, keys in sections.items()
        )
    )
    return load(file, environment={}).settings


class TryOut:
    """`recorderd run --all` with a simulated panel.

    `folder` is there and empty; `sections` are settings besides those of its folders and
    panel. What the station says goes to `station.log` there. `on_signal` is called with each
    signal and its moment (monotonic seconds), on a thread of its own.
    """

    def __init__(
        self,
        folder: Path,
        sections: Sections,
        on_signal: Callable[[Signal, float], None] = lambda _signal, _at: None,
    ) -> None:
        self.config = folder / "recorderd.toml"
        self.log = folder / "station.log"
        self.transcript: list[dict[str, Any]] = []
        """Every change of lamps and buzzer so far, as the simulated panel tells them."""
        self.presses: list[float] = []
        """When the pedal was pressed, in monotonic seconds."""
        ours: dict[str, dict[str, Any]] = {
            "station": {"state_folder": f"{folder}/state", "run_folder": f"{folder}/run"},
            "panel": {"driver": "simulated"},
            "log": {"format": "console"},
        }
        for name, keys in sections.items():
            ours.setdefault(name, {}).update(keys)
        self.settings = write_settings(self.config, ours)
        self._on_signal = on_signal
        self._station: subprocess.Popen[bytes] | None = None
        self._panel: socket.socket | None = None
        self._reader = threading.Thread(target=self._read, name="panel reader")

    def start(self) -> None:
        """Start the station; returns when its panel is there. Raises DeviceError."""
        with self.log.open("w") as log:
            self._station = subprocess.Popen(
                [sys.executable, "-m", "recorderd", "run", "--all", "--config", self.config],
                stdout=log,
                stderr=log,
                env=own_environment(),
            )
        self._panel = self._connect(self._station)
        self._reader.start()

    def wait_until_ready(self) -> None:
        """Return when the first order can be shown. Raises DeviceError."""
        self._wait_until("signal", Signal.READY)

    def wait_until_recording(self) -> None:
        """Return when an order is being recorded. Raises DeviceError."""
        self._wait_until("phase", Phase.RECORDING)

    def _wait_until(self, key: str, value: str) -> None:
        deadline = time.monotonic() + STARTING_SECONDS
        while self.status().get(key) != value:
            if time.monotonic() > deadline or self._started().poll() is not None:
                raise self._did_not_start()
            time.sleep(_LOOK_SECONDS)

    def recorder(self) -> list[int]:
        """The processes that watch and record, without those of the pages."""
        everybody = processes.family(self.process_id)
        web = processes.named(everybody, "recorderd", "web")
        return [one for one in everybody if one not in web]

    @property
    def process_id(self) -> int:
        """Of the station; the others are its descendants."""
        return self._started().pid

    def status(self) -> dict[str, Any]:
        """What the station published last; empty if nothing."""
        with contextlib.suppress(OSError, ValueError):
            document = json.loads(self.settings.status_file.read_text())
            if isinstance(document, dict):
                return document
        return {}

    def signals(self) -> list[tuple[Signal, float]]:
        """Each signal so far with its moment, in monotonic seconds."""
        return [
            (Signal(line["signal"]), line["monotonic"])
            for line in list(self.transcript)
            if "signal" in line
        ]

    def pack(self, cycles: int = 1) -> None:
        """Play the packer of so many cycles of the script.

        Returns when the last order is recorded and the station is ready again, when that
        takes far too long, or when the station has ended.
        """
        orders = [order for cycle in range(cycles) for order in moments(cycle)]
        presses = {
            order.order_id: order.stops - order.shown
            for order in orders
            if order.stop_by is StopBy.PEDAL
        }
        deadline = time.monotonic() + STARTING_SECONDS + cycles * CYCLE_SECONDS + _PATIENCE_SECONDS
        last_order = None
        while self._started().poll() is None and time.monotonic() < deadline:
            status = self.status()
            order, seconds = status.get("order"), status.get("recording_seconds") or 0.0
            if order in presses and seconds >= presses[order]:
                del presses[order]
                self.press()
            last_order = order or last_order
            if last_order == orders[-1].order_id and status.get("phase") == Phase.READY:
                return
            time.sleep(_LOOK_SECONDS)

    def wait(self) -> None:
        """Return when the station has ended by itself, as it does after a video file."""
        self._started().wait()

    def close(self) -> int:
        """Ask the station to leave and wait; it is killed if it does not. Its exit code."""
        station = self._station
        if station is None:
            return 0
        if station.poll() is None:
            station.send_signal(signal.SIGTERM)
        try:
            return station.wait(_LEAVE_SECONDS)
        except subprocess.TimeoutExpired:
            station.kill()
            return station.wait()
        finally:
            if self._panel is not None:
                self._reader.join()
                self._panel.close()

    def _started(self) -> subprocess.Popen[bytes]:
        if self._station is None:
            raise self._did_not_start()
        return self._station

    def press(self) -> None:
        """Step on the pedal, for a moment."""
        if self._panel is None:
            return
        self.presses.append(time.monotonic())
        with contextlib.suppress(OSError):
            self._panel.sendall(b"press\n")
            time.sleep(_PRESS_SECONDS)
            self._panel.sendall(b"release\n")

    def _connect(self, station: subprocess.Popen[bytes]) -> socket.socket:
        deadline = time.monotonic() + STARTING_SECONDS
        while True:
            connection = socket.socket(socket.AF_UNIX)
            try:
                connection.connect(str(self.settings.panel_socket))
                return connection
            except OSError:
                connection.close()
                if station.poll() is not None or time.monotonic() > deadline:
                    raise self._did_not_start() from None
                time.sleep(0.05)

    def _did_not_start(self) -> DeviceError:
        return DeviceError("The station did not start", f"Read why in {self.log}")

    def _read(self) -> None:
        if self._panel is None:
            return
        with self._panel.makefile("r", encoding="utf-8") as lines, contextlib.suppress(OSError):
            for text in lines:
                line = json.loads(text)
                self.transcript.append(line)
                if "signal" in line:
                    self._on_signal(Signal(line["signal"]), line["monotonic"])
