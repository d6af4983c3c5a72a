"""Drives the real daemon as a person would: labels before the camera, a foot on the pedal."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from recorderd.config import toml_value
from recorderd.core.signals import Signal
from recorderd.store.reader import RecordingRow, find

START_SECONDS = 30.0


class Daemon:
    """`recorderd run` with a simulated panel, in a folder of its own."""

    def __init__(self, folder: Path, settings: Mapping[str, Mapping[str, Any]]) -> None:
        self.folder = folder
        self.state = folder / "state"
        self.run_folder = folder / "run"
        self.config = folder / "recorderd.toml"
        sections: dict[str, dict[str, Any]] = {
            "station": {"state_folder": str(self.state), "run_folder": str(self.run_folder)},
            "panel": {"driver": "simulated"},
            "storage": {"minimum_free_gigabytes": 0.05, "reserve_megabytes": 16},
            "log": {"format": "console", "level": "debug"},
        }
        for name, keys in settings.items():
            sections.setdefault(name, {}).update(keys)
        folder.mkdir(parents=True, exist_ok=True)
        self.config.write_text(
            "\n".join(
                f"[{name}]\n"
                + "".join(f"{key} = {toml_value(value)}\n" for key, value in keys.items())
                for name, keys in sections.items()
            )
        )
        self.panel_lines: list[dict[str, Any]] = []
        self._changed = threading.Condition()

    def start(
        self,
        *options: str,
        environment: Mapping[str, str] | None = None,
        launcher: Sequence[str] = (),
    ) -> Daemon:
        """Options are those of `recorderd run`; the environment is added to ours. `launcher` is
        a program that becomes the one that is named after its own arguments."""
        self.log = self.folder / "station.log"
        command = [
            *launcher,
            sys.executable,
            "-m",
            "recorderd",
            "run",
            "--config",
            str(self.config),
        ]
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [*command, *options],
                stdout=log,
                stderr=log,
                env={**os.environ, **(environment or {})},
            )
        self._panel = self._connect()
        self._reader = threading.Thread(target=self._read, name="panel reader")
        self._reader.start()
        return self

    def __enter__(self) -> Daemon:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> int:
        """Ask it to leave and wait; kills it if it does not."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.wait(30)

    def wait(self, timeout: float) -> int:
        try:
            return self.process.wait(timeout)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            self._reader.join()
            self._panel.close()

    def kill(self) -> None:
        """What the plug does to a process, for the station and all its children."""
        children = [self.process.pid, *self.descendants()]
        for child in children:
            os.kill(child, signal.SIGKILL)
        self.wait(10)

    def descendants(self, of: int | None = None) -> list[int]:
        parent = self.process.pid if of is None else of
        found = []
        for tasks in Path(f"/proc/{parent}/task").glob("*/children"):
            for child in tasks.read_text().split():
                found += [int(child), *self.descendants(int(child))]
        return found

    def engine(self) -> int:
        """The process id of the engine."""
        for child in self.descendants():
            words = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
            if b"recorderd.engine" in words:
                return child
        raise AssertionError("there is no engine")

    def press(self, line: str) -> None:
        self._panel.sendall(line.encode() + b"\n")

    def signals(self) -> list[tuple[float, Signal]]:
        """(monotonic seconds, signal) as the panel announced them."""
        with self._changed:
            return [
                (line["monotonic"], Signal(line["signal"]))
                for line in self.panel_lines
                if "signal" in line
            ]

    def wait_for(self, wanted: Signal, timeout: float = 60.0, after: float = 0.0) -> float:
        """When this signal was announced first after the monotonic moment `after`."""

        def seen() -> float | None:
            return next(
                (at for at, shown in self.signals() if shown is wanted and at > after), None
            )

        with self._changed:
            self._changed.wait_for(
                lambda: seen() is not None or self.process.poll() is not None, timeout
            )
        at = seen()
        if at is None:
            raise AssertionError(
                f"no {wanted} within {timeout} s; {self.signals()}\n{self.log.read_text()[-3000:]}"
            )
        return at

    def status(self) -> dict[str, Any]:
        try:
            document: dict[str, Any] = json.loads((self.run_folder / "status.json").read_text())
            return document
        except (OSError, ValueError):
            return {}

    def wait_until(self, holds: Callable[[dict[str, Any]], bool], timeout: float = 30.0) -> None:
        """Wait until the published status is as wanted."""
        deadline = time.monotonic() + timeout
        while not holds(self.status()):
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise AssertionError(f"{self.status()}\n{self.log.read_text()[-3000:]}")
            time.sleep(0.05)

    def rows(self) -> list[RecordingRow]:
        """All recordings, oldest first."""
        rows = find(f"sqlite:///{self.state}/catalogue.db", "", 1000)
        return sorted(rows, key=lambda row: row.id)

    def video(self, row: RecordingRow) -> Path:
        return self.state / "footage" / row.path

    def _connect(self) -> socket.socket:
        deadline = time.monotonic() + START_SECONDS
        while True:
            connection = socket.socket(socket.AF_UNIX)
            try:
                connection.connect(str(self.run_folder / "panel.sock"))
                return connection
            except OSError:
                connection.close()
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError(self.log.read_text()[-3000:]) from None
                time.sleep(0.02)

    def _read(self) -> None:
        with self._panel.makefile("r", encoding="utf-8") as lines:
            try:
                for text in lines:
                    with self._changed:
                        self.panel_lines.append(json.loads(text))
                        self._changed.notify_all()
            except OSError:
                pass
        with self._changed:
            self._changed.notify_all()
