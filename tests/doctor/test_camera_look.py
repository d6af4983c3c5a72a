"""Looking through a camera: in a child process, and through the running station."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import pytest

from recorderd.aim.live import LiveOutlet, LiveView
from recorderd.doctor import camera_look
from recorderd.doctor.camera_look import look_through_camera
from recorderd.errors import DeviceError
from tests.doctor.stations import VIEW, loaded_in, publish

SMALL = '[camera]\nsource = "simulated"\nwidth = 640\nheight = 360\nrate = 15\n'


def test_a_child_opens_the_camera_and_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(camera_look, "LOOK_SECONDS", 1.5)
    settings = loaded_in(tmp_path, SMALL).settings
    look = look_through_camera(settings, through_station=False, wait_for_label=False)
    assert (look.width, look.height, look.codec) == (640, 360, "mjpeg")
    assert look.counted_rate == pytest.approx(15, rel=0.25)
    assert look.bytes_per_second > 10_000
    assert look.views
    assert look.views[0].jpeg.startswith(b"\xff\xd8")


def test_what_is_wrong_comes_back_in_words(tmp_path: Path) -> None:
    settings = loaded_in(tmp_path, '[camera]\nsource = "file:/nowhere.mp4"\n').settings
    with pytest.raises(DeviceError) as caught:
        look_through_camera(settings, through_station=False, wait_for_label=False)
    assert caught.value.problem == "There is no video file /nowhere.mp4"
    assert "camera.source" in caught.value.remedy


@pytest.mark.parametrize(
    ("child", "patience", "said"),
    [
        ("import os; os.abort()", 30.0, "has crashed"),
        ("import time; time.sleep(60)", 0.3, "driver does not answer"),
    ],
)
def test_a_driver_that_crashes_or_hangs(
    child: str, patience: float, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(camera_look, "CHILD_COMMAND", (sys.executable, "-c", child))
    monkeypatch.setattr(camera_look, "OPENING_SECONDS", patience)
    monkeypatch.setattr(camera_look, "LOOK_SECONDS", 0.1)
    with pytest.raises(DeviceError, match=said):
        look_through_camera(
            loaded_in(tmp_path).settings, through_station=False, wait_for_label=False
        )


def test_the_running_station_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(camera_look, "LOOK_SECONDS", 0.5)
    loaded = loaded_in(tmp_path)
    camera = {
        "codec": "h264",
        "width": 1920,
        "height": 1080,
        "rate": 30.0,
        "pixel_format": "yuv420p",
    }
    publish(
        loaded,
        camera=camera,
        buffer={"pictures": 10, "bytes": 500_000},
        counters={"pictures": 5},
    )
    outlet = LiveOutlet(loaded.settings.run_folder, clock=lambda: VIEW.monotonic_ns)
    outlet.open()
    outlet.publish(VIEW)
    then = partial(LiveView, clock=lambda: VIEW.monotonic_ns)
    monkeypatch.setattr(camera_look, "LiveView", then)
    look = look_through_camera(loaded.settings, through_station=True, wait_for_label=False)
    assert look.views == (VIEW,)
    assert look.bytes_per_second == 1_500_000


def test_a_camera_fault_of_the_station_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(camera_look, "LOOK_SECONDS", 0.1)
    loaded = loaded_in(tmp_path)
    publish(loaded, camera=None, faults={"camera": "The camera was unplugged. Plug it in again."})
    LiveOutlet(loaded.settings.run_folder).open()
    with pytest.raises(DeviceError) as caught:
        look_through_camera(loaded.settings, through_station=True, wait_for_label=False)
    assert caught.value.problem == "The camera was unplugged"
    assert caught.value.remedy == "Plug it in again"
