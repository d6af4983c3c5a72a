"""What went wrong while a GPIO pin was opened, in words a technician can act on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from recorderd.errors import DeviceError
from recorderd.settings import PanelSettings


@contextmanager
def translated(what: str, settings: PanelSettings) -> Iterator[None]:
    """Turn whatever gpiozero or the pin library beneath it raises into DeviceError.

    `what` begins the sentence that says what failed, e.g. "GPIO 17 (panel.green_pin)".
    """
    try:
        yield
    except DeviceError:
        raise
    except Exception as error:
        # Not a list of kinds: each pin library has its own, lgpio.error is a plain Exception.
        raise device_error(what, settings, error) from error


def device_error(what: str, settings: PanelSettings, error: Exception) -> DeviceError:
    """The error of a library as our own, with a remedy."""
    # gpiozero's errors are told by name, since it may be gpiozero that is not installed.
    names = {kind.__name__ for kind in type(error).__mro__}
    text = str(error)
    chip = f"/dev/gpiochip{settings.gpio_chip}"
    closed = {"BadPinFactory"} & names or "can not open gpiochip" in text
    if isinstance(error, PermissionError) or (closed and _no_chip_is_open_to_us(settings)):
        return DeviceError(
            "The GPIO chip may not be used by this user",
            "Add the user of the recorderd service to the group gpio and restart the service",
        )
    if "can not open gpiochip" in text and settings.gpio_chip >= 0:
        return DeviceError(
            f"There is no GPIO chip {chip}",
            "List the chips with 'gpiodetect' and set panel.gpio_chip",
        )
    if names & {"BadPinFactory", "PinUnknownPi"}:
        return DeviceError(
            "This machine has no GPIO that can be used",
            "On a Raspberry Pi run scripts/install once more; on another machine set "
            "panel.gpio_chip to its GPIO chip, or panel.driver to none",
        )
    if isinstance(error, ImportError):
        return DeviceError(
            f"The Python library {error.name or 'for GPIO'} is missing",
            "Run scripts/install once more; without it: pip install 'recorderd[gpio]'",
        )
    if "PinInvalidPin" in names:
        return DeviceError(
            f"{what} does not exist on this machine",
            "Give the GPIO number, not the position on the header; 'pinout' shows both",
        )
    if "GPIOPinInUse" in names or "busy" in text.lower():
        return DeviceError(
            f"{what} is in use by another program",
            "See by which one with 'gpioinfo', end it, or use another pin",
        )
    if "PinFixedPull" in names:
        return DeviceError(
            f"{what} has a resistor that cannot be changed",
            "Use another pin, or set panel.pedal_pull to up and connect the pedal to ground",
        )
    if names & {"PinPWMUnsupported", "PinPWMFixedValue"}:
        return DeviceError(
            f"{what} cannot sound a tone",
            "Run scripts/install once more, or use an active buzzer and set panel.buzzer",
        )
    return DeviceError(
        f"{what} cannot be used: {text or repr(error)}",
        "Check the pins in the section [panel] and the wiring",
    )


def _no_chip_is_open_to_us(settings: PanelSettings) -> bool:
    """lgpio and gpiozero say the same of a chip that is missing and of one that is forbidden."""
    pattern = "gpiochip*" if settings.gpio_chip < 0 else f"gpiochip{settings.gpio_chip}"
    chips = list(Path("/dev").glob(pattern))
    return bool(chips) and not any(os.access(chip, os.R_OK | os.W_OK) for chip in chips)
