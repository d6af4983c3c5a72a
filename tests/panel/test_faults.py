"""Several devices share the panel's one fault."""

from __future__ import annotations

from recorderd.core.events import FaultCleared, FaultRaised
from recorderd.core.model import Fault
from recorderd.errors import DeviceError
from recorderd.panel.faults import PanelFaults

from .listening import Listener

LAMPS = DeviceError("Lamps lost", "Find them")
PEDAL = DeviceError("Pedal lost", "Seek it")


def test_the_fault_clears_only_when_all_devices_work() -> None:
    listener = Listener()
    faults = PanelFaults(listener)
    faults.works("lamps")
    faults.failed("lamps", LAMPS)
    faults.failed("lamps", LAMPS)
    faults.failed("pedal", PEDAL)
    faults.works("lamps")
    faults.works("lamps")
    faults.works("pedal")
    assert listener.events == [
        FaultRaised(Fault.PANEL, "Lamps lost. Find them."),
        FaultRaised(Fault.PANEL, "Lamps lost. Find them. Pedal lost. Seek it."),
        FaultRaised(Fault.PANEL, "Pedal lost. Seek it."),
        FaultCleared(Fault.PANEL),
    ]
