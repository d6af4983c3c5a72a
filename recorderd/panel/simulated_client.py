"""One client of the simulated panel: lines in, JSON lines out, never waited for."""

from __future__ import annotations

import json
import socket
from typing import Any

LONGEST_LINE_BYTES = 256
"""Of what a client writes, without the newline."""

MOST_WAITING_BYTES = 65536
"""A client that lets more than this wait (beside what the kernel holds) is disconnected."""


class Client:
    """Reads and writes what is possible at once; `gone` when it left or was too slow."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self.connection = connection
        self.gone = False
        self._received = bytearray()
        self._skipping = False
        self._unsent = bytearray()

    @property
    def waiting(self) -> bool:
        """Whether there is something to send as soon as the client takes it."""
        return bool(self._unsent)

    def send(self, content: dict[str, Any]) -> None:
        """Send one JSON line, or keep it until `flush`."""
        self._unsent += json.dumps(content).encode() + b"\n"
        self.flush()
        if len(self._unsent) > MOST_WAITING_BYTES:
            self.gone = True

    def flush(self) -> None:
        """Send what is waiting, as far as the client takes it."""
        try:
            while self._unsent and not self.gone:
                del self._unsent[: self.connection.send(self._unsent)]
        except BlockingIOError:
            pass
        except OSError:
            self.gone = True

    def receive(self) -> list[str]:
        """Complete lines that have come in. Lines that are too long get an error."""
        try:
            received = self.connection.recv(4096)
        except BlockingIOError:
            return []
        except OSError:
            received = b""
        if not received:
            self.gone = True
            return []
        *ended, rest = (self._received + received).split(b"\n")
        lines = [self._line(bytes(line)) for line in ended]
        if len(rest) > LONGEST_LINE_BYTES:
            self._refuse()
            rest = bytearray()
        self._received = rest
        return [line for line in lines if line is not None]

    def close(self) -> None:
        self.gone = True
        self.connection.close()

    def _line(self, line: bytes) -> str | None:
        if self._skipping:
            self._skipping = False
            return None
        if len(line) > LONGEST_LINE_BYTES:
            self._refuse()
            self._skipping = False
            return None
        return line.decode("utf-8", "replace").strip()

    def _refuse(self) -> None:
        """Complain once about a line that is too long and skip it up to its end."""
        if not self._skipping:
            self._skipping = True
            self.send({"error": f"a line may have {LONGEST_LINE_BYTES} bytes"})
