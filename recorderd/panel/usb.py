"""USB pedals and hand scanners, which pose as keyboards, through the kernel's input devices."""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Protocol, cast

from recorderd.core.events import HandScanned, PedalChanged
from recorderd.core.model import NANOSECONDS_PER_SECOND, Nanoseconds
from recorderd.errors import DeviceError
from recorderd.panel.backoff import Backoff
from recorderd.panel.base import PanelListener
from recorderd.panel.faults import PanelFaults, unexpected
from recorderd.panel.keyboard import DOWN, UP, TypedText

LONGEST_CLOSE_SECONDS = 2.0

# Types and codes of the kernel's input events (input-event-codes.h).
_EV_SYN, _EV_KEY = 0, 1
_SYN_REPORT, _SYN_DROPPED = 0, 3


class InputEvent(Protocol):
    """The kernel's input event, as evdev gives it."""

    @property
    def type(self) -> int: ...
    @property
    def code(self) -> int: ...
    @property
    def value(self) -> int: ...


class InputDevice(Protocol):
    """What is used of evdev.InputDevice."""

    def fileno(self) -> int: ...
    def read(self) -> Iterable[InputEvent]: ...
    def active_keys(self) -> list[int]: ...
    def close(self) -> None: ...


class KeyHandler(Protocol):
    """What keys mean. All calls come from the device's thread."""

    def resume(self, held: Iterable[int], /) -> None:
        """The device was opened, or lost events: these keys are down, all others up."""

    def key(self, code: int, value: int, now_ns: Nanoseconds, /) -> None:
        """A key went up (0), down (1) or repeats (2)."""

    def lost(self) -> None:
        """The device is gone."""


class PedalKeys:
    """Any key of a USB pedal is the pedal; down as long as at least one is."""

    def __init__(self, listener: PanelListener) -> None:
        self._listener = listener
        self._held: set[int] = set()

    def resume(self, held: Iterable[int], /) -> None:
        self._set(set(held))

    def key(self, code: int, value: int, _now_ns: Nanoseconds, /) -> None:
        if value == DOWN:
            self._set(self._held | {code})
        elif value == UP:
            self._set(self._held - {code})

    def lost(self) -> None:
        self._set(set())

    def _set(self, held: set[int]) -> None:
        was_down, self._held = bool(self._held), held
        if was_down != bool(held):
            self._listener(PedalChanged(bool(held)))


class ScannerKeys:
    """A hand scanner types a text and Enter."""

    def __init__(self, listener: PanelListener) -> None:
        self._listener = listener
        self._typed = TypedText()
        self._open = False

    def resume(self, _held: Iterable[int], /) -> None:
        if self._open:
            self._typed.lose()
        self._open = True

    def key(self, code: int, value: int, now_ns: Nanoseconds, /) -> None:
        text = self._typed.key(code, value, now_ns)
        if text is not None:
            self._listener(HandScanned(text))

    def lost(self) -> None:
        self._typed.forget()
        self._open = False


def open_input_device(path: str) -> InputDevice:
    """Open an input device for us alone, so that it types nowhere else. Raises DeviceError."""
    try:
        import evdev

        device = evdev.InputDevice(path)
        try:
            device.grab()
        except OSError:
            device.close()
            raise
    except ImportError as error:
        raise DeviceError(
            "The Python library evdev is missing",
            "Install it with: pip install evdev, or leave panel.usb_pedal and "
            "panel.usb_scanner empty",
        ) from error
    except FileNotFoundError as error:
        raise DeviceError(
            f"The input device {path} is not there",
            "Plug it in, or see in /dev/input/by-id what it is called now",
        ) from error
    except PermissionError as error:
        raise DeviceError(
            f"The input device {path} may not be used by this user",
            "Add the user of the recorderd service to the group input and restart the service",
        ) from error
    except OSError as error:
        raise DeviceError(
            f"The input device {path} cannot be used: {error.strerror or error}",
            "See that it is an input device and that no other program has taken it",
        ) from error
    return cast(InputDevice, device)


class UsbInput:
    """Reads one input device in a thread of its own, and opens it anew after it was unplugged."""

    def __init__(
        self,
        path: str,
        handler: KeyHandler,
        faults: PanelFaults,
        open_device: Callable[[str], InputDevice] = open_input_device,
        clock: Callable[[], Nanoseconds] = time.monotonic_ns,
    ) -> None:
        self._path = path
        self._handler = handler
        self._faults = faults
        self._open_device = open_device
        self._clock = clock
        self._backoff = Backoff()
        self._closing, self._closer = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name="panel-usb-input")
        self._thread.start()

    def close(self) -> None:
        """Stop listening and let go of the device. Never raises."""
        self._closer.close()
        self._thread.join(LONGEST_CLOSE_SECONDS)

    def _run(self) -> None:
        with self._closing:
            while not self._is_closing_within(self._read_until_lost()):
                pass

    def _read_until_lost(self) -> Nanoseconds:
        """Serve the device while it is there. Returns how long to wait before the next try."""
        try:
            device = self._open_device(self._path)
            try:
                self._handler.resume(device.active_keys())
                self._faults.works(self._path)
                self._backoff.worked(self._clock())
                self._read(device)
            finally:
                self._handler.lost()
                with suppress(OSError):
                    device.close()
        except DeviceError as error:
            self._faults.failed(self._path, error)
        except OSError as error:
            self._faults.failed(
                self._path,
                DeviceError(
                    f"The input device {self._path} was lost: {error.strerror or error}",
                    "Plug it in again; it is found by itself",
                ),
            )
        except Exception as error:
            self._faults.failed(self._path, unexpected(f"The input device {self._path}", error))
        now_ns = self._clock()
        return self._backoff.failed(now_ns) - now_ns

    def _read(self, device: InputDevice) -> None:
        """Pass keys on until the panel is closed. Raises OSError when the device is unplugged."""
        incomplete = False
        while True:
            ready, _, _ = select.select([device.fileno(), self._closing.fileno()], [], [])
            if self._closing.fileno() in ready:
                return
            try:
                events = list(device.read())
            except BlockingIOError:
                continue
            for event in events:
                if event.type == _EV_SYN and event.code == _SYN_DROPPED:
                    incomplete = True
                elif incomplete:
                    # The kernel says to read the state anew after the next report.
                    if event.type == _EV_SYN and event.code == _SYN_REPORT:
                        incomplete = False
                        self._handler.resume(device.active_keys())
                elif event.type == _EV_KEY:
                    self._handler.key(event.code, event.value, self._clock())

    def _is_closing_within(self, wait: Nanoseconds) -> bool:
        ready, _, _ = select.select([self._closing], [], [], wait / NANOSECONDS_PER_SECOND)
        return bool(ready)
