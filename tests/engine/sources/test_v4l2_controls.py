"""A camera's controls, with a kernel that the test plays: there is no camera here."""

from __future__ import annotations

import ctypes
import errno
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from recorderd.engine.sources import v4l2_controls
from recorderd.engine.sources.v4l2_controls import (
    GET_CONTROLS,
    QUERY_CONTROL,
    QUERY_MENU,
    SET_CONTROLS,
    apply,
    offered,
    setting_name,
)

INTEGER, BOOLEAN, MENU, BUTTON, INTEGER_MENU = 1, 2, 3, 4, 9
INACTIVE = 0x10
NEXT = 0x80000000
FOCUS_AUTO, FOCUS, MAINS, EXPOSURE, RATE, RESET, CLASS = 12, 11, 3, 5, 6, 7, 1


@dataclass
class Knob:
    name: str
    type: int
    minimum: int = 0
    maximum: int = 1
    step: int = 1
    value: int = 0
    flags: int = 0
    menu: dict[int, str | int] = field(default_factory=dict)


class Camera:
    """What uvcvideo answers; focus is moved by hand only while the automatic is off."""

    def __init__(self) -> None:
        self.knobs = {
            CLASS: Knob("User Controls", 6),
            MAINS: Knob(
                "Power Line Frequency", MENU, 0, 2, menu={0: "Disabled", 1: "50 Hz", 2: "60 Hz"}
            ),
            EXPOSURE: Knob("Auto Exposure", MENU, 0, 3, menu={1: "Manual Mode", 3: "Priority"}),
            RATE: Knob("Link Frequency", INTEGER_MENU, 0, 1, menu={0: 445_000_000, 1: 10**12}),
            RESET: Knob("Reset", BUTTON),
            FOCUS: Knob("Focus, Absolute", INTEGER, 0, 250, 5, 100),
            FOCUS_AUTO: Knob("Focus, Automatic Continuous", BOOLEAN, value=1),
        }
        self.refuses: dict[int, int] = {}
        self.clamps: dict[int, int] = {}

    def __call__(self, _descriptor: int, request: int, structure: Any) -> int:
        self.knobs[FOCUS].flags = INACTIVE if self.knobs[FOCUS_AUTO].value else 0
        if request == QUERY_CONTROL:
            self._query(structure)
        elif request == QUERY_MENU:
            entry = self.knobs[structure.id].menu.get(structure.index)
            if entry is None:
                raise OSError(errno.EINVAL, "Invalid argument")
            if isinstance(entry, int):
                structure.content.value = entry
            else:
                structure.content.name = entry.encode()
        else:
            assert request in {GET_CONTROLS, SET_CONTROLS}
            assert structure.count == 1
            one = structure.controls[0]
            if request == SET_CONTROLS:
                if one.id in self.refuses:
                    raise OSError(self.refuses[one.id], "Input/output error")
                self.knobs[one.id].value = self.clamps.get(one.id, one.content.value)
            one.content.value = self.knobs[one.id].value
        return 0

    def _query(self, structure: Any) -> None:
        number = structure.id & ~NEXT
        if structure.id & NEXT:
            later = [each for each in sorted(self.knobs) if each > number]
            number = later[0] if later else -1
        if number not in self.knobs:
            raise OSError(errno.EINVAL, "Invalid argument")
        knob = self.knobs[number]
        structure.id, structure.type, structure.flags = number, knob.type, knob.flags
        structure.name = knob.name.encode()
        structure.minimum, structure.maximum = knob.minimum, knob.maximum
        structure.step, structure.default_value = knob.step, knob.value


@pytest.fixture
def device(tmp_path: Path) -> Path:
    path = tmp_path / "video0"
    path.touch()
    return path


def problem_of(device: Path, camera: Camera, name: str, value: int) -> str:
    (outcome,) = apply(device, [(name, value)], camera)
    assert (outcome.name, outcome.value) == (name, value)
    return outcome.problem


