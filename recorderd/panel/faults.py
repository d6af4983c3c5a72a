"""One fault for the whole panel, made of the troubles of its devices."""

from __future__ import annotations

import threading

from recorderd.core.events import FaultCleared, FaultRaised
from recorderd.core.model import Fault
from recorderd.errors import DeviceError, RecorderdError
from recorderd.panel.base import PanelListener


class PanelFaults:
    """Tells the listener what is wrong with the panel, and when nothing is any more.

    Lamps, pedal and hand scanner share one fault: it clears only when all of them work.
    May be called from any thread; the listener hears changes only, in their order.
    """

    def __init__(self, listener: PanelListener) -> None:
        self._listener = listener
        self._lock = threading.Lock()
        self._troubles: dict[str, str] = {}

    def failed(self, device: str, error: RecorderdError) -> None:
        """`device` (a name of the caller's choice) does not work because of `error`."""
        with self._lock:
            if self._troubles.get(device) != str(error):
                self._troubles[device] = str(error)
                self._raise()

    def works(self, device: str) -> None:
        """`device` works, again or still."""
        with self._lock:
            if self._troubles.pop(device, None) is None:
                return
            if self._troubles:
                self._raise()
            else:
                self._listener(FaultCleared(Fault.PANEL))

    def _raise(self) -> None:
        self._listener(FaultRaised(Fault.PANEL, " ".join(self._troubles.values())))


def unexpected(what: str, error: Exception) -> DeviceError:
    """A mistake in a driver, as an error: it costs the device, never the recording."""
    return DeviceError(
        f"{what} failed unexpectedly: {error!r}",
        "Please report this with the journal; it is tried again by itself",
    )
