"""`recorderd run`: the station, and with `--all` the other services beside it."""

from __future__ import annotations

import signal
import threading
import types

from recorderd.settings import Settings
from recorderd.station.companions import Companions
from recorderd.station.station import Station


def main(settings: Settings, everything: bool) -> int:
    """Run until SIGTERM, SIGINT or the end of a file source. Returns the exit code."""
    station = Station(settings)

    def leave(_number: int, _frame: types.FrameType | None) -> None:
        station.shut_down()

    threading.excepthook = lambda arguments: station.crash(
        arguments.exc_value or RuntimeError(arguments.exc_type.__name__)
    )
    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGINT, leave)
    companions = Companions(["finish", "web"]) if everything else None
    try:
        station.run()
    finally:
        if companions is not None:
            companions.close()
    return 0
