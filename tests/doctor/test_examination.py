"""What is costly is found out once, whatever comes of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from recorderd.doctor.camera_look import CameraLook
from recorderd.doctor.examination import Examination
from recorderd.errors import DeviceError
from tests.doctor.stations import LOOK, loaded_in


@pytest.mark.parametrize("error", [None, DeviceError("It is gone", "Plug it in")])
def test_the_camera_is_looked_through_once(error: DeviceError | None, tmp_path: Path) -> None:
    looks = []

    def look(*_: object, **__: object) -> CameraLook:
        looks.append(error)
        if error is not None:
            raise error
        return LOOK

    subject = Examination(loaded_in(tmp_path), look=look)
    for _ in range(2):
        if error is None:
            assert subject.camera is LOOK
        else:
            with pytest.raises(DeviceError, match="It is gone"):
                _ = subject.camera
        assert subject.has_picture is (error is None)
    assert len(looks) == 1
