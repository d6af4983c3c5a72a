from __future__ import annotations

import subprocess
import sys

import pytest

from recorderd.engine.sources import make_source
from recorderd.errors import DeviceError
from recorderd.settings import CameraSettings


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("simulated", "SimulatedSource"),
        ("v4l2:auto", "V4l2Source"),
        ("v4l2:/dev/video0", "V4l2Source"),
        ("rtsp://10.0.0.5/live", "RtspSource"),
        ("rtsps://10.0.0.5/live", "RtspSource"),
        ("command:rpicam-vid --codec mjpeg -o -", "CommandSource"),
        ("file:bench.mp4", "FileSource"),
    ],
)
def test_each_kind_is_made(source: str, kind: str) -> None:
    made = make_source(CameraSettings(source=source), 0)
    assert type(made).__name__ == kind
    made.close()


def test_unknown_kind_is_refused() -> None:
    with pytest.raises(DeviceError, match="no kind of camera"):
        make_source(CameraSettings(source="webcam"), 0)


def test_kinds_are_imported_only_when_used() -> None:
    check = "import sys, recorderd.engine.sources; sys.exit('av' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
