"""A panel without hardware: lamps, buzzer and pedal at a Unix socket.

Clients read one JSON object a line, with the monotonic clock in seconds:
`{"monotonic": 12.345678, "lamp": "red", "on": true}`, `{..., "buzzer": "high"}` (or "low",
or null) and `{..., "signal": "saved"}` as a signal begins. The present state comes first.
They write lines: `press` closes the pedal's contact, `release` opens it, `hold` closes it
and opens it by itself after the time that counts as a hold.
"""

from __future__ import annotations

import queue
import selectors
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recorderd.core.events import PedalChanged
from recorderd.core.model import NANOSECONDS_PER_SECOND, Nanoseconds, nanoseconds
from recorderd.core.signals import APPEARANCES, Lamp, Signal, Tone
from recorderd.errors import DeviceError
from recorderd.panel.base import PanelListener
from recorderd.panel.simulated_client import Client
from recorderd.panel.simulated_socket import listen, unlink_if_ours

MOST_CLIENTS = 16
HOLD_MARGIN_SECONDS = 0.2
"""`hold` lasts this much longer than panel.hold_seconds."""

_LONGEST_CLOSE_SECONDS = 2.0
_LONGEST_OUTBOX = 1024


@dataclass(frozen=True, slots=True)
class _Change:
    """One line to clients. `key` names what it changes, so that the latest can be told anew."""

    key: str
    content: dict[str, Any]
    lasting: bool
    monotonic: float

    def line(self) -> dict[str, Any]:
        return {"monotonic": round(self.monotonic, 6), **self.content}


