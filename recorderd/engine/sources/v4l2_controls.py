"""A camera's own knobs: focus, exposure, white balance, mains frequency.

They are called as `v4l2-ctl --list-ctrls` calls them: the kernel's name in small letters, with one
`_` for whatever is neither a letter nor a digit. Numbers and layouts are those of the kernel's
include/uapi/linux/videodev2.h and asm-generic/ioctl.h, on 64 bits.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

from recorderd.engine.sources.v4l2_ioctl import READ, WRITE, opened, request

Ioctl: TypeAlias = Callable[[int, int, Any], object]
"""fcntl.ioctl: changes the structure in place. Raises OSError."""

_INTEGER, _BOOLEAN, _MENU, _INTEGER_MENU = 1, 2, 3, 9
_SETTABLE: Final = frozenset({_INTEGER, _BOOLEAN, _MENU, _INTEGER_MENU})
_DISABLED, _GRABBED, _READ_ONLY, _INACTIVE = 0x1, 0x2, 0x4, 0x10
_NEXT: Final = 0x80000000
_MOST_CONTROLS: Final = 500
_MOST_CHOICES: Final = 64


class _QueryControl(ctypes.Structure):
    _fields_ = (
        ("id", ctypes.c_uint32),
        ("type", ctypes.c_uint32),
        ("name", ctypes.c_char * 32),
        ("minimum", ctypes.c_int32),
        ("maximum", ctypes.c_int32),
        ("step", ctypes.c_int32),
        ("default_value", ctypes.c_int32),
        ("flags", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32 * 2),
    )


class _MenuContent(ctypes.Union):
    _pack_ = 1
    _fields_ = (("name", ctypes.c_char * 32), ("value", ctypes.c_int64))


class _QueryMenu(ctypes.Structure):
    _pack_ = 1
    _fields_ = (
        ("id", ctypes.c_uint32),
        ("index", ctypes.c_uint32),
        ("content", _MenuContent),
        ("reserved", ctypes.c_uint32),
    )


class _Value(ctypes.Union):
    _pack_ = 1
    _fields_ = (("value", ctypes.c_int32), ("value64", ctypes.c_int64))


class _ExtendedControl(ctypes.Structure):
    _pack_ = 1
    _fields_ = (
        ("id", ctypes.c_uint32),
        ("size", ctypes.c_uint32),
        ("reserved2", ctypes.c_uint32),
        ("content", _Value),
    )


class _ExtendedControls(ctypes.Structure):
    _fields_ = (
        ("which", ctypes.c_uint32),
        ("count", ctypes.c_uint32),
        ("error_idx", ctypes.c_uint32),
        ("request_fd", ctypes.c_int32),
        ("reserved", ctypes.c_uint32),
        ("controls", ctypes.POINTER(_ExtendedControl)),
    )


def _read_and_write(number: int, structure: type[ctypes.Structure]) -> int:
    return request(READ | WRITE, number, ctypes.sizeof(structure))


QUERY_CONTROL: Final = _read_and_write(36, _QueryControl)
QUERY_MENU: Final = _read_and_write(37, _QueryMenu)
GET_CONTROLS: Final = _read_and_write(71, _ExtendedControls)
SET_CONTROLS: Final = _read_and_write(72, _ExtendedControls)


@dataclass(frozen=True, slots=True)
class Control:
    """One knob. `choices` are the numbers it takes and what they mean, if it is a menu."""

    id: int
    name: str
    type: int
    minimum: int
    maximum: int
    step: int
    default: int
    choices: tuple[tuple[int, str], ...] = ()

    @property
    def range(self) -> str:
        """What may be written into the settings."""
        if self.type == _BOOLEAN:
            return "0 (off) or 1 (on)"
        if self.choices:
            return ", ".join(f"{number} ({meaning})" for number, meaning in self.choices)
        steps = f" in steps of {self.step}" if self.step > 1 else ""
        return f"{self.minimum} to {self.maximum}{steps}"

    def takes(self, value: int) -> bool:
        if self.choices:
            return any(value == number for number, _ in self.choices)
        fits = self.minimum <= value <= self.maximum
        return fits and (value - self.minimum) % max(1, self.step) == 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the wish for one control; `problem` is empty if it is as was wished."""

    name: str
    value: int
    problem: str = ""


