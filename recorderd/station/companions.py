"""The other services as child processes, for a try-out without systemd."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Sequence

import structlog

RESTART_SECONDS = 2.0
LEAVE_SECONDS = 10.0

log = structlog.get_logger("companions")


class Companions:
    """Keeps `recorderd COMMAND` running for each command, with this process's own settings."""

    def __init__(self, commands: Sequence[str]) -> None:
        self._closing = threading.Event()
        self._threads = [
            threading.Thread(target=self._keep_running, args=(command,), name=f"runs {command}")
            for command in commands
        ]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        self._closing.set()
        for thread in self._threads:
            thread.join(LEAVE_SECONDS + 2)

    def _keep_running(self, command: str) -> None:
        arguments = [sys.executable, "-m", "recorderd", command, *_config_arguments()]
        while not self._closing.is_set():
            process = subprocess.Popen(arguments)
            while process.poll() is None and not self._closing.wait(0.2):
                pass
            if self._closing.is_set():
                _end(process)
                return
            log.warning("service ended and is started again", service=command)
            self._closing.wait(RESTART_SECONDS)


def _config_arguments() -> list[str]:
    """The `--config FILE` this process was started with."""
    arguments = sys.argv[1:]
    for index, argument in enumerate(arguments):
        if argument == "--config":
            return arguments[index : index + 2]
        if argument.startswith("--config="):
            return [argument]
    return []


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(LEAVE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
