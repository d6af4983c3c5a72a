"""A station without lamps and buzzer."""

from __future__ import annotations

from recorderd.core.signals import Lamp, Signal, Tone


class NoOutputs:
    """Takes every signal and shows none."""

    def light(self, lit: frozenset[Lamp]) -> None:
        """There is no lamp."""

    def sound(self, tone: Tone | None) -> None:
        """There is no buzzer."""

    def announce(self, signal: Signal) -> None:
        """There is nobody to tell."""

    def close(self) -> None:
        """There is nothing to release."""
