"""The whole panel: signal player, driver and USB inputs, wired as the settings say."""

from __future__ import annotations

from collections.abc import Sequence

from recorderd.core.signals import Signal
from recorderd.panel.base import PanelInput, PanelListener, PanelOutputs
from recorderd.panel.faults import PanelFaults
from recorderd.panel.gpio import GpioPanel
from recorderd.panel.none import NoOutputs
from recorderd.panel.player import SignalPlayer
from recorderd.panel.simulated import SimulatedPanel
from recorderd.panel.usb import PedalKeys, ScannerKeys, UsbInput
from recorderd.settings import Settings


class Panel:
    """What the station shows and hears. All calls return at once, from any thread.

    Trouble with a device is told to the listener as Fault.PANEL and raised nowhere: the
    station runs on without its lamps, and devices are opened anew by themselves.
    """

    def __init__(self, player: SignalPlayer, inputs: Sequence[PanelInput]) -> None:
        self._player = player
        self._inputs = inputs

    @property
    def dropped(self) -> int:
        """Momentary signals that were never played because too many were waiting."""
        return self._player.dropped

    def show(self, signal: Signal) -> None:
        """Show a standing signal until the next one. The one that is shown changes nothing."""
        self._player.show(signal)

    def play(self, signal: Signal) -> None:
        """Play a momentary signal once, after those that are waiting."""
        self._player.play(signal)

    def close(self) -> None:
        """Lamps off, buzzer silent, devices released; waits for that a few seconds at most."""
        for panel_input in self._inputs:
            panel_input.close()
        self._player.close()


def open_panel(settings: Settings, listener: PanelListener) -> Panel:
    """Open the panel that the settings describe. Returns at once; devices follow."""
    faults = PanelFaults(listener)
    player = SignalPlayer(lambda: _open_outputs(settings, listener), faults)
    player.start()
    inputs: list[PanelInput] = []
    if settings.panel.usb_pedal:
        inputs.append(UsbInput(settings.panel.usb_pedal, PedalKeys(listener), faults))
    if settings.panel.usb_scanner:
        inputs.append(UsbInput(settings.panel.usb_scanner, ScannerKeys(listener), faults))
    return Panel(player, inputs)


def _open_outputs(settings: Settings, listener: PanelListener) -> PanelOutputs:
    match settings.panel.driver:
        case "gpio":
            return GpioPanel(settings.panel, listener)
        case "simulated":
            return SimulatedPanel(settings.panel_socket, settings.panel.hold_seconds, listener)
        case _:
            return NoOutputs()
