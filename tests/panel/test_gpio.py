"""What only GPIO has: the pedal's contact, RGB lamps, and pins that cannot be had."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gpiozero
import pytest
from gpiozero.pins.mock import MockFactory, MockPin

from recorderd.core.events import FaultCleared, FaultRaised, PedalChanged
from recorderd.core.model import Fault, nanoseconds
from recorderd.core.signals import Lamp, Signal, Tone
from recorderd.errors import DeviceError
from recorderd.panel.faults import PanelFaults
from recorderd.panel.gpio import GpioPanel
from recorderd.panel.gpio_chip import line_board, open_chip
from recorderd.panel.gpio_errors import device_error
from recorderd.panel.player import SignalPlayer
from recorderd.settings import PanelSettings

from .listening import Listener, eventually
from .rigs import is_driven, mock_factory

DEFAULTS = PanelSettings()
DOWN, UP = PedalChanged(True), PedalChanged(False)


@pytest.fixture(autouse=True)
def none_is_left_open(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A panel has a thread, and the tests would never end with it."""
    opened: list[GpioPanel] = []
    construct = GpioPanel.__init__

    def remembered(panel: GpioPanel, *arguments: Any) -> None:
        opened.append(panel)
        construct(panel, *arguments)

    monkeypatch.setattr(GpioPanel, "__init__", remembered)
    yield
    for panel in opened:
        panel.close()


@pytest.mark.parametrize("pull", ["up", "down"])
def test_the_pedal_reports_every_edge(pull: str) -> None:
    settings, listener = PanelSettings(pedal_pull=pull), Listener()
    factory = mock_factory(settings)
    panel = GpioPanel(settings, listener, factory)
    pin = factory.pin(settings.pedal_pin)
    press, release = (
        (pin.drive_low, pin.drive_high) if pull == "up" else (pin.drive_high, pin.drive_low)
    )
    assert pin.pull == pull
    for move in (press, release, press, release):
        move()
    assert listener.events == [UP, DOWN, UP, DOWN, UP]
    panel.close()
    assert listener.events == [UP, DOWN, UP, DOWN, UP]


def test_an_edge_that_the_pin_library_does_not_tell_of_is_noticed() -> None:
    settings, listener = PanelSettings(), Listener()
    factory = mock_factory(settings)
    panel = GpioPanel(settings, listener, factory)
    pin = factory.pin(settings.pedal_pin)
    pin.when_changed = None
    try:
        pin.drive_low()
        assert eventually(lambda: listener.events == [UP, DOWN])
        pin.drive_high()
        assert eventually(lambda: listener.events == [UP, DOWN, UP])
    finally:
        panel.close()
    assert "pedal level" not in {thread.name for thread in threading.enumerate()}


class HeldPin(MockPin):  # type: ignore[misc]
    """A contact that is closed to ground already: its pull-up changes nothing."""

    def _set_pull(self, value: str) -> None:
        self._pull = value
        self._state = False


def test_a_pedal_that_is_down_at_the_start_is_reported_so() -> None:
    factory, listener = MockFactory(), Listener()
    factory.pin(DEFAULTS.pedal_pin, pin_class=HeldPin)
    panel = GpioPanel(DEFAULTS, listener, factory)
    assert listener.events == [DOWN]
    panel.close()
    assert listener.events == [DOWN, UP]


def test_without_a_pedal_nothing_is_reported() -> None:
    listener = Listener()
    GpioPanel(PanelSettings(pedal_pin=-1), listener, MockFactory()).close()
    assert listener.events == []


def test_no_bounce_time_is_asked_of_the_pin() -> None:
    factory = MockFactory()
    panel = GpioPanel(DEFAULTS, Listener(), factory)
    assert factory.pin(DEFAULTS.pedal_pin).bounce is None
    panel.close()


@pytest.mark.parametrize("active_low", [False, True])
def test_the_blue_of_an_rgb_lamp_is_held_off(active_low: bool) -> None:
    settings = PanelSettings(lamps="rgb", blue_pin=24, lamps_active_low=active_low)
    factory = MockFactory()
    panel = GpioPanel(settings, Listener(), factory)
    blue = factory.pin(24)
    panel.light(frozenset(Lamp))
    assert blue.function == "output"
    assert not is_driven(blue, active_low)
    panel.close()


