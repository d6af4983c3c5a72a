"""Every kind of real outputs with an eye and an ear on them, for the shared tests."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from gpiozero.pins.mock import MockFactory, MockPWMPin

from recorderd.core.signals import Lamp, Signal, Tone
from recorderd.panel.base import PanelOutputs
from recorderd.panel.gpio import GpioPanel
from recorderd.panel.simulated import SimulatedPanel
from recorderd.settings import PanelSettings

from .listening import PATIENCE, Listener

Heard: TypeAlias = object
"""What an ear makes of the buzzer; an active one sounds the same for both tones."""


@dataclass
class Rig:
    outputs: PanelOutputs
    listener: Listener
    observe: Callable[[], tuple[frozenset[Lamp], Heard]]
    as_heard: Callable[[Tone | None], Heard]


Opener: TypeAlias = Callable[[Path], AbstractContextManager[Rig]]


def mock_factory(settings: PanelSettings) -> Any:
    """Pins of a simulated Raspberry Pi; the buzzer's can do PWM."""
    factory = MockFactory()
    factory.pin(settings.buzzer_pin, pin_class=MockPWMPin)
    ordinary = factory.pin

    def pin(name: int, **options: Any) -> Any:
        if name == settings.buzzer_pin:
            options["pin_class"] = MockPWMPin
        return ordinary(name, **options)

    factory.pin = pin
    return factory


def is_driven(pin: Any, active_low: bool) -> bool:
    """Whether current flows: a pin that is released drives nothing."""
    return bool(pin.function == "output" and bool(pin.state) != active_low)


def gpio(settings: PanelSettings) -> Opener:
    @contextmanager
    def opened(folder: Path) -> Iterator[Rig]:
        factory = mock_factory(settings)
        green, red = factory.pin(settings.green_pin), factory.pin(settings.red_pin)
        buzzer = factory.pin(settings.buzzer_pin)

        def observe() -> tuple[frozenset[Lamp], Heard]:
            lit = {Lamp.GREEN: green, Lamp.RED: red}
            low = settings.lamps_active_low
            shown = frozenset(lamp for lamp, pin in lit.items() if is_driven(pin, low))
            return shown, hear()

        def hear() -> Heard:
            if settings.buzzer == "none":
                return None
            if settings.buzzer == "active":
                return is_driven(buzzer, settings.buzzer_active_low)
            swings = buzzer.function == "output" and buzzer.state == 0.5
            return buzzer.frequency if swings else None

        def as_heard(tone: Tone | None) -> Heard:
            if settings.buzzer == "none":
                return None
            if settings.buzzer == "active":
                return tone is not None
            return None if tone is None else {Tone.HIGH: 2400, Tone.LOW: 600}[tone]

        listener = Listener()
        outputs = GpioPanel(settings, listener, factory)
        try:
            yield Rig(outputs, listener, observe, as_heard)
        finally:
            outputs.close()

    return opened


class SocketClient:
    """A client of the simulated panel that keeps what it was told."""

    def __init__(self, path: Path) -> None:
        self.connection = socket.socket(socket.AF_UNIX)
        self.connection.settimeout(PATIENCE)
        self.connection.connect(str(path))
        self.lines: list[dict[str, Any]] = []
        self._file = self.connection.makefile("rwb")

    def read(self) -> dict[str, Any] | None:
        """The next line; None at the end."""
        line = self._file.readline()
        if not line:
            return None
        self.lines.append(json.loads(line))
        return self.lines[-1]

    def read_until(self, key: str, value: object) -> None:
        while (line := self.read()) is not None:
            if line.get(key, self) == value:
                return
        raise AssertionError(f"never told {key} = {value}: {self.lines}")

    def read_to_end(self) -> None:
        while self.read() is not None:
            pass

    def write(self, text: bytes) -> None:
        self._file.write(text)
        self._file.flush()

    @property
    def lit(self) -> frozenset[Lamp]:
        state = {line["lamp"]: line["on"] for line in self.lines if "lamp" in line}
        return frozenset(Lamp(name) for name, on in state.items() if on)

    @property
    def buzzer(self) -> str | None:
        heard: list[str | None] = [line["buzzer"] for line in self.lines if "buzzer" in line]
        return heard[-1]

    def close(self) -> None:
        self._file.close()
        self.connection.close()


@contextmanager
def simulated(folder: Path) -> Iterator[Rig]:
    listener = Listener()
    outputs = SimulatedPanel(folder / "s", 2.0, listener)
    client = SocketClient(folder / "s")

    def observe() -> tuple[frozenset[Lamp], Heard]:
        if (folder / "s").exists():
            # Lines come in order: what was asked before has been told before this.
            outputs.announce(Signal.NOTED)
            client.read_until("signal", Signal.NOTED.value)
        else:
            client.read_to_end()
        return client.lit, client.buzzer

    try:
        yield Rig(outputs, listener, observe, lambda tone: tone and tone.value)
    finally:
        outputs.close()
        client.close()


RIGS: dict[str, Opener] = {
    "simulated": simulated,
    "gpio": gpio(PanelSettings()),
    "gpio, lamps light when low": gpio(PanelSettings(lamps_active_low=True)),
    "gpio, buzzer sounds when low": gpio(PanelSettings(buzzer_active_low=True)),
    "gpio, passive buzzer": gpio(PanelSettings(buzzer="passive")),
    "gpio, passive buzzer, low": gpio(PanelSettings(buzzer="passive", buzzer_active_low=True)),
    "gpio, no buzzer": gpio(PanelSettings(buzzer="none")),
    "gpio, rgb": gpio(PanelSettings(lamps="rgb", blue_pin=24)),
    "gpio, rgb without blue, low": gpio(PanelSettings(lamps="rgb", lamps_active_low=True)),
}