def apply(
    device: Path, wanted: Sequence[tuple[str, int]], ioctl: Ioctl = fcntl.ioctl
) -> tuple[Outcome, ...]:
    """Set these controls one after the other; what does not go is said, and the next one is tried.

    May be called while another handle of the device delivers pictures. Never raises OSError.
    """
    if not wanted:
        return ()
    try:
        with opened(device) as camera:
            known = {control.name: control for control in _controls(camera, ioctl)}
            return tuple(
                Outcome(name, value, _set(camera, ioctl, known, name, value))
                for name, value in wanted
            )
    except OSError as error:
        problem = f"the camera cannot be asked for its controls ({error.strerror})"
        return tuple(Outcome(name, value, problem) for name, value in wanted)


def offered(device: Path, ioctl: Ioctl = fcntl.ioctl) -> tuple[tuple[Control, int | None], ...]:
    """What this camera lets one set, and how each stands now. Raises OSError."""
    with opened(device) as camera:
        return tuple(
            (control, _current(camera, ioctl, control)) for control in _controls(camera, ioctl)
        )


def _controls(camera: int, ioctl: Ioctl) -> Iterator[Control]:
    """Each asks for the next one: the kernel answers with EINVAL after the last."""
    number = 0
    for _ in range(_MOST_CONTROLS):
        query = _QueryControl(id=number | _NEXT)
        try:
            ioctl(camera, QUERY_CONTROL, query)
        except OSError as error:
            if error.errno == errno.EINVAL:
                return
            raise
        number = query.id
        if query.type in _SETTABLE and not query.flags & (_DISABLED | _READ_ONLY):
            yield _described(camera, ioctl, query)


def _described(camera: int, ioctl: Ioctl, query: _QueryControl) -> Control:
    choices: tuple[tuple[int, str], ...] = ()
    if query.type in {_MENU, _INTEGER_MENU}:
        choices = tuple(_choices(camera, ioctl, query))
    return Control(
        id=query.id,
        name=setting_name(query.name.decode("ascii", "replace")),
        type=query.type,
        minimum=query.minimum,
        maximum=query.maximum,
        step=query.step,
        default=query.default_value,
        choices=choices,
    )


def _choices(camera: int, ioctl: Ioctl, query: _QueryControl) -> Iterator[tuple[int, str]]:
    last = min(query.maximum, query.minimum + _MOST_CHOICES)
    for number in range(max(0, query.minimum), last + 1):
        menu = _QueryMenu(id=query.id, index=number)
        with suppress(OSError):  # Menus have gaps.
            ioctl(camera, QUERY_MENU, menu)
            is_text = query.type == _MENU
            name = menu.content.name.decode("ascii", "replace") if is_text else ""
            yield number, name if is_text else str(menu.content.value)


def setting_name(kernel_name: str) -> str:
    """ "Focus, Automatic Continuous" is focus_automatic_continuous."""
    return re.sub(r"[^a-z0-9]+", "_", kernel_name.lower()).strip("_")


def _set(camera: int, ioctl: Ioctl, known: dict[str, Control], name: str, value: int) -> str:
    """What went wrong; empty if nothing did."""
    control = known.get(name)
    if control is None:
        offer = ", ".join(sorted(known)) or "none at all"
        return f"this camera has no control of that name; it offers {offer}"
    if not control.takes(value):
        return f"{value} is not possible; this camera takes {control.range}"
    try:
        flags = _flags(camera, ioctl, control)
        if flags & _INACTIVE:
            return (
                "it has no effect now: the automatic that governs it has to be switched off by a "
                "line before this one"
            )
        if flags & _GRABBED:
            return "another program holds it"
        _exchange(camera, ioctl, SET_CONTROLS, control, value)
        now = _current(camera, ioctl, control)
    except OSError as error:
        return f"the camera refuses {value} ({error.strerror})"
    return "" if now in {value, None} else f"the camera made {now} of it"


def _flags(camera: int, ioctl: Ioctl, control: Control) -> int:
    query = _QueryControl(id=control.id)
    ioctl(camera, QUERY_CONTROL, query)
    return int(query.flags)


def _current(camera: int, ioctl: Ioctl, control: Control) -> int | None:
    with suppress(OSError):
        return _exchange(camera, ioctl, GET_CONTROLS, control, 0)
    return None


def _exchange(camera: int, ioctl: Ioctl, request: int, control: Control, value: int) -> int:
    one = _ExtendedControl(id=control.id)
    one.content.value = value
    ioctl(camera, request, _ExtendedControls(count=1, controls=ctypes.pointer(one)))
    return int(one.content.value)