def test_two_lamps_leave_the_blue_pin_alone() -> None:
    factory = MockFactory()
    panel = GpioPanel(PanelSettings(blue_pin=24), Listener(), factory)
    assert factory.pin(24).function == "input"
    panel.close()


def test_pins_can_be_opened_again_after_closing() -> None:
    factory = MockFactory()
    GpioPanel(DEFAULTS, Listener(), factory).close()
    GpioPanel(DEFAULTS, Listener(), factory).close()


def test_a_pin_in_use_is_named_and_the_others_are_released() -> None:
    factory = MockFactory()
    other = gpiozero.LED(DEFAULTS.buzzer_pin, pin_factory=factory)
    green = factory.pin(DEFAULTS.green_pin)
    with pytest.raises(DeviceError, match=r"GPIO 22 \(panel.buzzer_pin\) is in use") as caught:
        GpioPanel(DEFAULTS, Listener(), factory)
    assert "gpioinfo" in caught.value.remedy
    assert green.function == "input"
    other.close()
    GpioPanel(DEFAULTS, Listener(), MockFactory()).close()


@pytest.mark.parametrize(
    ("settings", "problem", "remedy"),
    [
        (PanelSettings(green_pin=99), r"GPIO 99 \(panel.green_pin\) does not exist", "pinout"),
        (PanelSettings(buzzer="passive"), "cannot sound a tone", "active buzzer"),
        (PanelSettings(pedal_pin=2, pedal_pull="down"), "a resistor that cannot be", "pedal_pull"),
    ],
)
def test_mistakes_in_the_pins_are_told_with_a_remedy(
    settings: PanelSettings, problem: str, remedy: str
) -> None:
    with pytest.raises(DeviceError, match=problem) as caught:
        GpioPanel(settings, Listener(), MockFactory())
    assert remedy in caught.value.remedy


@pytest.mark.parametrize(
    ("error", "settings", "problem", "remedy"),
    [
        (gpiozero.BadPinFactory("none"), DEFAULTS, "no GPIO that can be used", "panel.driver"),
        (gpiozero.PinUnknownPi("no Pi"), DEFAULTS, "no GPIO that can be used", "gpio_chip"),
        (PermissionError(13, "denied"), DEFAULTS, "may not be used", "group gpio"),
        (Exception("can not open gpiochip"), PanelSettings(gpio_chip=63), "gpiochip63", "gpiodet"),
        (Exception("GPIO busy"), DEFAULTS, "in use by another program", "gpioinfo"),
        (ModuleNotFoundError("x", name="lgpio"), DEFAULTS, "lgpio is missing", "scripts/install"),
        (RuntimeError("odd"), DEFAULTS, "cannot be used: odd", "wiring"),
    ],
)
def test_errors_of_the_libraries_become_a_problem_and_a_remedy(
    error: Exception, settings: PanelSettings, problem: str, remedy: str
) -> None:
    translated = device_error("GPIO 17", settings, error)
    assert problem in translated.problem
    assert remedy in translated.remedy


