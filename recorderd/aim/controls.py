"""`recorderd aim --controls`: what the camera lets one set, and how it stands now."""

from __future__ import annotations

from recorderd.engine.sources import v4l2_controls
from recorderd.engine.sources.v4l2 import device_of
from recorderd.errors import DeviceError
from recorderd.settings import Settings
from recorderd.terminal import escaped


def run_controls(settings: Settings) -> int:
    """Print them as lines for [camera.controls]. Returns 0. Raises DeviceError."""
    kind, _, device = settings.camera.source.partition(":")
    if kind != "v4l2":
        raise DeviceError(
            "Only a v4l2 camera has controls that can be set here",
            "Set focus and exposure on the camera's own page, or in the command of camera.source",
        )
    path = device_of(device)
    try:
        listed = v4l2_controls.offered(path)
    except OSError as error:
        raise DeviceError(
            f"The camera {path} cannot be asked for its controls ({error.strerror})",
            "Check that it is plugged in, and use sudo or an account of the group 'video'",
        ) from error
    print(
        f"# {escaped(str(path))}: write what shall be set below [camera.controls] in the settings"
    )
    width = max((len(control.name) for control, _ in listed), default=0)
    for control, now in listed:
        value = control.default if now is None else now
        print(f"{control.name:<{width}} = {value}  # {escaped(control.range)}")
    return 0
