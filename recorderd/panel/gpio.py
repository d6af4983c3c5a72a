"""Lamps, buzzer and pedal on GPIO pins, through gpiozero.

gpiozero and its pin libraries are imported when a panel is opened, not before: a station
with another panel, and every other command, does without them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from recorderd.core.events import PedalChanged
from recorderd.core.signals import Lamp, Signal, Tone
from recorderd.errors import DeviceError
from recorderd.panel.base import PanelListener
from recorderd.panel.gpio_chip import open_chip
from recorderd.panel.gpio_errors import translated
from recorderd.settings import PanelSettings

TONE_HERTZ = {Tone.HIGH: 2400, Tone.LOW: 600}
"""Pitches of a passive buzzer. Small piezo discs are loudest at 2 to 4 kHz."""

LOOK_SECONDS = 0.05
"""Between two looks at the pedal's level: the shortest press counts twice as long."""

LONGEST_CLOSE_SECONDS = 1.0
"""A driver that hangs does not hold up whoever closes the panel."""


class GpioPanel:
    """Outputs for the signal player; the pedal reports to `listener` from a thread of gpiozero,
    or from one of its own that looks at its level.

    `pin_factory` is gpiozero's source of pins, closed with the panel; None opens the chip
    the settings name. The pedal's level is reported once at the start, then every edge,
    bounces included. An edge that nobody told of is noticed at the next look: pin libraries
    lose some (seen with lgpio 0.2.2, one start in twenty told of none at all), and a pedal that
    does nothing is a video that does not end. Raises DeviceError if any pin cannot be had.
    """

    def __init__(
        self, settings: PanelSettings, listener: PanelListener, pin_factory: Any = None
    ) -> None:
        self._listener = listener
        self._pedal_lock = threading.Lock()
        self._pedal: Any = None
        self._pedal_down = False
        self._closing = threading.Event()
        self._pedal_watch = threading.Thread(target=self._watch_pedal, name="pedal level")
        self._buzzer: Any = None
        self._tonal = settings.buzzer == "passive"
        self._devices: list[Any] = []
        with translated("The GPIO", settings):
            self._factory = open_chip(settings.gpio_chip) if pin_factory is None else pin_factory
        try:
            self._open(settings)
        except DeviceError:
            self.close()
            raise

    def light(self, lit: frozenset[Lamp]) -> None:
        with self._in_use("A lamp"):
            for lamp, device in self._lamps.items():
                device.value = lamp in lit

    def sound(self, tone: Tone | None) -> None:
        if self._buzzer is None:
            return
        with self._in_use("The buzzer"):
            if not self._tonal:
                self._buzzer.value = tone is not None
            elif tone is None:
                self._buzzer.value = 0
            else:
                self._buzzer.frequency = TONE_HERTZ[tone]
                self._buzzer.value = 0.5

    def announce(self, signal: Signal) -> None:
        """Lamps and buzzer say it all."""

    def close(self) -> None:
        self._closing.set()
        if self._pedal_watch.ident is not None:
            self._pedal_watch.join(LONGEST_CLOSE_SECONDS)
        # The chip may be gone: whatever can still be switched off is.
        for device in self._devices:
            if device is not self._pedal:
                with suppress(Exception):
                    device.off()
        for device in self._devices:
            with suppress(Exception):
                device.close()
        # Pins are closed by now. One that could not be would keep the factory from closing
        # and be handed out again, dead, to the next panel.
        with suppress(Exception):
            self._factory.pins.clear()
            self._factory.close()
        self._pedal_changed(False)

    def _open(self, settings: PanelSettings) -> None:
        with translated("The GPIO", settings):
            import gpiozero

        def lamp(setting: str) -> Any:
            return self._device(
                settings,
                setting,
                lambda pin: gpiozero.DigitalOutputDevice(
                    pin, active_high=not settings.lamps_active_low, pin_factory=self._factory
                ),
            )

        self._lamps = {Lamp.GREEN: lamp("green_pin"), Lamp.RED: lamp("red_pin")}
        if settings.lamps == "rgb" and settings.blue_pin >= 0:
            lamp("blue_pin")
        if settings.buzzer != "none":
            kind = gpiozero.PWMOutputDevice if self._tonal else gpiozero.DigitalOutputDevice
            options = {"frequency": TONE_HERTZ[Tone.HIGH]} if self._tonal else {}
            self._buzzer = self._device(
                settings,
                "buzzer_pin",
                lambda pin: kind(
                    pin,
                    active_high=not settings.buzzer_active_low,
                    pin_factory=self._factory,
                    **options,
                ),
            )
        if settings.pedal_pin >= 0:
            self._open_pedal(settings)

    def _open_pedal(self, settings: PanelSettings) -> None:
        import gpiozero

        self._pedal = self._device(
            settings,
            "pedal_pin",
            lambda pin: gpiozero.DigitalInputDevice(
                pin, pull_up=settings.pedal_pull == "up", pin_factory=self._factory
            ),
        )
        # An edge between reading the level and listening would be missed, an edge reported
        # before the level be undone by it: so listen first and let edges wait.
        with self._pedal_lock, translated("The pedal", settings):
            self._pedal.when_activated = lambda: self._pedal_edge(True)
            self._pedal.when_deactivated = lambda: self._pedal_edge(False)
            self._pedal_down = bool(self._pedal.is_active)
            self._listener(PedalChanged(self._pedal_down))
        self._pedal_watch.start()

    def _watch_pedal(self) -> None:
        while not self._closing.wait(LOOK_SECONDS):
            # A chip that is gone is noticed by the lamps.
            with suppress(Exception), self._pedal_lock:
                self._pedal_changed(bool(self._pedal.is_active))

    def _pedal_edge(self, down: bool) -> None:
        with self._pedal_lock:
            self._pedal_changed(down)

    def _pedal_changed(self, down: bool) -> None:
        if down != self._pedal_down:
            self._pedal_down = down
            self._listener(PedalChanged(down))

    def _device(
        self, settings: PanelSettings, setting: str, construct: Callable[[int], Any]
    ) -> Any:
        pin = getattr(settings, setting)
        with translated(f"GPIO {pin} (panel.{setting})", settings):
            device = construct(pin)
        self._devices.append(device)
        return device

    @contextmanager
    def _in_use(self, what: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            # Each pin library raises its own kinds, lgpio.error being a plain Exception.
            raise DeviceError(
                f"{what} cannot be switched any more: {error}",
                "Check that the GPIO chip is still connected; it is opened anew by itself",
            ) from error
