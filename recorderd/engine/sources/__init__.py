"""Cameras and what stands in for them."""

from __future__ import annotations

from pathlib import Path

from recorderd.core.model import Nanoseconds
from recorderd.engine.packets import Source
from recorderd.errors import DeviceError
from recorderd.settings import CameraSettings


def make_source(camera: CameraSettings, started_ns: Nanoseconds) -> Source:
    """The source that `camera.source` names, not yet opened.

    `started_ns` is when the station began: the simulated bench plays from then on.
    Each kind is imported only when it is used. Raises DeviceError for an unknown kind.
    """
    kind, _, rest = camera.source.partition(":")
    match kind:
        case "simulated":
            from recorderd.engine.sources.simulated import SimulatedSource

            return SimulatedSource(camera, started_ns)
        case "v4l2":
            from recorderd.engine.sources.v4l2 import V4l2Source

            return V4l2Source(camera, rest)
        case "rtsp" | "rtsps":
            from recorderd.engine.sources.rtsp import RtspSource

            return RtspSource(camera)
        case "command":
            from recorderd.engine.sources.command import CommandSource

            return CommandSource(camera, rest)
        case "file":
            from recorderd.engine.sources.file import FileSource

            return FileSource(Path(rest), loop=camera.loop)
        case _:
            raise DeviceError(
                f"There is no kind of camera {kind!r}",
                "Set camera.source to v4l2:..., rtsp://..., command:..., file:... or simulated",
            )