class SimulatedPanel:
    """Outputs for the signal player, shown to every client; one thread serves the socket.

    The pedal reports to `listener` from that thread: its level at the start, then changes.
    Raises DeviceError if the socket cannot be made or another process serves it.
    """

    def __init__(self, path: Path, hold_seconds: float, listener: PanelListener) -> None:
        self._path = path
        self._hold = nanoseconds(hold_seconds + HOLD_MARGIN_SECONDS)
        self._listener = listener
        self._lit: frozenset[Lamp] = frozenset()
        self._tone: Tone | None = None
        self._outbox: queue.Queue[_Change] = queue.Queue(_LONGEST_OUTBOX)
        self._closing = threading.Event()
        self._failure: Exception | None = None
        self._pedal_down = False
        self._opens_ns: Nanoseconds | None = None
        self._clients: dict[socket.socket, Client] = {}
        dark = [_lamp_change(lamp, False, 0.0) for lamp in Lamp]
        self._present = {change.key: change for change in (*dark, _buzzer_change(None, 0.0))}
        self._server, self._inode = listen(path)
        self._selector = selectors.DefaultSelector()
        self._wake_receiver, self._waker = socket.socketpair()
        for end in (self._wake_receiver, self._waker):
            end.setblocking(False)
        self._selector.register(self._server, selectors.EVENT_READ)
        self._selector.register(self._wake_receiver, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, name="panel-socket")
        self._thread.start()

    def light(self, lit: frozenset[Lamp]) -> None:
        self._check()
        now = time.monotonic()
        for lamp in sorted(lit ^ self._lit):
            self._send(_lamp_change(lamp, lamp in lit, now))
        self._lit = lit

    def sound(self, tone: Tone | None) -> None:
        self._check()
        if tone != self._tone:
            self._send(_buzzer_change(tone, time.monotonic()))
            self._tone = tone

    def announce(self, signal: Signal) -> None:
        self._check()
        self._send(
            _Change(
                "signal", {"signal": signal.value}, APPEARANCES[signal].standing, time.monotonic()
            )
        )

    def close(self) -> None:
        if self._closing.is_set():
            return
        # If the thread is dead already there is nobody left to tell.
        with suppress(DeviceError):
            self.light(frozenset())
            self.sound(None)
        self._closing.set()
        self._wake()
        self._thread.join(_LONGEST_CLOSE_SECONDS)

    def _check(self) -> None:
        if self._failure is not None:
            raise DeviceError(
                f"The simulated panel at {self._path} failed: {self._failure!r}",
                "Nothing needs to be done: it is opened anew by itself",
            )

    def _send(self, change: _Change) -> None:
        try:
            self._outbox.put_nowait(change)
        except queue.Full:
            raise DeviceError(
                f"The simulated panel at {self._path} hangs",
                "Nothing needs to be done: it is opened anew by itself",
            ) from None
        self._wake()

    def _wake(self) -> None:
        # Full: it will wake anyway. Closed: there is nobody to wake.
        with suppress(OSError):
            self._waker.send(b"\0")

    # From here on: the socket's own thread.

    def _run(self) -> None:
        self._listener(PedalChanged(self._pedal_down))
        try:
            while not self._closing.is_set():
                for key, events in self._selector.select(self._seconds_to_wait()):
                    self._serve(key.fileobj, events)
                self._tell_changes()
                if self._opens_ns is not None and time.monotonic_ns() >= self._opens_ns:
                    self._move_pedal(down=False)
            self._tell_changes()
        except Exception as error:
            # The signal player learns of it with its next call and opens another panel.
            self._failure = error
        finally:
            self._release()

    def _seconds_to_wait(self) -> float | None:
        if self._opens_ns is None:
            return None
        return max(0, self._opens_ns - time.monotonic_ns()) / NANOSECONDS_PER_SECOND

    def _serve(self, ready: Any, events: int) -> None:
        if ready is self._server:
            self._accept()
        elif ready is self._wake_receiver:
            self._wake_receiver.recv(4096)
        elif ready in self._clients:
            client = self._clients[ready]
            if events & selectors.EVENT_WRITE:
                client.flush()
            if events & selectors.EVENT_READ:
                for line in client.receive():
                    self._obey(client, line)
            self._watch(client)

    def _accept(self) -> None:
        try:
            connection, _ = self._server.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return  # It left before it was let in.
        client = Client(connection)
        if len(self._clients) == MOST_CLIENTS:
            client.send({"error": f"there are {MOST_CLIENTS} clients already"})
            client.close()
            return
        now = time.monotonic()
        for change in self._present.values():
            client.send({"monotonic": round(now, 6), **change.content})
        self._clients[connection] = client
        self._selector.register(connection, selectors.EVENT_READ)
        self._watch(client)

    def _tell_changes(self) -> None:
        while True:
            try:
                change = self._outbox.get_nowait()
            except queue.Empty:
                return
            if change.lasting:
                self._present[change.key] = change
            for client in list(self._clients.values()):
                client.send(change.line())
                self._watch(client)

    def _obey(self, client: Client, line: str) -> None:
        if line == "press":
            self._move_pedal(down=True)
        elif line == "release":
            self._move_pedal(down=False)
        elif line == "hold":
            self._move_pedal(down=True)
            self._opens_ns = time.monotonic_ns() + self._hold
        else:
            client.send({"error": f"unknown command {line!r}: press, release or hold"})

    def _move_pedal(self, *, down: bool) -> None:
        self._opens_ns = None
        if down != self._pedal_down:
            self._pedal_down = down
            self._listener(PedalChanged(down))

    def _watch(self, client: Client) -> None:
        """Wait for what a client is good for next: reading, writing too, or nothing."""
        if client.gone:
            self._selector.unregister(client.connection)
            del self._clients[client.connection]
            client.close()
            return
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if client.waiting else 0)
        self._selector.modify(client.connection, events)

    def _release(self) -> None:
        unlink_if_ours(self._path, self._inode)
        for client in self._clients.values():
            client.close()
        self._selector.close()
        for end in (self._server, self._wake_receiver, self._waker):
            end.close()
        self._move_pedal(down=False)


def _lamp_change(lamp: Lamp, on: bool, monotonic: float) -> _Change:
    return _Change(lamp.value, {"lamp": lamp.value, "on": on}, True, monotonic)


def _buzzer_change(tone: Tone | None, monotonic: float) -> _Change:
    return _Change("buzzer", {"buzzer": None if tone is None else tone.value}, True, monotonic)
