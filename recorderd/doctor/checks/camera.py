"""Whether the camera of the settings is there, which one it is, and what it offers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from recorderd.config import without_password
from recorderd.doctor import v4l2
from recorderd.doctor.check import Finding, bad, good, warning
from recorderd.doctor.examination import Examination
from recorderd.doctor.holders import holders_of
from recorderd.engine.sources.v4l2 import device_of
from recorderd.engine.sources.v4l2_controls import offered
from recorderd.errors import DeviceError


class CameraCheck:
    name = "camera"
    limit_seconds = 5.0
    slow = False

    def look(self, examination: Examination, /) -> Finding:
        source = examination.settings.camera.source
        kind, _, rest = source.partition(":")
        match kind:
            case "v4l2":
                return _device(examination, rest)
            case "simulated":
                return warning(
                    "simulated: no real camera is looked through",
                    "Set camera.source when the camera is connected",
                )
            case "file":
                if not Path(rest).is_file():
                    return bad(
                        f"there is no video file {rest}",
                        "Check the path in camera.source",
                    )
                return warning(
                    f"the video file {rest} is played in its place",
                    "Set camera.source when the camera is connected",
                )
            case "command":
                return good(f"the command {rest}")
            case _:
                return good(f"the network camera {without_password(source)}")


def _controls(device: Path) -> Iterator[tuple[str, str]]:
    with suppress(OSError):
        for control, value in offered(device):
            yield "control", f"{control.name} = {value} ({control.range})"


def _device(examination: Examination, name: str) -> Finding:
    devices = examination.machine.root / "dev"
    try:
        device = device_of(name, devices)
    except DeviceError as error:
        return bad(error.problem, error.remedy)
    if not device.exists():
        others = [str(path) for path in sorted((devices / "v4l/by-id").glob("*-video-index0"))]
        connected = f"; connected: {', '.join(others)}" if others else "; no camera is connected"
        return bad(
            f"there is no {name}{connected}",
            f"Plug it in, or set camera.source to {'v4l2:' + others[0] if others else 'v4l2:auto'}",
        )
    try:
        camera = v4l2.look_at(device)
    except PermissionError:
        return bad(
            f"{device} may not be opened by this user",
            "Use sudo, or join the group 'video' and log in again",
        )
    except OSError as error:
        return bad(
            f"{device} is not a camera ({error.strerror})",
            "Set camera.source to v4l2:auto, or to a device below /dev/v4l/by-id",
        )
    lasting = v4l2.lasting_name(device, devices)
    held = [] if examination.status is not None else holders_of(device, examination.machine.root)
    facts = (
        ("device", f"{lasting} ({device.resolve().name})"),
        ("driver", f"{camera.driver}, {camera.bus}"),
        *(("format", offer) for offer in camera.offers),
        *_controls(device),
    )
    if held:
        return bad(
            f"{camera.card} is held by {' and '.join(map(str, held))}",
            "End that program: a camera shows its picture to one program only",
            *facts,
        )
    if not camera.offers:
        return bad(
            f"{camera.card} offers no pictures",
            "Take the device whose name ends in -video-index0",
            *facts,
        )
    if name == "auto":
        return warning(
            f"{camera.card}, found by v4l2:auto: with a second camera it may be another one",
            f'Write into [camera] of the settings: source = "v4l2:{lasting}"',
            *facts,
        )
    return good(f"{camera.card}, {lasting}", *facts)
