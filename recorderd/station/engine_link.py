"""Keeps an engine alive: starts it, talks to it, notices when it hangs, starts another one."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from typing import TypeAlias

from recorderd.core.model import Nanoseconds, nanoseconds
from recorderd.engine.messages import Command, Heartbeat, Hello, Leave, Report

SILENCE_LIMIT = nanoseconds(2)
START_LIMIT = nanoseconds(15)
_POLL_SECONDS = 0.05
_SHORT_LIFE = nanoseconds(10)
_PAUSES_AFTER_SHORT_LIVES = (0.0, 0.5, 2.0, 5.0)
_LEAVE_SECONDS = 60.0
_CRASHES = (signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGABRT)
_EXIT_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class EngineStarted:
    """A new engine process runs and listens."""

    process_id: int


@dataclass(frozen=True, slots=True)
class EngineGone:
    """The engine has died, or was killed because it hung; another one is being started.

    `crashed`: it was ended by a fault of its own (not by somebody's signal), or was replaced.
    """

    problem: str
    crashed: bool = False


LinkReport: TypeAlias = Report | EngineStarted | EngineGone


def engine_command(descriptor: int) -> list[str]:
    """How an engine is started; it talks over this inherited socket."""
    return [sys.executable, "-m", "recorderd.engine", str(descriptor)]


class EngineLink:
    """One thread owns the engine process; `send` may be called from any other.

    A stopped engine (SIGSTOP, a debugger) is noticed at once because the kernel tells its
    parent; one that hangs, by its missing heartbeats. `report` runs on the link's thread; while
    it does not return, an engine that talks too fast has to wait.
    """

    def __init__(
        self,
        hello: Hello,
        report: Callable[[LinkReport], None],
        *,
        command: Callable[[int], list[str]] = engine_command,
        inherited: Sequence[int] = (),
    ) -> None:
        """`inherited` descriptors stay open in the engine as long as it lives."""
        self._inherited = tuple(inherited)
        self._replace_because = ""
        self._dying: list[subprocess.Popen[bytes]] = []
        self._hello = hello
        self._report = report
        self._command = command
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._process_id: int | None = None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="engine link")

    def start(self) -> None:
        self._thread.start()

    def send(self, process_id: int, command: Command) -> None:
        """Tell the engine that was announced with this process id.

        If it is gone nothing happens, also when another one has taken its place already: that
        one is told what to do once the station has heard of both.
        """
        with self._lock:
            if self._connection is not None and self._process_id == process_id:
                _tell(self._connection, command)

    def demote(self, encoder: str, reason: str) -> None:
        """Engines started from now on do not use this encoder."""
        self._hello = replace(self._hello, demoted={**self._hello.demoted, encoder: reason})

    def replace_engine(self, reason: str) -> None:
        """Kill the engine and start another one: it lives, but does not do its work."""
        self._replace_because = reason

    def close(self) -> None:
        """Let the engine close its files and leave; kill it if it does not within a minute."""
        self._closing.set()
        with self._lock:
            if self._connection is not None:
                _tell(self._connection, Leave())
        self._thread.join(_LEAVE_SECONDS + 5)

    def _run(self) -> None:
        short_lives = 0
        while not self._closing.is_set():
            began_ns = time.monotonic_ns()
            self._one_life()
            short = time.monotonic_ns() - began_ns < _SHORT_LIFE
            short_lives = short_lives + 1 if short else 0
            pause = _PAUSES_AFTER_SHORT_LIVES[min(short_lives, len(_PAUSES_AFTER_SHORT_LIVES) - 1)]
            self._closing.wait(pause)

    def _one_life(self) -> None:
        """Start an engine and pass on what it says until it is gone; report why it went."""
        ours, theirs = socket.socketpair()
        with Connection(ours.detach()) as connection:
            try:
                with theirs:
                    descriptor = theirs.fileno()
                    process = subprocess.Popen(
                        self._command(descriptor), pass_fds=[descriptor, *self._inherited]
                    )
            except OSError as error:
                self._gone(f"it cannot be started: {error.strerror}")
                return
            try:
                problem = self._listen(connection, process)
            finally:
                # First of all: whoever waits for it to take a command waits no longer.
                process.kill()
            self._gone(problem, crashed=_has_crashed(process) or bool(self._replace_because))
            self._replace_because = ""
            self._bury(process)

    def _gone(self, problem: str, *, crashed: bool = False) -> None:
        with self._lock:
            self._connection = self._process_id = None
        if not self._closing.is_set():
            self._report(EngineGone(problem, crashed))

    def _bury(self, process: subprocess.Popen[bytes]) -> None:
        """One that hangs in a driver dies when the driver lets it; nobody waits for that."""
        self._dying = [dying for dying in [*self._dying, process] if dying.poll() is None]

    def _listen(self, connection: Connection, process: subprocess.Popen[bytes]) -> str:
        _tell(connection, self._hello)
        with self._lock:
            self._connection, self._process_id = connection, process.pid
            if self._closing.is_set():  # `close` came before there was anyone to be told
                _tell(connection, Leave())
        self._report(EngineStarted(process.pid))
        deadline_ns = time.monotonic_ns() + START_LIMIT
        leave_by_ns: Nanoseconds | None = None
        while True:
            try:
                if connection.poll(_POLL_SECONDS):
                    message = connection.recv()
                    if not isinstance(message, Report):
                        return f"it said {type(message).__name__}, which means nothing"
                    if isinstance(message, Heartbeat):
                        deadline_ns = time.monotonic_ns() + SILENCE_LIMIT
                    self._report(message)
            except (EOFError, OSError):
                return _how_it_ended(process)
            except Exception as error:  # whatever unpickling rubbish may raise
                return f"it sent what cannot be read ({type(error).__name__})"
            if self._replace_because:
                return self._replace_because
            if _is_stopped(process.pid):
                return "it was stopped from outside"
            now = time.monotonic_ns()
            if self._closing.is_set():
                leave_by_ns = leave_by_ns or now + nanoseconds(_LEAVE_SECONDS)
                if now > leave_by_ns:
                    return "it did not leave when asked to"
            elif now > deadline_ns:
                return "it gave no sign of life"


def _tell(connection: Connection, command: Command) -> None:
    """An engine that has just died is noticed by whoever listens to it."""
    with suppress(OSError):
        connection.send(command)


def _has_crashed(process: subprocess.Popen[bytes]) -> bool:
    """Whether native code ended it: what a broken driver or codec does to its process."""
    code = process.poll()
    return code is not None and -code in _CRASHES


def _is_stopped(process_id: int) -> bool:
    """Ask the kernel whether a child stands still (job control), without reaping it."""
    try:
        found = os.waitid(os.P_PID, process_id, os.WSTOPPED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return found is not None and found.si_status in (signal.SIGSTOP, signal.SIGTSTP)


def _how_it_ended(process: subprocess.Popen[bytes]) -> str:
    try:
        code = process.wait(_EXIT_SECONDS)
    except subprocess.TimeoutExpired:
        return "it closed its connection"
    if code < 0:
        return f"it was ended by signal {-code} ({signal.strsignal(-code)})"
    return f"it ended with exit code {code}"
