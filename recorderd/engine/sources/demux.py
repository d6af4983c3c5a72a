"""What all sources that read through FFmpeg share: packets, descriptions, plain errors."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, TypeAlias

import av
import av.error
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from recorderd.config import without_password
from recorderd.core.model import NANOSECONDS_PER_SECOND, Nanoseconds
from recorderd.engine.packets import SourcePacket, StreamDescription
from recorderd.engine.sources.stream_clock import StreamClock
from recorderd.errors import DeviceError, InvariantViolationError

VideoPacket: TypeAlias = "Packet[Any]"
"""One packet in FFmpeg's memory."""

ELEMENTARY_FORMATS = frozenset({"mjpeg", "jpeg_pipe", "h264", "hevc"})
"""FFmpeg's names for bare streams of pictures, which carry no timestamps of their own."""

_FULL_RANGE = 2
"""AVCOL_RANGE_JPEG."""

_PROBLEMS = {
    errno.ENOENT: (
        "There is no {name}",
        "Check that the camera is plugged in and that camera.source names it",
    ),
    errno.ENODEV: ("The camera was unplugged ({name})", "Plug the camera in again"),
    errno.ENXIO: ("The camera was unplugged ({name})", "Plug the camera in again"),
    errno.EACCES: (
        "The camera {name} may not be opened by this user",
        "Add the user of the recorderd service to the group 'video'",
    ),
    errno.EPERM: (
        "The camera {name} may not be opened by this user",
        "Add the user of the recorderd service to the group 'video'",
    ),
    errno.EBUSY: (
        "The camera {name} is in use by another program",
        "Close the other program that shows the camera, or restart the station",
    ),
    errno.ENOTTY: (
        "{name} is not a camera",
        "Set camera.source to v4l2:auto or to a device that 'v4l2-ctl --list-devices' lists",
    ),
    errno.EINVAL: (
        "The camera {name} does not offer what was asked for",
        "Choose a format, size and rate that 'v4l2-ctl --list-formats-ext' lists for this camera",
    ),
    errno.EIO: (
        "The camera {name} reports a transfer error",
        "Check the cable, and plug the camera directly into the computer",
    ),
    errno.ENOSPC: (
        "The USB bus has not enough bandwidth for the camera {name}",
        "Plug the camera into another USB port, without a hub",
    ),
    errno.ECONNREFUSED: (
        "{name} refuses the connection",
        "Check the camera's address and port, and that its RTSP service is switched on",
    ),
    errno.EHOSTUNREACH: (
        "{name} cannot be reached",
        "Check the network cable and the camera's address",
    ),
    errno.ENETUNREACH: (
        "{name} cannot be reached",
        "Check the network cable and the camera's address",
    ),
    errno.ETIMEDOUT: (
        "{name} does not answer",
        "Check that the camera has power and that its address is right",
    ),
}


def device_error(error: av.error.FFmpegError, name: str) -> DeviceError:
    """Say in plain words what an FFmpeg error of the source called `name` means."""
    shown = without_password(name)
    if isinstance(error, av.error.ExitError):
        return device_error_for(errno.ETIMEDOUT, shown)
    if isinstance(error, av.error.HTTPUnauthorizedError):
        return DeviceError(
            f"{shown} wants a name and a password, or refuses those it was given",
            "Write them into camera.source: rtsp://NAME:PASSWORD@ADDRESS/...",
        )
    if isinstance(error, av.error.HTTPNotFoundError):
        return DeviceError(
            f"The camera knows no stream {shown}",
            "Look up the path of the camera's video stream in its manual",
        )
    if isinstance(error, av.error.InvalidDataError | av.error.EOFError):
        return DeviceError(
            f"What comes from {shown} is not video",
            "Check camera.source, and play it with another program",
        )
    return device_error_for(error.errno or 0, shown, error.strerror or str(error))


def device_error_for(number: int, shown_name: str, detail: str = "") -> DeviceError:
    """The error for a number from errno.h."""
    if number in _PROBLEMS:
        problem, remedy = _PROBLEMS[number]
        return DeviceError(problem.format(name=shown_name), remedy)
    return DeviceError(
        f"{shown_name} failed: {without_password(detail) or f'error {number}'}",
        "Unplug the camera and plug it in again; if that does not help, restart the computer",
    )


def interrupted(name: str) -> DeviceError:
    """What `read` raises after `interrupt`."""
    return DeviceError(
        f"Waiting for {without_password(name)} was given up",
        "Nothing needs to be done: the camera is opened again by itself",
    )


def first_video(container: InputContainer, name: str) -> VideoStream:
    """The first video stream. Raises DeviceError if there is none that can be decoded."""
    for stream in container.streams.video:
        if stream.codec_context is not None and stream.codec_context.width:
            return stream
    raise DeviceError(
        f"{without_password(name)} has no video stream",
        "Check camera.source, and play it with another program",
    )


def description(stream: VideoStream, rate: Fraction | None = None) -> StreamDescription:
    """What this stream is; `rate` is used where the stream does not know its own."""
    context = stream.codec_context
    pixel_format = context.pix_fmt or ""
    return StreamDescription(
        codec=context.name,
        width=context.width,
        height=context.height,
        rate=rate or stream.average_rate or stream.guessed_rate or Fraction(30),
        pixel_format=pixel_format,
        full_range=pixel_format.startswith("yuvj") or context.color_range == _FULL_RANGE,
        extradata=bytes(context.extradata or b""),
    )


def period_of(rate: Fraction) -> Nanoseconds:
    """Time from one picture to the next."""
    return round(NANOSECONDS_PER_SECOND / rate)


class VideoReader:
    """The first video stream of a container, packet by packet. Owns the container.

    Raises DeviceError if there is no video.
    """

    def __init__(self, container: InputContainer, name: str) -> None:
        self.container = container
        try:
            self.stream = first_video(container, name)
        except DeviceError:
            container.close()
            raise
        self._packets: Iterator[VideoPacket] | None = None

    def next(self) -> VideoPacket | None:
        """The next packet of the stream, None for one of another stream.

        Raises EOFError at the end and av.error.FFmpegError (BlockingIOError when a device
        has nothing yet); it may be called again after either.
        """
        if self._packets is None:
            self._packets = self.container.demux()
        try:
            packet = next(self._packets)
        except av.error.FFmpegError:
            # An iterator that raised is finished; the container is not.
            self._packets = None
            raise
        except StopIteration:
            raise EOFError from None
        if packet.size == 0 and packet.pts is None and packet.dts is None:
            # PyAV ends every stream with an empty packet that flushes a decoder.
            raise EOFError
        return packet if packet.stream_index == self.stream.index else None

    def close(self) -> None:
        self._packets = None
        self.container.close()


def opened(reader: VideoReader | None) -> VideoReader:
    """The reader of a source that must have been opened."""
    if reader is None:
        raise InvariantViolationError("A camera was read before it was opened")
    return reader


def source_packet(packet: VideoPacket, clock: StreamClock, arrival_ns: Nanoseconds) -> SourcePacket:
    """Copy a packet out of FFmpeg's (for a camera: the driver's) memory and give it times.

    A damaged one becomes empty, and its timestamps are not believed.
    """
    if packet.size == 0 or packet.is_corrupt:
        return SourcePacket(b"", arrival_ns, arrival_ns, keyframe=False)
    captured_ns, decode_ns = clock.times(packet.pts, packet.dts, arrival_ns)
    return SourcePacket(bytes(packet), captured_ns, decode_ns, packet.is_keyframe)
