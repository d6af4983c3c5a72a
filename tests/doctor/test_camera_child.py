"""What a look through the camera counts, and when it ends."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from recorderd.core.model import nanoseconds
from recorderd.doctor import camera_child
from recorderd.doctor.camera_look import CameraLook, LookRequest
from recorderd.engine.packets import SourcePacket
from recorderd.errors import DeviceError
from recorderd.settings import Settings
from tests.doctor.stations import loaded_in
from tests.engine.pictures import FakeSource, jpeg

SMALL = '[camera]\nsource = "simulated"\nwidth = 640\nheight = 360\nrate = 30\n'
BEGAN_NS = time.monotonic_ns() - nanoseconds(60)


class Looking(camera_child.Look):
    """Lets the camera go on when its pictures count."""

    def __init__(self, settings: Settings, goes_on: threading.Event) -> None:
        super().__init__(settings)
        self._goes_on = goes_on

    def _look_on(self, request: LookRequest) -> None:
        self._goes_on.set()
        super()._look_on(request)


def picture(seconds: float, *, damaged: bool = False) -> SourcePacket:
    moment = BEGAN_NS + nanoseconds(seconds)
    return SourcePacket(b"" if damaged else jpeg(round(seconds * 100)), moment, moment, True)


def looked(
    folder: Path, monkeypatch: pytest.MonkeyPatch, *further: SourcePacket | DeviceError
) -> CameraLook:
    """At a camera that begins with two pictures in pieces and a long wait; then comes this."""
    goes_on = threading.Event()

    def first() -> SourcePacket:
        goes_on.wait(20)
        return picture(10.04)

    opening = (picture(0, damaged=True), picture(0.04, damaged=True), picture(10), first)
    source = FakeSource([*opening, *further])
    monkeypatch.setattr(camera_child, "make_source", lambda *_: source)
    settings = loaded_in(folder, SMALL).settings
    return Looking(settings, goes_on).run(LookRequest(settings, 20.0, 20.0))


def test_what_came_while_it_was_opened_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = looked(tmp_path, monkeypatch, picture(10.08, damaged=True), picture(10.24))
    assert (look.pictures, look.damaged) == (2, 1)
    assert look.longest_gap_seconds == pytest.approx(0.16)


def test_a_camera_that_is_lost_is_told_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = time.monotonic()
    with pytest.raises(DeviceError) as caught:
        looked(tmp_path, monkeypatch, DeviceError("It is gone", "Plug it in"))
    assert (caught.value.problem, caught.value.remedy) == ("It is gone", "Plug it in")
    assert time.monotonic() - began < 15
