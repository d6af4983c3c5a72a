"""A cheap HTTP client that loads a server on this machine, in a process of its own.

What it receives is thrown away inside the kernel (MSG_TRUNC, tcp(7)), so it costs a small part
of what the server spends, as if the client were another machine. One thread serves all
its connections.
"""

from __future__ import annotations

import json
import random
import selectors
import socket
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from typing import Final

from recorderd.bench.try_out import own_environment
from recorderd.errors import DeviceError

WHOLE = "whole"
SEEK = "seek"

_RECEIVE_BYTES: Final = 4 << 20
_PACED_BYTES: Final = 128 << 10
_LONGEST_HEAD_BYTES: Final = 65536
_SILENCE_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Load:
    """What to ask for: `path` on 127.0.0.1, on so many connections at once, again and again.

    `kind` is WHOLE: files from their first byte to their last, or SEEK: a player's way of
    jumping, which asks for everything from a random place on, takes `seek_bytes` of it, hangs
    up and asks for another place. `size` is that of the file. `bytes_per_second` is what all
    connections together take, None is all there is. It ends after `seconds`, or when
    `Running.finish` is called.
    """

    port: int
    path: str
    size: int
    connections: int
    seconds: float
    kind: str = WHOLE
    seek_bytes: int = 2 << 20
    bytes_per_second: float | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a load: `answers` counts files that were begun, `problems` what went wrong.

    `first_byte_ms` are the times from asking, connecting included, to the answer's first byte.
    """

    bytes: int
    seconds: float
    answers: int
    problems: int
    cpu_seconds: float
    first_byte_ms: list[float] = field(default_factory=list)

    @property
    def bytes_per_second(self) -> float:
        return self.bytes / self.seconds if self.seconds else 0.0


class Running:
    """A client at work in a process of its own, at `niceness`."""

    def __init__(self, load: Load, niceness: int = 0) -> None:
        self._process = subprocess.Popen(
            [
                *(["nice", "-n", str(niceness)] if niceness else []),
                *(sys.executable, "-m", "recorderd.bench.client", json.dumps(asdict(load))),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=own_environment(),
        )

    def finish(self) -> Outcome:
        """Hang up now. Returns what it has done until then."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        return self.wait()

    def wait(self) -> Outcome:
        """Wait until its time is over. Raises DeviceError if it failed."""
        with self._process as process:
            answer = process.stdout.read() if process.stdout is not None else b""
        if process.returncode != 0:
            raise DeviceError("The client that loads the server failed", "Read above why")
        return Outcome(**json.loads(answer))


class _Connection:
    """One connection: asks, reads the answer's head, counts the rest."""

    def __init__(self, load: Load, client: _Client) -> None:
        self._load = load
        self._client = client
        self.socket = self._ask_anew()

    def ready(self, most: int) -> int:
        """Take up to `most` bytes of what has come. Raises OSError, ValueError."""
        if self._left == 0:
            return self._read_head()
        count = self.socket.recv_into(
            self._client.buffer, min(most, self._left, _RECEIVE_BYTES), socket.MSG_TRUNC
        )
        if count == 0:
            raise ConnectionResetError("the server hung up")
        self._left -= count
        if self._left == 0:
            if self._load.kind == SEEK:
                self._client.replace(self)
            else:
                self._asked = time.monotonic()
                self._send()
        return count

    def again(self) -> None:
        """Connect and ask once more, elsewhere in the file."""
        self.socket.close()
        self.socket = self._ask_anew()

    def _ask_anew(self) -> socket.socket:
        self._asked = time.monotonic()
        self.socket = socket.create_connection(("127.0.0.1", self._load.port), _SILENCE_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._send()
        self.socket.setblocking(False)
        return self.socket

    def _send(self) -> None:
        wanted = ""
        if self._load.kind == SEEK:
            place = random.randrange(max(1, self._load.size - self._load.seek_bytes))
            wanted = f"Range: bytes={place}-\r\n"
        self._head = b""
        self._left = 0
        request = f"GET {self._load.path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{wanted}\r\n"
        self.socket.sendall(request.encode())

    def _read_head(self) -> int:
        """The head may come with some of the body: look first, then take only the head."""
        seen = self.socket.recv(_LONGEST_HEAD_BYTES, socket.MSG_PEEK)
        head, end, _ = seen.partition(b"\r\n\r\n")
        if not end:
            if not seen or len(seen) == _LONGEST_HEAD_BYTES:
                raise ValueError("this is no answer")
            return 0
        self.socket.recv(len(head) + len(end))
        first, *lines = head.decode("latin-1").lower().split("\r\n")
        if first.split()[1] not in ("200", "206"):
            raise ValueError(first)
        length = next(
            int(value)
            for name, _, value in (line.partition(":") for line in lines)
            if name == "content-length"
        )
        self._left = min(length, self._load.seek_bytes) if self._load.kind == SEEK else length
        self._client.begun(time.monotonic() - self._asked)
        return 0


class _Client:
    def __init__(self, load: Load) -> None:
        self.buffer = bytearray(_RECEIVE_BYTES)
        self._load = load
        self._selector = selectors.DefaultSelector()
        self._bytes = 0
        self._problems = 0
        self._first_byte_ms: list[float] = []

    def run(self) -> Outcome:
        began, used_before = time.monotonic(), time.process_time()
        ends = began + self._load.seconds
        rate = self._load.bytes_per_second
        most = _RECEIVE_BYTES if rate is None else _PACED_BYTES
        self._selector.register(sys.stdin, selectors.EVENT_READ)
        for _ in range(self._load.connections):
            self._watch(_Connection(self._load, self))
        while (now := time.monotonic()) < ends:
            if rate is not None and (early := self._bytes / rate - (now - began)) > 0:
                time.sleep(min(early, ends - now))
                continue
            for key, _ in self._selector.select(ends - now):
                connection = key.data
                if connection is None:
                    ends = now
                    break
                try:
                    self._bytes += connection.ready(most)
                except BlockingIOError:
                    continue
                except (OSError, ValueError):
                    self._problems += 1
                    self.replace(connection)
        seconds = time.monotonic() - began
        return Outcome(
            bytes=self._bytes,
            seconds=seconds,
            answers=len(self._first_byte_ms),
            problems=self._problems,
            cpu_seconds=time.process_time() - used_before,
            first_byte_ms=self._first_byte_ms,
        )

    def begun(self, seconds: float) -> None:
        self._first_byte_ms.append(round(seconds * 1000, 3))

    def replace(self, connection: _Connection) -> None:
        self._selector.unregister(connection.socket)
        connection.again()
        self._watch(connection)

    def _watch(self, connection: _Connection) -> None:
        self._selector.register(connection.socket, selectors.EVENT_READ, connection)


def main() -> int:
    """Carry out the load given as JSON and print its outcome as JSON."""
    outcome = _Client(Load(**json.loads(sys.argv[1]))).run()
    print(json.dumps(asdict(outcome)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
