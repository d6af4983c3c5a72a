"""A listener that tests can wait on, and devices that fail when told to."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from recorderd.core.events import FaultCleared, FaultRaised
from recorderd.core.signals import Lamp, Signal, Tone
from recorderd.errors import DeviceError
from recorderd.panel.base import PanelEvent

PATIENCE = 10.0
"""Seconds after which something that must happen is taken not to happen."""


class Listener:
    """Keeps what it hears; `wait_for` blocks until something was heard."""

    def __init__(self) -> None:
        self.events: list[PanelEvent] = []
        self._heard = threading.Condition()

    def __call__(self, event: PanelEvent) -> None:
        with self._heard:
            self.events.append(event)
            self._heard.notify_all()

    def wait_for(self, wanted: Callable[[list[PanelEvent]], bool]) -> None:
        with self._heard:
            assert self._heard.wait_for(lambda: wanted(self.events), PATIENCE), self.events

    def wait_for_event(self, event: PanelEvent) -> None:
        self.wait_for(lambda events: event in events)

    @property
    def faults(self) -> list[FaultRaised | FaultCleared]:
        return [e for e in self.events if isinstance(e, FaultRaised | FaultCleared)]


class FakeOutputs:
    """Outputs that remember what was asked of them; `broken` makes every call fail."""

    def __init__(self) -> None:
        self.lit: frozenset[Lamp] | None = None
        self.tone: Tone | None = None
        self.announced: list[Signal] = []
        self.calls: list[str] = []
        self.broken: Exception | None = None
        self.closed = threading.Event()
        self._changed = threading.Condition()

    def light(self, lit: frozenset[Lamp]) -> None:
        self._call("light")
        with self._changed:
            self.lit = lit
            self._changed.notify_all()

    def sound(self, tone: Tone | None) -> None:
        self._call("sound")
        self.tone = tone

    def announce(self, signal: Signal) -> None:
        self._call("announce")
        self.announced.append(signal)

    def close(self) -> None:
        self.closed.set()

    def wait_until_lit(self, lit: frozenset[Lamp]) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self.lit == lit, PATIENCE), self.lit

    def _call(self, name: str) -> None:
        self.calls.append(name)
        if self.broken is not None:
            raise self.broken


def lamps_lost() -> DeviceError:
    return DeviceError("The lamps are lost", "Find them")


def eventually(condition: Callable[[], bool]) -> bool:
    """Look again and again, for what other processes or the kernel do and nobody announces."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True