def break_pin(pin: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(value: object) -> None:
        raise OSError(19, "No such device")

    monkeypatch.setattr(pin, "_set_state", fail)


def test_a_chip_that_is_unplugged_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    factory = mock_factory(DEFAULTS)
    panel = GpioPanel(DEFAULTS, Listener(), factory)
    for pin in (DEFAULTS.green_pin, DEFAULTS.buzzer_pin):
        break_pin(factory.pin(pin), monkeypatch)
    with pytest.raises(DeviceError, match="A lamp cannot be switched"):
        panel.light(frozenset())
    with pytest.raises(DeviceError, match="The buzzer cannot be switched"):
        panel.sound(Tone.HIGH)
    panel.close()


def test_a_pin_that_cannot_be_closed_is_not_handed_out_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail() -> None:
        raise OSError(19, "No such device")

    factory = mock_factory(DEFAULTS)
    panel = GpioPanel(DEFAULTS, Listener(), factory)
    dead = factory.pin(DEFAULTS.green_pin)
    with monkeypatch.context() as broken:
        broken.setattr(dead, "close", fail)
        panel.close()
    assert factory.pin(DEFAULTS.green_pin) is not dead


def test_the_player_survives_the_chip_and_gets_it_back(monkeypatch: pytest.MonkeyPatch) -> None:
    factories = [mock_factory(DEFAULTS), mock_factory(DEFAULTS)]
    listener, waiting = Listener(), list(factories)
    player = SignalPlayer(
        lambda: GpioPanel(DEFAULTS, listener, waiting.pop(0)), PanelFaults(listener)
    )
    player.show(Signal.READY)
    player.tick(0)
    factories[0].pin(DEFAULTS.pedal_pin).drive_low()
    break_pin(factories[0].pin(DEFAULTS.green_pin), monkeypatch)
    player.tick(nanoseconds(1))
    player.tick(nanoseconds(2))
    up, down, released, raised, up_again, cleared = listener.events
    assert (up, down, released, up_again) == (UP, DOWN, UP, UP)
    assert isinstance(raised, FaultRaised)
    assert cleared == FaultCleared(Fault.PANEL)
    assert is_driven(factories[1].pin(DEFAULTS.green_pin), active_low=False)


def test_lines_of_a_chip_that_is_no_pi_are_numbered_through() -> None:
    class LineFactory(MockFactory):  # type: ignore[misc]
        def _get_board_info(self) -> Any:
            return line_board()

    settings = PanelSettings(green_pin=300, red_pin=2, pedal_pin=3, pedal_pull="down")
    factory = LineFactory()
    panel = GpioPanel(settings, Listener(), factory)
    panel.light(frozenset({Lamp.GREEN}))
    assert is_driven(factory.pin(300), active_low=False)
    assert not is_driven(factory.pin(2), active_low=False)
    panel.close()


def test_a_chip_that_is_not_there_is_a_device_error() -> None:
    with pytest.raises(DeviceError):
        GpioPanel(PanelSettings(gpio_chip=63), Listener())


def test_the_default_factory_is_taken_over() -> None:
    gpiozero.Device.pin_factory = factory = MockFactory()
    assert open_chip(-1) is factory
    assert gpiozero.Device.pin_factory is None


@pytest.mark.parametrize("writable", [True, False])
def test_the_pipe_of_the_pin_library_has_a_place_in_any_folder(
    writable: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library, folder = tmp_path / "library", tmp_path / "folder"
    library.mkdir()
    folder.mkdir()
    (library / "lgpio.py").write_text("import os\nMADE_IN = os.getcwd()\nos.mkfifo('.lgd-nfy0')\n")
    monkeypatch.syspath_prepend(library)
    monkeypatch.delitem(sys.modules, "lgpio", raising=False)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(os, "access", lambda *_: writable)
    gpiozero.Device.pin_factory = MockFactory()
    open_chip(-1)
    made_in = Path(importlib.import_module("lgpio").MADE_IN)
    monkeypatch.delitem(sys.modules, "lgpio")
    assert (made_in == folder) is writable
    assert made_in.exists() is writable
    assert Path.cwd() == folder


def test_a_working_folder_that_cannot_be_entered_again_is_no_trouble(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a technician's home for the user of the station."""
    real, went_to = os.chdir, []

    def no_way_back(path: int | str) -> None:
        if isinstance(path, int):
            raise PermissionError
        went_to.append(str(path))
        real(path)

    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "lgpio", raising=False)
    monkeypatch.setattr(os, "access", lambda *_: False)
    monkeypatch.setattr(os, "chdir", no_way_back)
    gpiozero.Device.pin_factory = factory = MockFactory()
    assert open_chip(-1) is factory
    assert went_to[-1] == "/"


def test_the_panel_needs_no_video_library_and_no_gpiozero_until_it_is_opened() -> None:
    found = subprocess.run(
        [
            sys.executable,
            "-c",
            "import recorderd.panel.panel, sys;"
            "print({'av', 'cv2', 'zbar', 'zxingcpp', 'numpy', 'gpiozero', 'lgpio', 'evdev'}"
            " & set(sys.modules))",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == "set()"
