"""Keeps an engine alive: starts it, talks to it, notices when it hangs, starts another one."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import TypeAlias

from recorderd.core.model import Nanoseconds, nanoseconds
from recorderd.engine.messages import Command, Heartbeat, Hello, Leave, Report
from recorderd.errors import InvariantViolationError

SILENCE_LIMIT = nanoseconds(2)
START_LIMIT = nanoseconds(15)
_POLL_SECONDS = 0.05
_SHORT_LIFE = nanoseconds(10)
_PAUSES_AFTER_SHORT_LIVES = (0.0, 0.5, 2.0, 5.0)
_LEAVE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class EngineStarted:
    """A new engine process runs and listens."""

    process_id: int


@dataclass(frozen=True, slots=True)
class EngineGone:
    """The engine has died, or was killed because it hung; another one is being started."""

    problem: str


LinkReport: TypeAlias = Report | EngineStarted | EngineGone


def engine_command(descriptor: int) -> list[str]:
    """How an engine is started; it talks over this inherited socket."""
    return [sys.executable, "-m", "recorderd.engine", str(descriptor)]


class EngineLink:
    """One thread owns the engine process; `send` may be called from any other.

    A stopped engine (SIGSTOP, a debugger) is noticed at once because the kernel tells its
    parent; one that hangs, by its missing heartbeats.
    """

    def __init__(
        self,
        hello: Hello,
        report: Callable[[LinkReport], None],
        *,
        command: Callable[[int], list[str]] = engine_command,
    ) -> None:
        self._hello = hello
        self._report = report
        self._command = command
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="engine link")

    def start(self) -> None:
        self._thread.start()

    @property
    def process_id(self) -> int | None:
        process = self._process
        return process.pid if process else None

    def send(self, command: Command) -> None:
        """Tell the engine. If there is none, nothing happens: EngineGone says so to all."""
        with self._lock:
            if self._connection is None:
                return
            try:
                self._connection.send(command)
            except OSError:
                return

    def close(self) -> None:
        """Let the engine close its files and leave; kill it if it does not within a minute."""
        self._closing.set()
        self.send(Leave())
        self._thread.join(_LEAVE_SECONDS + 5)

    def _run(self) -> None:
        short_lives = 0
        while not self._closing.is_set():
            began_ns = time.monotonic_ns()
            problem = self._one_life()
            if self._closing.is_set():
                return
            self._report(EngineGone(problem))
            short = time.monotonic_ns() - began_ns < _SHORT_LIFE
            short_lives = short_lives + 1 if short else 0
            pause = _PAUSES_AFTER_SHORT_LIVES[min(short_lives, len(_PAUSES_AFTER_SHORT_LIVES) - 1)]
            self._closing.wait(pause)

    def _one_life(self) -> str:
        """Start an engine and pass on what it says until it is gone; says why it went."""
        ours, theirs = socket.socketpair()
        with theirs:
            descriptor = theirs.fileno()
            process = subprocess.Popen(self._command(descriptor), pass_fds=[descriptor])
        connection = Connection(ours.detach())
        connection.send(self._hello)
        with self._lock:
            self._connection, self._process = connection, process
        self._report(EngineStarted(process.pid))
        try:
            return self._listen(connection, process)
        finally:
            with self._lock:
                self._connection = None
                connection.close()
            process.kill()
            process.wait()

    def _listen(self, connection: Connection, process: subprocess.Popen[bytes]) -> str:
        deadline_ns = time.monotonic_ns() + START_LIMIT
        leave_by_ns: Nanoseconds | None = None
        while True:
            try:
                if connection.poll(_POLL_SECONDS):
                    message = connection.recv()
                    if isinstance(message, Heartbeat):
                        deadline_ns = time.monotonic_ns() + SILENCE_LIMIT
                    self._report(message)
                    continue
            except (EOFError, OSError):
                return _how_it_ended(process)
            if _is_stopped(process.pid):
                return "it was stopped from outside"
            now = time.monotonic_ns()
            if self._closing.is_set():
                leave_by_ns = leave_by_ns or now + nanoseconds(_LEAVE_SECONDS)
                if now > leave_by_ns:
                    return "it did not leave when asked to"
            elif now > deadline_ns:
                return "it gave no sign of life"


def _is_stopped(process_id: int) -> bool:
    """Ask the kernel whether a child stands still (job control), without reaping it."""
    try:
        found = os.waitid(os.P_PID, process_id, os.WSTOPPED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return found is not None and found.si_status in (signal.SIGSTOP, signal.SIGTSTP)


def _how_it_ended(process: subprocess.Popen[bytes]) -> str:
    try:
        code = process.wait(1.0)
    except subprocess.TimeoutExpired:
        return "it closed its connection"
    if code < 0:
        return f"it was ended by signal {signal.Signals(-code).name}"
    return f"it ended with exit code {code}"


def must_be_a_report(message: object) -> None:
    """Guards the one place where data from another process enters the station."""
    if not isinstance(message, Report | EngineStarted | EngineGone):
        raise InvariantViolationError(f"the engine sent {type(message).__name__}")
