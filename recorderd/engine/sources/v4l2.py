"""USB and other cameras behind Linux' V4L2, read through FFmpeg's libavdevice.

FFmpeg waits without limit for a picture from a camera that hangs. The device is therefore
opened non-blocking: AVFMT_FLAG_NONBLOCK must be set before opening, and since `fflags` has
no word for it, by its number (4, avformat.h; measured: open(2) then gets O_NONBLOCK). A
camera without a picture answers EAGAIN, and the waiting is ours and can be ended.
"""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import av.error
import structlog

from recorderd.core.model import Nanoseconds
from recorderd.engine.packets import SourcePacket, StreamDescription
from recorderd.engine.sources import demux, v4l2_controls
from recorderd.engine.sources.missed_pictures import MissedPictures
from recorderd.engine.sources.stream_clock import ArrivalClock, KernelClock, StreamClock
from recorderd.errors import DeviceError
from recorderd.settings import CameraSettings

AUTOMATIC_FORMATS = ("h264", "mjpeg", "nv12", "yuyv")
_FFMPEG_NAMES = {
    "h264": "h264",
    "hevc": "hevc",
    "mjpeg": "mjpeg",
    "nv12": "nv12",
    "yuyv": "yuyv422",
}
_NON_BLOCKING = "+4"
_POLL_SECONDS = 0.004
_OPEN_SECONDS = 5.0
_RATE_TOLERANCE = Fraction(1, 10)
_WORTH_TRYING_ANOTHER_FORMAT = (av.error.ArgumentError, av.error.ExitError, av.error.EOFError)


log = structlog.get_logger("engine")


