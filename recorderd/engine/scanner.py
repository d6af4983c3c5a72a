"""The engine's handle on the scanner process: a picture in, codes out, never a hang."""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recorderd.core.model import Code
from recorderd.engine.locator import halve
from recorderd.engine.scanner_process import LARGEST_MESSAGE, ProcessSettings, decode_codes
from recorderd.errors import DeviceError, InvariantViolationError
from recorderd.settings import LabelSettings

_REAP_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class ScanResult:
    """What one picture gave.

    `milliseconds` is how long the caller waited. `problem` says why the picture could
    not be searched; it is lost, the next one may be scanned as if nothing had happened.
    """

    codes: tuple[Code, ...]
    milliseconds: float
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class ScannerCounters:
    """Since construction: pictures searched, processes that died, processes renewed."""

    scans: int
    deaths: int
    recycles: int


class _ProcessLostError(Exception):
    """The scanner process is of no more use; the text says why."""


class Scanner:
    """Reads labels in a process of its own, which may die on any picture.

    Used by one thread. A process that dies or hangs on a picture is replaced, the picture
    is skipped, and for `quarantine_seconds` zbar stays off: the label that killed it most
    likely lies in view, and zxing-cpp, which reads on, can read it. zbar loses some memory
    on every scan (measured: 32 to 780 bytes), so after `recycle_after` scans the process
    is renewed; the new one is started `recycle_lead` scans before and takes over once it
    is ready. A new process is started at most every `restart_seconds`.
    """

    def __init__(
        self,
        labels: LabelSettings,
        largest_width: int,
        largest_height: int,
        *,
        method: str = "combined",
        time_limit: float = 2.0,
        start_limit: float = 20.0,
        restart_seconds: float = 1.0,
        quarantine_seconds: float = 30.0,
        recycle_after: int = 100_000,
        recycle_lead: int = 100,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._labels = labels
        self._largest = (largest_width, largest_height)
        self._method = method
        self._time_limit = time_limit
        self._start_limit = start_limit
        self._restart_seconds = restart_seconds
        self._quarantine_seconds = quarantine_seconds
        self._recycle_after = recycle_after
        self._recycle_lead = recycle_lead
        self._clock = clock
        self._frame: _SharedFrame | None = None
        self._process: _Process | None = None
        self._replacement: _Process | None = None
        self._started_at = float("-inf")
        self._quarantine_until = float("-inf")
        self._scans = 0
        self._deaths = 0
        self._recycles = 0

    @property
    def counters(self) -> ScannerCounters:
        return ScannerCounters(self._scans, self._deaths, self._recycles)

    def start(self) -> None:
        """Start the process and wait until it can read. Raises DeviceError."""
        if self._frame is not None:
            raise InvariantViolationError("The label scanner was started twice")
        try:
            self._frame = _SharedFrame(*self._largest)
            self._process = self._spawn()
            ready = self._process.wait_until_ready(self._start_limit)
        except (OSError, _ProcessLostError) as error:
            self.close()
            raise _cannot_start(error) from error
        if not ready:
            self.close()
            raise _cannot_start(f"it was not ready after {self._start_limit:g} s")

    def scan(self, luma: NDArray[np.uint8]) -> ScanResult:
        """Read all codes in `luma`: shape (height, width), any strides.

        A picture larger than promised is scanned at half its size. Returns within the time
        limit. Never raises for what a label or the process does.
        """
        if self._frame is None:
            raise InvariantViolationError("The label scanner is used but not running")
        started = time.perf_counter()
        codes: tuple[Code, ...] = ()
        problem: str | None = None
        try:
            codes = self._scan(luma, self._frame)
        except _ProcessLostError as lost:
            problem = str(lost)
        return ScanResult(codes, (time.perf_counter() - started) * 1000, problem)

    def close(self) -> None:
        """End the processes and give back the memory. Safe to call twice, in any state."""
        for process in (self._process, self._replacement):
            if process is not None:
                process.kill()
        self._process = self._replacement = None
        if self._frame is not None:
            self._frame.close()
            self._frame = None

    def _scan(self, luma: NDArray[np.uint8], frame: _SharedFrame) -> tuple[Code, ...]:
        deadline = time.monotonic() + self._time_limit
        process = self._ready_process(deadline)
        height, width = frame.put(luma)
        use_zbar = self._clock() >= self._quarantine_until
        request = {"width": width, "height": height, "use_zbar": use_zbar}
        try:
            answer = process.ask(json.dumps(request).encode(), deadline - time.monotonic())
            codes, _ = decode_codes(answer)
        except (ValueError, _ProcessLostError) as error:
            self._quarantine_until = self._clock() + self._quarantine_seconds
            self._bury(process)
            raise _ProcessLostError(
                f"The label scanner {error} while it read a picture; the picture is skipped"
            ) from error
        self._scans += 1
        self._recycle(process)
        return codes

    def _ready_process(self, deadline: float) -> _Process:
        """The process that can take a picture now; starts one if there is none."""
        if self._process is not None and not self._process.alive:
            self._bury(self._process)
            raise _ProcessLostError("The label scanner had died while idle")
        if self._process is None:
            self._process = self._respawn()
        process = self._process
        try:
            ready = process.wait_until_ready(deadline - time.monotonic())
        except _ProcessLostError as error:
            self._bury(process)
            raise _ProcessLostError(f"The label scanner {error} while starting") from error
        if not ready:
            if self._clock() - self._started_at > self._start_limit:
                self._bury(process)
            raise _ProcessLostError("The label scanner is still starting")
        return process

    def _bury(self, process: _Process) -> None:
        """Put an end to a process that failed, and start another unless that was just done."""
        process.kill()
        self._deaths += 1
        self._process, self._replacement = self._replacement, None
        if self._process is None:
            with contextlib.suppress(_ProcessLostError):
                self._process = self._respawn()

    def _respawn(self) -> _Process:
        if self._clock() - self._started_at < self._restart_seconds:
            raise _ProcessLostError("The label scanner waits before it is started again")
        try:
            return self._spawn()
        except OSError as error:
            raise _ProcessLostError(str(_cannot_start(error))) from error

    def _spawn(self) -> _Process:
        assert self._frame is not None  # noqa: S101
        self._started_at = self._clock()
        return _Process(self._labels, self._method, self._frame.descriptor, self._time_limit)

    def _recycle(self, process: _Process) -> None:
        process.scans += 1
        if process.scans < self._recycle_after - self._recycle_lead:
            return
        if self._replacement is None:
            with contextlib.suppress(_ProcessLostError):
                self._replacement = self._respawn()
        elif process.scans >= self._recycle_after:
            try:
                ready = self._replacement.wait_until_ready(0)
            except _ProcessLostError:
                self._replacement.kill()
                self._replacement = None
                return
            if ready:
                process.kill()
                self._process, self._replacement = self._replacement, None
                self._recycles += 1


class _SharedFrame:
    """Memory for one picture, shared with the processes by descriptor and by no name.

    It is gone when the last process that has it is gone, however that ended.
    """

    def __init__(self, largest_width: int, largest_height: int) -> None:
        self._size = largest_width * largest_height
        self.descriptor = os.memfd_create("recorderd-luma")
        try:
            os.ftruncate(self.descriptor, self._size)
            self._memory = mmap.mmap(self.descriptor, self._size)
        except (OSError, ValueError):
            os.close(self.descriptor)
            raise

    def put(self, luma: NDArray[np.uint8]) -> tuple[int, int]:
        """Copy a picture in, halved until there is room for it; returns its (height, width)."""
        if luma.ndim != 2 or luma.dtype != np.uint8 or luma.size == 0:
            raise InvariantViolationError(f"Not luma: {luma.dtype} of shape {luma.shape}")
        while luma.size > self._size:
            luma = halve(luma)
        slot = np.frombuffer(self._memory, np.uint8, luma.size)
        np.copyto(slot.reshape(luma.shape), luma)
        height, width = luma.shape
        return height, width

    def close(self) -> None:
        self._memory.close()
        os.close(self.descriptor)


class _Process:
    """One scanner process and our end of its socket."""

    def __init__(
        self, labels: LabelSettings, method: str, frame_descriptor: int, time_limit: float
    ) -> None:
        self.scans = 0
        self._ready = False
        # Whole messages only: a process that dies in the middle of one cannot leave us waiting.
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        settings = ProcessSettings(
            socket=theirs.fileno(),
            memory=frame_descriptor,
            method=method,
            symbologies=labels.symbologies,
            minimum_code128_length=labels.minimum_code128_length,
            second_reader=labels.second_reader,
            scan_seconds=2 * time_limit,
        )
        module = "recorderd.engine.scanner_process"
        try:
            self._popen = subprocess.Popen(
                [sys.executable, "-m", module, settings.to_json()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(), frame_descriptor),
            )
        except OSError:
            self._socket.close()
            raise
        finally:
            theirs.close()

    @property
    def alive(self) -> bool:
        return self._popen.poll() is None

    def wait_until_ready(self, timeout: float) -> bool:
        """Has it said hello? Waits for that up to `timeout` seconds."""
        if not self._ready:
            readable, _, _ = select.select([self._socket], [], [], max(0.0, timeout))
            if readable:
                self._receive()
                self._ready = True
        return self._ready

    def ask(self, request: bytes, timeout: float) -> bytes:
        try:
            self._socket.settimeout(max(0.001, timeout))
            self._socket.send(request)
            return self._receive()
        except TimeoutError as error:
            raise _ProcessLostError("did not answer in time") from error
        except OSError as error:
            raise _ProcessLostError("died") from error

    def _receive(self) -> bytes:
        try:
            message = self._socket.recv(LARGEST_MESSAGE)
        except ConnectionError as error:
            raise _ProcessLostError("died") from error
        if not message:
            raise _ProcessLostError("died")
        return message

    def kill(self) -> None:
        """End it at once: it holds nothing that could be lost. Never raises."""
        self._socket.close()
        self._popen.kill()
        # A process that cannot even be killed (it waits for a device) is reaped by a later Popen.
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(_REAP_SECONDS)


def _cannot_start(reason: object) -> DeviceError:
    return DeviceError(
        f"The label scanner cannot be started ({reason})",
        "Check free memory with 'free -h' and read the journal; "
        "if programs are missing, install recorderd again",
    )
