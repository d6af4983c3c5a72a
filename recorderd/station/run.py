"""`recorderd run`: the station, and with `--all` the other services beside it.

SIGTERM and SIGINT end it, after what is being recorded was saved. SIGHUP has it read the
settings again: new ones are taken up by a new station in the same process, as soon as nothing
is being recorded; bad ones are refused, and the old ones stay. SIGUSR1 ends it as soon as
nothing is being recorded.
"""

from __future__ import annotations

import signal
import threading
import types
from collections.abc import Callable

import structlog

from recorderd import logs
from recorderd.errors import ConfigError
from recorderd.settings import Settings
from recorderd.station.companions import Companions
from recorderd.station.station import Station
from recorderd.station.watchdog import Watchdog

log = structlog.get_logger("station")


def main(settings: Settings, everything: bool, load_again: Callable[[], Settings]) -> int:
    """Run until a signal or the end of a file source. Returns the exit code.

    `load_again` reads the settings anew; it may raise ConfigError.
    """
    stations = _Stations(settings, load_again)
    threading.excepthook = lambda arguments: stations.current.crash(
        arguments.exc_value or RuntimeError(arguments.exc_type.__name__)
    )
    for number, answer in (
        (signal.SIGTERM, stations.shut_down),
        (signal.SIGINT, stations.shut_down),
        (signal.SIGHUP, stations.look_for_new_settings),
        (signal.SIGUSR1, stations.leave_when_idle),
    ):
        signal.signal(number, _handler(answer))
    going_on = True
    while going_on:
        companions = Companions(["finish", "web"]) if everything else None
        try:
            stations.current.run()
        finally:
            if companions is not None:
                companions.close()
        going_on = stations.next()
    return 0


def _handler(answer: Callable[[], None]) -> Callable[[int, types.FrameType | None], None]:
    return lambda _number, _frame: answer()


class _Stations:
    """One station after the other: each new set of settings makes a new one. Main thread only."""

    def __init__(self, settings: Settings, load_again: Callable[[], Settings]) -> None:
        self._settings = settings
        self._load_again = load_again
        self._next: Settings | None = None
        self._leaving = threading.Event()
        self._watchdog = Watchdog()
        self.current = Station(settings, watchdog=self._watchdog)

    def shut_down(self) -> None:
        self._leaving.set()
        self.current.shut_down()

    def leave_when_idle(self) -> None:
        self._leaving.set()
        self.current.leave_when_idle()

    def look_for_new_settings(self) -> None:
        # Reading a file has no place in a signal handler.
        self.current.post(self._compare_settings)

    def _compare_settings(self) -> None:
        try:
            settings = self._load_again()
        except ConfigError as error:
            log.error(
                "the new settings are refused, the old ones stay",
                problem=error.problem,
                remedy=error.remedy,
            )
            return
        if settings == (self._next or self._settings):
            log.info("the settings are the same as before")
            return
        self._next = settings
        log.info("new settings are taken up as soon as nothing is being recorded")
        self.current.leave_when_idle()

    def next(self) -> bool:
        """After a station has ended: whether there is another one to run."""
        settings, self._next = self._next, None
        if settings is None or self._leaving.is_set():
            return False
        self._watchdog.reloading()
        self._settings = settings
        logs.set_up(settings.log, "station")
        log.info("new settings are taken up")
        self.current = Station(settings, watchdog=self._watchdog, view=self.current.view)
        if self._leaving.is_set():
            # The signal came while there was no station to tell.
            self.current.shut_down()
        return True
