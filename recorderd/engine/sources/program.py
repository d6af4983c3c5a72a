"""A running program, read from without ever waiting for longer than we want to."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from recorderd.core.model import Nanoseconds, nanoseconds
from recorderd.errors import DeviceError

_TICK_MILLISECONDS = 100
_CHUNK_BYTES = 1 << 18
_KEPT_ERROR_BYTES = 4096
_EXIT_SECONDS = 1.0


class Program:
    """A program in a process group of its own; a file to FFmpeg, which calls `read`.

    It is used by one thread; `interrupted` may be set by any and ends a waiting `read`.
    Raises DeviceError if the program cannot be started.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        interrupted: threading.Event,
        clock: Callable[[], Nanoseconds],
    ) -> None:
        if not arguments:
            raise DeviceError("camera.source names no program", "Write it after 'command:'")
        self.name = Path(arguments[0]).name
        self._interrupted = interrupted
        self._clock = clock
        self._deadline_ns: Nanoseconds | None = None
        self._late = False
        self._peeked = b""
        self._received = 0
        self._arrivals: deque[tuple[int, Nanoseconds]] = deque()
        self._error_tail = b""
        self._output, program_output = os.pipe()
        self._errors, program_errors = os.pipe()
        try:
            self._process = _started(arguments, program_output, program_errors)
        except DeviceError:
            self._close_pipes()
            raise
        finally:
            os.close(program_output)
            os.close(program_errors)
        os.set_blocking(self._errors, False)
        self._poll = select.poll()
        self._poll.register(self._output, select.POLLIN)
        self._poll.register(self._errors, select.POLLIN)

    def give_up_after(self, seconds: float | None) -> None:
        """Let `read` report the end when this much time has passed; None is never."""
        self._deadline_ns = None if seconds is None else self._clock() + nanoseconds(seconds)

    def peek(self, count: int) -> bytes:
        """The first bytes of the output, fewer only if it ends; `read` gives them again."""
        while len(self._peeked) < count:
            more = self._receive(_CHUNK_BYTES)
            if not more:
                break
            self._peeked += more
        return self._peeked[:count]

    def read(self, size: int) -> bytes:
        """Up to `size` bytes as soon as there are any; none at the end, in time or not."""
        if self._peeked:
            given, self._peeked = self._peeked[:size], self._peeked[size:]
            return given
        return self._receive(size)

    def arrival(self, end: int) -> Nanoseconds:
        """When the byte before this position of the output came; positions only rise."""
        while len(self._arrivals) > 1 and self._arrivals[0][0] < end:
            self._arrivals.popleft()
        return self._arrivals[0][1] if self._arrivals else self._clock()

    def failure(self) -> DeviceError | None:
        """Why the output ended, None if it did not."""
        if self._interrupted.is_set():
            return DeviceError(
                f"Waiting for {self.name} was given up",
                "Nothing needs to be done: the camera is opened again by itself",
            )
        if self._late:
            return DeviceError(
                f"The program {self.name} sends no video{self._last_error_line()}",
                "Run the command by hand: it must write the stream to its standard output",
            )
        try:
            status = self._process.wait(_EXIT_SECONDS)
        except subprocess.TimeoutExpired:
            return None
        ended = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
        return DeviceError(
            f"The program {self.name} {ended}{self._last_error_line()}",
            "Run the command by hand and see what it says",
        )

    def close(self) -> None:
        """End the program and all that it started, first politely."""
        for request in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self._process.pid, request)
            except ProcessLookupError:
                break
            try:
                self._process.wait(_EXIT_SECONDS)
            except subprocess.TimeoutExpired:
                continue
        self._process.wait(_EXIT_SECONDS)
        self._close_pipes()

    def _close_pipes(self) -> None:
        os.close(self._output)
        os.close(self._errors)

    def _receive(self, size: int) -> bytes:
        while not self._interrupted.is_set():
            if self._deadline_ns is not None and self._clock() > self._deadline_ns:
                self._late = True
                return b""
            ready = {descriptor for descriptor, _ in self._poll.poll(_TICK_MILLISECONDS)}
            if self._errors in ready and not self._keep_errors():
                self._poll.unregister(self._errors)
            if self._output in ready:
                data = os.read(self._output, size)
                self._received += len(data)
                self._arrivals.append((self._received, self._clock()))
                return data
        return b""

    def _keep_errors(self) -> bool:
        """Take what the program complains about; False when it has closed that channel."""
        try:
            data = os.read(self._errors, _KEPT_ERROR_BYTES)
        except BlockingIOError:
            return True
        self._error_tail = (self._error_tail + data)[-_KEPT_ERROR_BYTES:]
        return bool(data)

    def _last_error_line(self) -> str:
        while self._keep_errors_now():
            pass
        lines = self._error_tail.decode("utf-8", "replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        return f': "{last[-200:]}"' if last else ""

    def _keep_errors_now(self) -> bool:
        waiting = select.select([self._errors], [], [], 0)[0]
        return bool(waiting) and self._keep_errors()


def _started(arguments: Sequence[str], output: int, errors: int) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            list(arguments),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            process_group=0,
        )
    except FileNotFoundError as error:
        raise DeviceError(
            f"There is no program {arguments[0]}",
            "Install it, or write its full path into camera.source",
        ) from error
    except OSError as error:
        raise DeviceError(
            f"The program {arguments[0]} cannot be started: {error.strerror}",
            "Check camera.source and the file's permissions",
        ) from error