class V4l2Source:
    """A camera device; `device` is a path or "auto"."""

    def __init__(
        self,
        camera: CameraSettings,
        device: str,
        *,
        clock: Callable[[], Nanoseconds] = time.monotonic_ns,
        devices_folder: Path = Path("/dev"),
    ) -> None:
        self._camera = camera
        self._device = device
        self._clock = clock
        self._devices_folder = devices_folder
        self._interrupted = threading.Event()
        self._reader: demux.VideoReader | None = None
        self._stream_clock: StreamClock = ArrivalClock()
        self._missed = MissedPictures()

    def open(self) -> StreamDescription:
        self._device = str(device_of(self._device, self._devices_folder))
        wanted = self._camera.format
        formats = AUTOMATIC_FORMATS if wanted == "auto" else (wanted,)
        refused: list[DeviceError] = []
        for name in formats:
            try:
                description = self._open_as(name)
            except _FormatRefusedError as error:
                self.close()
                refused.append(DeviceError(error.problem, error.remedy))
                continue
            self._set_controls()
            return description
        if len(refused) == 1:
            raise refused[0]
        raise DeviceError(
            "; ".join(error.problem for error in refused),
            "Choose a size and rate that 'v4l2-ctl --list-formats-ext' lists for this camera",
        )

    def read(self) -> SourcePacket | None:
        reader = demux.opened(self._reader)
        while not self._interrupted.is_set():
            try:
                packet = reader.next()
            except av.error.BlockingIOError:
                self._interrupted.wait(_POLL_SECONDS)
                continue
            except EOFError as error:
                raise demux.device_error_for(errno.ENODEV, self._device) from error
            except av.error.FFmpegError as error:
                raise demux.device_error(error, self._device) from error
            if packet is not None:
                taken = demux.source_packet(packet, self._stream_clock, self._clock())
                return self._missed.told_with(taken)
        raise demux.interrupted(self._device)

    def interrupt(self) -> None:
        self._interrupted.set()

    def close(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()

    def _set_controls(self) -> None:
        """A knob that cannot be turned is no reason not to record."""
        for outcome in v4l2_controls.apply(Path(self._device), self._camera.controls):
            if outcome.problem:
                log.warning(
                    "a control of the camera is not as camera.controls wants it",
                    control=outcome.name,
                    wanted=outcome.value,
                    problem=outcome.problem,
                )
            else:
                log.info("camera control set", control=outcome.name, value=outcome.value)

    def _open_as(self, name: str) -> StreamDescription:
        camera = self._camera
        asked = f"{name} {camera.width}x{camera.height} at {camera.rate:g} a second"
        try:
            container = av.open(
                self._device,
                format="video4linux2",
                options={
                    "input_format": _FFMPEG_NAMES[name],
                    "video_size": f"{camera.width}x{camera.height}",
                    "framerate": str(Fraction(camera.rate).limit_denominator(1001)),
                    "fflags": _NON_BLOCKING,
                },
                timeout=(_OPEN_SECONDS, None),
            )
        except _WORTH_TRYING_ANOTHER_FORMAT as error:
            answer = (
                "sends no picture that way"
                if isinstance(error, av.error.ExitError)
                else "refuses it"
            )
            raise _FormatRefusedError(
                f"The camera {self._device} was asked for {asked} and {answer}",
                "Choose what 'v4l2-ctl --list-formats-ext' lists for this camera",
            ) from error
        except av.error.FFmpegError as error:
            raise demux.device_error(error, self._device) from error
        self._reader = demux.VideoReader(container, self._device)
        stream = self._reader.stream
        delivered = demux.description(stream)
        problem = mismatch(camera, name, delivered)
        if problem is not None:
            raise _FormatRefusedError(
                f"The camera {self._device} was asked for {asked} and sends {problem}",
                "Choose what 'v4l2-ctl --list-formats-ext' lists for this camera",
            )
        self._stream_clock = KernelClock(
            stream.time_base or Fraction(1, 1_000_000), demux.period_of(delivered.rate)
        )
        return delivered


class _FormatRefusedError(DeviceError):
    """The camera does not do this format, but may do another."""


def device_of(name: str, devices_folder: Path = Path("/dev")) -> Path:
    """The device that `name` means, which is a path or "auto". Raises DeviceError if it is auto
    and there is none.
    """
    return automatic_device(devices_folder) if name == "auto" else Path(name)


def automatic_device(devices_folder: Path = Path("/dev")) -> Path:
    """The first camera under a name that stays the same, else the first camera at all.

    Raises DeviceError if there is none.
    """
    for device in _cameras(devices_folder):
        return device
    raise DeviceError(
        "No camera is connected",
        "Plug the camera in; 'v4l2-ctl --list-devices' shows whether the computer sees it",
    )


def _cameras(devices_folder: Path) -> Iterator[Path]:
    # A camera's further devices (index1 ...) deliver metadata, not pictures.
    for naming in ("by-id", "by-path"):
        yield from sorted((devices_folder / "v4l" / naming).glob("*-video-index0"))
    numbered = [
        path for path in devices_folder.glob("video*") if path.name.removeprefix("video").isdigit()
    ]
    yield from sorted(numbered, key=lambda path: int(path.name.removeprefix("video")))


def mismatch(camera: CameraSettings, format_name: str, got: StreamDescription) -> str | None:
    """What came instead of what was asked for; None if it is right.

    Drivers choose the nearest size or rate they have and report success (V4L2's
    VIDIOC_S_FMT and VIDIOC_S_PARM), so what was asked says nothing.
    """
    pixel_formats = {"nv12": "nv12", "yuyv": "yuyv422"}
    if format_name in pixel_formats:
        right_format = got.codec == "rawvideo" and got.pixel_format == pixel_formats[format_name]
    else:
        right_format = got.codec == format_name
    right_size = (got.width, got.height) == (camera.width, camera.height)
    asked_rate = Fraction(camera.rate)
    right_rate = abs(got.rate - asked_rate) <= asked_rate * _RATE_TOLERANCE
    if right_format and right_size and right_rate:
        return None
    kind = got.pixel_format if got.codec == "rawvideo" else got.codec
    return f"{kind} {got.width}x{got.height} at {float(got.rate):g} a second"
