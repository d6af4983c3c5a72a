"""A station with a real catalogue and disk, but an engine and a panel made of paper."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TypeVar

import pytest

from recorderd.core.events import FaultCleared, HandScanned, PedalChanged
from recorderd.core.model import Fault, RecordingId
from recorderd.core.signals import Signal
from recorderd.engine.messages import (
    Captured,
    Command,
    Heartbeat,
    Hello,
    RecordingProgress,
    StreamOpened,
)
from recorderd.settings import PanelSettings, Settings, StationSettings, StorageSettings
from recorderd.station import station as station_module
from recorderd.station import storage_watch
from recorderd.station.engine_link import EngineGone, EngineStarted, LinkReport
from recorderd.station.station import Station
from recorderd.station.watchdog import Watchdog
from recorderd.store.reader import RecordingRow, find

STREAM = StreamOpened("mjpeg", 640, 480, 30.0, "yuvj420p", "defer", "", "a test asks for it")
_Asked = TypeVar("_Asked")


class PaperLink:
    """Takes the place of EngineLink: what is sent lies in `sent`, reports come from the test."""

    def __init__(
        self, hello: Hello, report: Callable[[LinkReport], None], *, inherited: Sequence[int] = ()
    ) -> None:
        self.report = report
        self.demoted: dict[str, str] = {}
        self.replaced_because: list[str] = []
        self.sent: queue.SimpleQueue[tuple[int, Command]] = queue.SimpleQueue()

    def start(self) -> None:
        """The test says when an engine has started."""

    def send(self, process_id: int, command: Command) -> None:
        self.sent.put((process_id, command))

    def demote(self, encoder: str, reason: str) -> None:
        self.demoted[encoder] = reason

    def replace_engine(self, reason: str) -> None:
        self.replaced_because.append(reason)

    def close(self) -> None:
        """Nothing runs."""


class PaperPanel:
    """Takes the place of the panel and remembers what it was to show."""

    def __init__(self) -> None:
        self.signals: list[tuple[float, Signal]] = []
        self._changed = threading.Condition()

    def show(self, signal: Signal) -> None:
        with self._changed:
            self.signals.append((time.monotonic(), signal))
            self._changed.notify_all()

    play = show

    def close(self) -> None:
        """Nothing to release."""

    def wait_for(self, signal: Signal, after: float = 0.0) -> float:
        """When it was shown first after that moment."""

        def seen() -> float | None:
            return next((at for at, shown in self.signals if shown is signal and at > after), None)

        with self._changed:
            self._changed.wait_for(lambda: seen() is not None, 10)
        at = seen()
        assert at is not None, f"no {signal}: {self.signals}"
        return at


class Told:
    """What the service manager was told."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self._changed = threading.Condition()

    def __call__(self, word: str) -> None:
        with self._changed:
            self.words.append(word)
            self._changed.notify_all()

    def wait_for(self, beginning: str) -> None:
        """Until something that begins like this was said."""
        with self._changed:
            assert self._changed.wait_for(
                lambda: any(word.startswith(beginning) for word in self.words), 10
            ), self.words


def settings_in(folder: Path) -> Settings:
    return Settings(
        station=StationSettings(state_folder=str(folder / "state"), run_folder=str(folder / "run")),
        panel=PanelSettings(driver="none"),
        storage=StorageSettings(minimum_free_gigabytes=0.05, reserve_megabytes=16),
    )


class Bench:
    """Runs a station on a thread and plays its engine; leave the block to end it."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.settings = settings_in(folder)
        self.panel = PaperPanel()
        self.told = Told()
        monkeypatch.setattr(station_module, "EngineLink", PaperLink)
        monkeypatch.setattr(storage_watch, "PERIOD_SECONDS", 0.05)
        monkeypatch.setattr(station_module, "open_panel", lambda *_: self.panel)
        self.station = Station(self.settings, watchdog=Watchdog(self.told))
        link = self.station._link
        assert isinstance(link, PaperLink)
        self.link = link
        self.crash: BaseException | None = None
        self._engine = 100
        self._thread = threading.Thread(target=self._run, name="station")

    def __enter__(self) -> Bench:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.station.shut_down()
        self._thread.join(1)
        if self._thread.is_alive():  # recordings are open that nobody will close
            self.station.post(self._end)
            self._thread.join(20)

    def _end(self) -> None:
        self.station._ended = True

    def _run(self) -> None:
        try:
            self.station.run()
        except BaseException as error:
            self.crash = error

    def start_engine(self) -> None:
        self._engine += 1
        self.link.report(EngineStarted(self._engine))
        self.link.report(STREAM)
        self.link.report(FaultCleared(Fault.CAMERA))
        self.beat()

    def lose_engine(self) -> None:
        self.link.report(EngineGone("a test ended it"))

    def beat(self, *recordings: RecordingProgress) -> None:
        self.link.report(Heartbeat(time.monotonic_ns(), 0, 0, 0, 0, 0.0, 0, recordings))

    def scan(self, order_id: str) -> None:
        self.station.post(HandScanned(order_id))

    def press(self) -> None:
        """A short press of the pedal, long enough for its debouncing."""
        self.station.post(PedalChanged(True))
        assert not threading.Event().wait(0.06)
        self.station.post(PedalChanged(False))
        assert not threading.Event().wait(0.06)

    def asked(self, kind: type[_Asked]) -> _Asked:
        """The next command to the engine, which must be of this kind."""
        process_id, command = self.link.sent.get(timeout=10)
        assert isinstance(command, kind), command
        assert process_id == self._engine
        return command

    def captured(self, recording_id: RecordingId, *, recovered: bool = False) -> None:
        self.link.report(
            Captured(
                recording_id=recording_id,
                bytes=1000,
                frames=30,
                dropped=0,
                first_ns=time.monotonic_ns() - 1_000_000_000,
                duration_ns=1_000_000_000,
                codec="mjpeg",
                encoder="",
                mode="defer",
                width=640,
                height=480,
                recovered=recovered,
            )
        )

    def wait_for_row(self, state: str) -> None:
        """Until the one row of the catalogue has come to this state."""
        deadline = time.monotonic() + 10
        while [row.state for row in self.rows()] != [state]:
            assert time.monotonic() < deadline, self.rows()
            time.sleep(0.02)

    def wait_until(self, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 10
        while not holds():
            assert time.monotonic() < deadline, self.rows()
            time.sleep(0.02)

    def rows(self) -> list[RecordingRow]:
        return sorted(find(self.settings.database_url, "", 100), key=lambda row: row.id)
