"""The thread that reads a USB pedal or hand scanner, with a device made of a socket."""

from __future__ import annotations

import errno
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from recorderd.core.events import FaultCleared, FaultRaised, HandScanned, PedalChanged
from recorderd.core.model import Fault
from recorderd.errors import DeviceError
from recorderd.panel import backoff
from recorderd.panel.faults import PanelFaults
from recorderd.panel.keyboard import DOWN, UP
from recorderd.panel.usb import KeyHandler, PedalKeys, ScannerKeys, UsbInput, open_input_device

from .listening import Listener, eventually

SYN, KEY = 0, 1
REPORT, DROPPED = 0, 3
KEY_A, KEY_B, KEY_ENTER = 30, 48, 28
PEDAL_DOWN, PEDAL_UP = PedalChanged(True), PedalChanged(False)


@dataclass(frozen=True)
class Event:
    type: int
    code: int
    value: int


class FakeDevice:
    """Becomes readable when events are waiting, or when it is unplugged."""

    def __init__(self) -> None:
        self.held: list[int] = []
        self.closed = threading.Event()
        self._ours, self._theirs = socket.socketpair()
        self._ours.setblocking(False)

    def emit(self, *events: tuple[int, int, int]) -> None:
        self._theirs.send(b"".join(bytes(event) for event in events))

    def unplug(self) -> None:
        self._theirs.close()

    def fileno(self) -> int:
        return self._ours.fileno()

    def read(self) -> Iterator[Event]:
        data = self._ours.recv(3 * 100)
        if not data:
            raise OSError(errno.ENODEV, "No such device")
        for at in range(0, len(data), 3):
            yield Event(*data[at : at + 3])

    def active_keys(self) -> list[int]:
        return self.held

    def close(self) -> None:
        self.closed.set()
        self._ours.close()


class Socket:
    """A USB socket: what is plugged in can be opened."""

    def __init__(self) -> None:
        self.device: FakeDevice | None = None
        self.opened: list[str] = []

    def plug(self) -> FakeDevice:
        self.device = FakeDevice()
        return self.device

    def unplug(self) -> None:
        device, self.device = self.device, None
        assert device is not None
        device.unplug()

    def open(self, path: str) -> FakeDevice:
        self.opened.append(path)
        if self.device is None:
            raise DeviceError("It is not there", "Plug it in")
        return self.device


@contextmanager
def reading(usb: Socket, handler: KeyHandler, listener: Listener) -> Iterator[UsbInput]:
    usb_input = UsbInput("/dev/input/by-id/it", handler, PanelFaults(listener), usb.open)
    try:
        yield usb_input
    finally:
        usb_input.close()


@pytest.fixture(autouse=True)
def _short_delays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "SHORTEST_DELAY", 10_000_000)
    monkeypatch.setattr(backoff, "LONGEST_DELAY", 20_000_000)


def test_any_key_of_a_pedal_is_the_pedal() -> None:
    usb, listener = Socket(), Listener()
    device = usb.plug()
    with reading(usb, PedalKeys(listener), listener):
        device.emit((KEY, KEY_A, DOWN), (SYN, REPORT, 0), (KEY, KEY_A, 2), (KEY, KEY_B, DOWN))
        device.emit((KEY, KEY_A, UP), (KEY, KEY_B, UP), (KEY, KEY_B, DOWN))
        listener.wait_for(lambda events: len(events) == 3)
        assert listener.events == [PEDAL_DOWN, PEDAL_UP, PEDAL_DOWN]
    assert listener.events[3:] == [PEDAL_UP]
    assert device.closed.is_set()
    assert usb.opened == ["/dev/input/by-id/it"]


def test_a_pedal_that_is_down_when_it_is_opened_is_reported() -> None:
    usb, listener = Socket(), Listener()
    usb.plug().held = [KEY_A]
    with reading(usb, PedalKeys(listener), listener):
        listener.wait_for_event(PEDAL_DOWN)


def test_unplugging_opens_the_contact_raises_a_fault_and_plugging_in_clears_it() -> None:
    usb, listener = Socket(), Listener()
    device = usb.plug()
    with reading(usb, PedalKeys(listener), listener):
        device.emit((KEY, KEY_A, DOWN))
        listener.wait_for_event(PEDAL_DOWN)
        usb.unplug()
        listener.wait_for(lambda events: any(isinstance(e, FaultRaised) for e in events))
        assert listener.events[:2] == [PEDAL_DOWN, PEDAL_UP]
        fault = listener.faults[0]
        assert isinstance(fault, FaultRaised)
        assert "Plug it in" in fault.problem
        device = usb.plug()
        listener.wait_for_event(FaultCleared(Fault.PANEL))
        device.emit((KEY, KEY_A, DOWN))
        listener.wait_for(lambda events: events[-1] == PEDAL_DOWN)