def test_the_numbers_are_the_kernels() -> None:
    """As strace(1) shows them on 64 bits."""
    assert (QUERY_CONTROL, QUERY_MENU) == (0xC0445624, 0xC02C5625)
    assert (GET_CONTROLS, SET_CONTROLS) == (0xC0205647, 0xC0205648)
    assert ctypes.sizeof(v4l2_controls._ExtendedControl) == 20


def test_set_in_the_order_that_was_written(device: Path) -> None:
    camera = Camera()
    wanted = [
        ("focus_automatic_continuous", 0),
        ("focus_absolute", 40),
        ("power_line_frequency", 1),
    ]
    assert all(not outcome.problem for outcome in apply(device, wanted, camera))
    assert camera.knobs[FOCUS_AUTO].value == 0
    assert camera.knobs[FOCUS].value == 40
    assert camera.knobs[MAINS].value == 1


def test_a_focus_that_the_automatic_holds(device: Path) -> None:
    camera = Camera()
    assert "automatic" in problem_of(device, camera, "focus_absolute", 40)
    assert camera.knobs[FOCUS].value == 100


def test_an_unknown_name_tells_what_there_is(device: Path) -> None:
    problem = problem_of(device, Camera(), "focus_abs", 40)
    assert "focus_absolute" in problem
    assert "power_line_frequency" in problem
    assert "user_controls" not in problem
    assert "reset" not in problem


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("focus_automatic_continuous", 7, "0 (off) or 1 (on)"),
        ("power_line_frequency", 9, "0 (Disabled), 1 (50 Hz), 2 (60 Hz)"),
        ("auto_exposure", 0, "1 (Manual Mode), 3 (Priority)"),
        ("focus_absolute", 251, "0 to 250 in steps of 5"),
        ("focus_absolute", 41, "0 to 250 in steps of 5"),
        ("focus_absolute", -(10**12), "0 to 250 in steps of 5"),
        ("link_frequency", 2, "0 (445000000), 1 (1000000000000)"),
    ],
)
def test_a_wrong_value_tells_the_right_ones(device: Path, name: str, value: int, said: str) -> None:
    assert said in problem_of(device, Camera(), name, value)


def test_what_the_camera_refuses_or_changes_is_said_and_the_rest_is_set(device: Path) -> None:
    camera = Camera()
    camera.refuses = {MAINS: errno.EIO}
    camera.clamps = {FOCUS: 50}
    wanted = [
        ("power_line_frequency", 1),
        ("focus_automatic_continuous", 0),
        ("focus_absolute", 60),
    ]
    refused, done, changed = apply(device, wanted, camera)
    assert "refuses 1 (Input/output error)" in refused.problem
    assert not done.problem
    assert changed.problem == "the camera made 50 of it"


def test_a_device_that_is_gone_or_is_no_camera_stops_nothing(device: Path, tmp_path: Path) -> None:
    (outcome,) = apply(tmp_path / "none", [("focus_absolute", 1)])
    assert "No such file" in outcome.problem
    (outcome,) = apply(device, [("focus_absolute", 1)])  # the real ioctl, on a plain file
    assert "cannot be asked" in outcome.problem
    assert apply(device, []) == ()


def test_what_is_offered(device: Path) -> None:
    listed = {control.name: (control.range, now) for control, now in offered(device, Camera())}
    assert listed["focus_absolute"] == ("0 to 250 in steps of 5", 100)
    assert listed["focus_automatic_continuous"] == ("0 (off) or 1 (on)", 1)


@pytest.mark.parametrize(
    ("kernel", "ours"),
    [
        ("White Balance, Automatic", "white_balance_automatic"),
        ("Exposure Time, Absolute", "exposure_time_absolute"),
        ("  Zoom (Digital)  ", "zoom_digital"),
    ],
)
def test_names_are_those_of_v4l2_ctl(kernel: str, ours: str) -> None:
    assert setting_name(kernel) == ours
