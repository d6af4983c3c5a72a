"""gpiozero's pin factory, on a Raspberry Pi and on machines that are none."""

from __future__ import annotations

import contextlib
import functools
import importlib
import os
import sys
import tempfile
from typing import Any

LINES = 512
"""As many lines as a chip may have here; the kernel refuses those it has not."""


def open_chip(number: int) -> Any:
    """Open /dev/gpiochip`number` by line numbers, or for -1 gpiozero's own choice on a Pi.

    Raises whatever gpiozero or lgpio raise. The caller closes the factory.
    """
    _import_lgpio_anywhere()
    import gpiozero

    if number < 0:
        gpiozero.Device.ensure_pin_factory()
        factory = gpiozero.Device.pin_factory
        # Ours from now on: gpiozero would hand out this one again after it was closed.
        gpiozero.Device.pin_factory = None
        return factory

    from gpiozero.pins.lgpio import LGPIOFactory

    class ChipFactory(LGPIOFactory):  # type: ignore[misc]
        """gpiozero knows pins by the header of a Pi; here they are the lines of the chip."""

        def _get_board_info(self) -> Any:
            return line_board()

    return ChipFactory(chip=number)


def _import_lgpio_anywhere() -> None:
    """When it is imported, lgpio 0.2.2 makes a pipe in the working folder and opens it there.

    A technician may run the doctor in a folder that cannot be written, or not even be entered
    again by the user of the station. Without lgpio gpiozero looks for other libraries.
    """
    if os.access(".", os.W_OK) or "lgpio" in sys.modules:
        return
    before = os.open(".", os.O_PATH | os.O_DIRECTORY)
    try:
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            with contextlib.suppress(ImportError):
                importlib.import_module("lgpio")
            try:
                os.chdir(before)
            except OSError:
                os.chdir("/")
    finally:
        os.close(before)


@functools.cache
def line_board() -> Any:
    """A gpiozero board whose pins are GPIO0, GPIO1, ... with no fixed resistors."""
    from gpiozero.pins import BoardInfo, HeaderInfo, PinInfo

    pins = {
        line + 1: PinInfo(
            number=line + 1,
            name=f"GPIO{line}",
            names=frozenset({line, f"GPIO{line}"}),
            pull="",
            row=line + 1,
            col=1,
            interfaces=frozenset({"gpio"}),
        )
        for line in range(LINES)
    }
    unknown: dict[str, Any] = dict.fromkeys(BoardInfo._fields)
    header = HeaderInfo(name="LINES", rows=LINES, columns=1, pins=pins)
    return BoardInfo(**{**unknown, "model": "GPIO chip", "headers": {"LINES": header}})