def test_a_device_that_is_missing_at_the_start_is_a_fault_until_it_comes() -> None:
    usb, listener = Socket(), Listener()
    with reading(usb, PedalKeys(listener), listener):
        listener.wait_for(lambda events: len(events) == 1)
        assert listener.events == [FaultRaised(Fault.PANEL, "It is not there. Plug it in.")]
        usb.plug()
        listener.wait_for_event(FaultCleared(Fault.PANEL))


def test_a_mistake_of_ours_is_a_fault_and_the_thread_goes_on() -> None:
    class Mistaken(PedalKeys):
        def key(self, code: int, value: int, _now_ns: int, /) -> None:
            raise ZeroDivisionError("a bug")

    usb, listener = Socket(), Listener()
    device = usb.plug()
    with reading(usb, Mistaken(listener), listener):
        device.emit((KEY, KEY_A, DOWN))
        listener.wait_for(lambda events: any("a bug" in str(event) for event in events))
        usb.plug()
        listener.wait_for_event(FaultCleared(Fault.PANEL))


def test_a_hand_scanner_reports_its_text() -> None:
    usb, listener = Socket(), Listener()
    device = usb.plug()
    with reading(usb, ScannerKeys(listener), listener):
        for code in (KEY_A, KEY_B, KEY_ENTER):
            device.emit((KEY, code, DOWN), (SYN, REPORT, 0), (KEY, code, UP), (SYN, REPORT, 0))
        listener.wait_for_event(HandScanned("ab"))


def test_a_text_does_not_go_on_after_unplugging() -> None:
    usb, listener = Socket(), Listener()
    device = usb.plug()
    with reading(usb, ScannerKeys(listener), listener):
        device.emit((KEY, KEY_A, DOWN))
        usb.unplug()
        listener.wait_for(lambda events: bool(events))
        device = usb.plug()
        device.emit((KEY, KEY_B, DOWN), (KEY, KEY_ENTER, DOWN))
        listener.wait_for_event(HandScanned("b"))


def test_lost_events_spoil_the_text_and_resume_the_pedal() -> None:
    usb, listener = Socket(), Listener()
    device = usb.plug()
    lost = ((SYN, DROPPED, 0), (KEY, KEY_B, DOWN), (SYN, REPORT, 0))
    with reading(usb, ScannerKeys(listener), listener):
        device.emit((KEY, KEY_A, DOWN), *lost, (KEY, KEY_ENTER, DOWN))
        device.emit((KEY, KEY_A, DOWN), (KEY, KEY_ENTER, DOWN))
        listener.wait_for(lambda events: bool(events))
        assert listener.events == [HandScanned("a")]
    usb, listener = Socket(), Listener()
    device = usb.plug()
    with reading(usb, PedalKeys(listener), listener):
        device.emit((KEY, KEY_A, DOWN))
        listener.wait_for_event(PEDAL_DOWN)
        device.emit(*lost)
        listener.wait_for_event(PEDAL_UP)


def test_closing_while_waiting_for_a_device_is_quick() -> None:
    usb, listener = Socket(), Listener()
    with reading(usb, PedalKeys(listener), listener):
        listener.wait_for(lambda events: bool(events))
    assert "panel-usb-input" not in [thread.name for thread in threading.enumerate()]


@pytest.mark.parametrize("path", ["/dev/input/by-id/nothing-is-called-so", "/dev/null"])
def test_what_is_no_input_device_is_a_device_error(path: str) -> None:
    with pytest.raises(DeviceError, match=path):
        open_input_device(path)


def can_be_opened(path: str) -> bool:
    try:
        open_input_device(path).close()
    except DeviceError:
        return False
    return True


@pytest.mark.hardware
@pytest.mark.skipif(not Path("/dev/uinput").exists(), reason="there is no /dev/uinput")
def test_a_device_of_the_kernel_is_read_and_taken_from_everybody_else() -> None:
    import evdev

    with evdev.UInput(name="recorderd test scanner") as keyboard:
        listener = Listener()
        path = str(keyboard.device.path)
        handler = ScannerKeys(listener)
        usb_input = UsbInput(path, handler, PanelFaults(listener))
        try:
            assert eventually(lambda: not can_be_opened(path))
            for code in (KEY_A, KEY_B, KEY_ENTER):
                for value in (DOWN, UP):
                    keyboard.write(KEY, code, value)
                    keyboard.syn()
            listener.wait_for_event(HandScanned("ab"))
        finally:
            usb_input.close()
