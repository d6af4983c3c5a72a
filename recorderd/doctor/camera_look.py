"""A look of some seconds through the camera: of the running station, or in a child process.

A camera belongs to one program at a time. While the station runs, it is asked for live views and
its counters are read; else a child opens the camera, because a driver may hang or crash.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from recorderd.aim.live import LiveView, View
from recorderd.doctor.running_station import status_of_running
from recorderd.errors import DeviceError, parted
from recorderd.settings import Settings

LOOK_SECONDS = 4.0
LABEL_SECONDS = 20.0
"""So long a person gets to hold a label into the picture."""

CHILD_COMMAND = (sys.executable, "-m", "recorderd.doctor.camera_child")
OPENING_SECONDS = 12.0
"""What a camera may take until its first picture: several formats are tried in turn."""

_POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class CameraLook:
    """What was seen. `rate` is what the camera promised, the others were counted in `seconds`.

    `longest_gap_seconds` is None where only totals are known. `bytes_per_second` is what the
    camera sends, 0 if that is not known. `views` are the looks at single pictures, oldest first.
    """

    codec: str
    width: int
    height: int
    rate: float
    pixel_format: str
    pictures: int
    damaged: int
    seconds: float
    longest_gap_seconds: float | None
    bytes_per_second: float
    views: tuple[View, ...]

    @property
    def counted_rate(self) -> float:
        return self.pictures / self.seconds if self.seconds else 0.0


@dataclass(frozen=True, slots=True)
class LookRequest:
    """What the child is to do: look for `seconds`, longer until a label is read if one is
    awaited, but never longer than `most_seconds`."""

    settings: Settings
    seconds: float
    most_seconds: float


def look_through_camera(
    settings: Settings, *, through_station: bool, wait_for_label: bool
) -> CameraLook:
    """Look now; takes seconds. Raises DeviceError in words a technician understands."""
    most = LABEL_SECONDS if wait_for_label else LOOK_SECONDS
    if through_station:
        return _through_station(settings, most)
    return _in_child(LookRequest(settings, LOOK_SECONDS, most))


def shows_label(views: tuple[View, ...] | list[View]) -> bool:
    """Whether an order label was read in one of them."""
    return any(code.order is not None for view in views for code in view.codes)


def _through_station(settings: Settings, most_seconds: float) -> CameraLook:
    live = LiveView(settings.run_folder)
    first = status_of_running(settings)
    views: list[View] = []
    began = time.monotonic()
    while (passed := time.monotonic() - began) < most_seconds:
        if passed >= LOOK_SECONDS and shows_label(views):
            break
        view = live.look()
        if view is not None and (not views or view.monotonic_ns > views[-1].monotonic_ns):
            views.append(view)
        time.sleep(_POLL_SECONDS)
    last = status_of_running(settings)
    camera = last.get("camera")
    if not isinstance(camera, dict):
        raise _camera_fault(last)
    buffer = last.get("buffer") or {}
    held = buffer.get("pictures") or 0
    before, after = _counters(first), _counters(last)
    seconds = (last["monotonic_ns"] - first["monotonic_ns"]) / 1e9
    return CameraLook(
        codec=str(camera["codec"]),
        width=int(camera["width"]),
        height=int(camera["height"]),
        rate=float(camera["rate"]),
        pixel_format=str(camera["pixel_format"]),
        pictures=after[0] - before[0],
        damaged=after[1] - before[1],
        seconds=seconds,
        longest_gap_seconds=None,
        bytes_per_second=buffer["bytes"] / held * float(camera["rate"]) if held else 0.0,
        views=tuple(views),
    )


def _counters(status: Mapping[str, Any]) -> tuple[int, int]:
    counters = status.get("counters") or {}
    return int(counters.get("pictures", 0)), int(counters.get("damaged_pictures", 0))


def _camera_fault(status: Mapping[str, Any]) -> DeviceError:
    faults = status.get("faults") or {}
    problem, remedy = parted(str(faults.get("camera") or faults.get("engine") or ""))
    return DeviceError(
        problem or "The station has no picture from its camera yet",
        remedy or "Wait some seconds and run recorderd doctor again",
    )


def _in_child(request: LookRequest) -> CameraLook:
    ours, theirs = socket.socketpair()
    with Connection(ours.detach()) as connection:
        with theirs:
            child = subprocess.Popen(
                [*CHILD_COMMAND, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        try:
            connection.send(request)
            if not connection.poll(OPENING_SECONDS + request.most_seconds):
                raise DeviceError(
                    "The camera's driver does not answer",
                    "Unplug the camera and plug it in again; else restart the computer",
                )
            answer = connection.recv()
        except (EOFError, OSError) as error:
            raise DeviceError(
                "The program that looked through the camera has crashed",
                "Unplug the camera and plug it in again, and run recorderd doctor once more",
            ) from error
        finally:
            # A driver may hold it beyond reach of any signal; it is left behind then.
            child.kill()
            with suppress(subprocess.TimeoutExpired):
                child.wait(1)
    if isinstance(answer, CameraLook):
        return answer
    problem, remedy = answer
    raise DeviceError(problem, remedy)
