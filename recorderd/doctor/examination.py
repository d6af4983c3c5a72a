"""What all checks of one run of the doctor share."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

from recorderd.config import LoadedSettings
from recorderd.core.state import Phase
from recorderd.doctor.camera_look import CameraLook, look_through_camera
from recorderd.doctor.machine import Machine
from recorderd.doctor.mode_trial import ChosenMode, choose_mode
from recorderd.doctor.panel import PanelHands, panel_hands
from recorderd.doctor.person import Person
from recorderd.errors import DeviceError, RecorderdError
from recorderd.status import NotRunning, status_now

NO_PICTURE: Final = "the camera gives no picture"
"""What checks of the picture say then: one cause is told once."""


T = TypeVar("T")


class _Once(Generic[T]):
    """What is costly to find out, or why it cannot be: found out by the first who asks."""

    def __init__(self, find: Callable[[], T]) -> None:
        self._find = find
        self._finding = threading.Lock()
        self._outcome: T | RecorderdError | None = None

    def get(self) -> T:
        """Whoever comes second waits for the first. Raises the same error each time."""
        with self._finding:
            if self._outcome is None:
                try:
                    self._outcome = self._find()
                except RecorderdError as error:
                    self._outcome = error
            if isinstance(self._outcome, RecorderdError):
                raise self._outcome
            return self._outcome

    @property
    def found(self) -> T | None:
        """What was found so far; None if nobody has asked, or it could not be."""
        return None if isinstance(self._outcome, RecorderdError) else self._outcome


class Examination:
    """The station that is looked at. Any thread may ask; what is costly is found out once.

    `person` is None if nobody is there to look, listen and press.
    """

    def __init__(
        self,
        loaded: LoadedSettings,
        *,
        person: Person | None = None,
        machine: Machine | None = None,
        look: Callable[..., CameraLook] = look_through_camera,
    ) -> None:
        self.loaded = loaded
        self.settings = loaded.settings
        self.person = person
        self.machine = machine or Machine()
        self.station = self.read_station()
        self._camera = _Once(
            lambda: look(
                self.settings,
                through_station=self.status is not None,
                wait_for_label=self.person is not None,
            )
        )
        self._mode = _Once(lambda: choose_mode(self.settings.recording, self.camera))
        self._panel = _Once(lambda: panel_hands(self.settings, self.status is not None))

    def read_station(self) -> Mapping[str, Any] | NotRunning:
        """What the station says about itself at this moment."""
        return status_now(self.settings)

    @property
    def status(self) -> Mapping[str, Any] | None:
        """What the running station said when the examination began; None if none ran."""
        return None if isinstance(self.station, NotRunning) else self.station

    @property
    def at_work(self) -> bool:
        """Whether an order is at hand: nothing may disturb it."""
        now = self.read_station()
        return not isinstance(now, NotRunning) and now.get("phase") != Phase.READY

    @property
    def camera(self) -> CameraLook:
        """A look through the camera of some seconds. Raises DeviceError if there is none."""
        return self._camera.get()

    @property
    def has_picture(self) -> bool:
        """Whether the camera shows anything; looks if nobody has yet. Never raises."""
        try:
            return self.camera.pictures > 0
        except RecorderdError:
            return False

    @property
    def footage_place(self) -> Path:
        """The footage folder, or the nearest folder above it while that is not made yet."""
        folder = self.settings.footage_folder
        return next(path for path in (folder, *folder.parents) if path.is_dir())

    @property
    def free_bytes(self) -> int:
        """What an ordinary user may still write there. Raises OSError."""
        status = os.statvfs(self.footage_place)
        return status.f_bavail * status.f_frsize

    @property
    def mode(self) -> ChosenMode:
        """How recordings are made: what the station chose, or would choose.

        Raises DeviceError if that cannot be said.
        """
        if self.status is not None:
            chosen = self.status.get("mode") or {}
            if not chosen:
                raise DeviceError(
                    "The station has not chosen a mode yet: it has no camera",
                    "Look after the camera first",
                )
            return ChosenMode(str(chosen.get("mode")), str(chosen.get("reason")))
        return self._mode.get()

    @property
    def panel(self) -> PanelHands:
        """Lamps, buzzer and pedal, through the station or by ourselves. Main thread only.

        Raises DeviceError if they cannot be had.
        """
        return self._panel.get()

    def close(self) -> None:
        """Let go of lamps, buzzer and pedal."""
        hands = self._panel.found
        if hands is not None:
            hands.close()
