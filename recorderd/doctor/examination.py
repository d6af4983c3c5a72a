"""What all checks of one run of the doctor share."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

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
        self._look = look
        self._looking = threading.Lock()
        self._camera: CameraLook | RecorderdError | None = None
        self._mode: ChosenMode | RecorderdError | None = None
        self._panel: PanelHands | RecorderdError | None = None
        self.station = self.read_station()

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
        with self._looking:
            if self._camera is None:
                try:
                    self._camera = self._look(
                        self.settings,
                        through_station=self.status is not None,
                        wait_for_label=self.person is not None,
                    )
                except RecorderdError as error:
                    self._camera = error
        if isinstance(self._camera, RecorderdError):
            raise self._camera
        return self._camera

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
        look = self.camera
        with self._looking:
            if self._mode is None:
                try:
                    self._mode = choose_mode(self.settings.recording, look)
                except RecorderdError as error:
                    self._mode = error
        if isinstance(self._mode, RecorderdError):
            raise self._mode
        return self._mode

    @property
    def panel(self) -> PanelHands:
        """Lamps, buzzer and pedal, through the station or by ourselves. Main thread only.

        Raises DeviceError if they cannot be had.
        """
        if self._panel is None:
            try:
                self._panel = panel_hands(self.settings, self.status is not None)
            except RecorderdError as error:
                self._panel = error
        if isinstance(self._panel, RecorderdError):
            raise self._panel
        return self._panel

    def close(self) -> None:
        """Let go of lamps, buzzer and pedal."""
        if self._panel is not None and not isinstance(self._panel, RecorderdError):
            self._panel.close()
