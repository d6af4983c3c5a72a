"""The seam between the station and lamps, buzzer, pedal and hand scanner."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

from recorderd.core.events import FaultCleared, FaultRaised, HandScanned, PedalChanged
from recorderd.core.signals import Lamp, Signal, Tone

PanelEvent: TypeAlias = PedalChanged | HandScanned | FaultRaised | FaultCleared
PanelListener: TypeAlias = Callable[[PanelEvent], None]
"""Takes an event from any thread and returns at once: it only puts it into an inbox."""


class PanelOutputs(Protocol):
    """Lamps and buzzer. All calls come from the signal player's thread."""

    def light(self, lit: frozenset[Lamp]) -> None:
        """Light exactly these lamps. Raises DeviceError."""

    def sound(self, tone: Tone | None) -> None:
        """Sound this tone until the next call; None is silence. Raises DeviceError."""

    def announce(self, signal: Signal) -> None:
        """A signal begins. For drivers that can say more than lamps do; others ignore it."""

    def close(self) -> None:
        """Lamps off, buzzer silent, pins released. Never raises."""


class PanelInput(Protocol):
    """A pedal or hand scanner, listening from construction on."""

    def close(self) -> None:
        """Stop listening. Never raises."""
