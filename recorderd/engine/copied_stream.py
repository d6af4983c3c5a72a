"""A stream of a container for packets that were compressed elsewhere."""

from __future__ import annotations

import io
from typing import Any

import av
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Stream

from recorderd.engine.footage_file import TIME_BASE
from recorderd.engine.packets import StreamDescription
from recorderd.errors import DeviceError


def add_copied_stream(container: OutputContainer, description: StreamDescription) -> Stream:
    """Add a stream for the camera's own packets. Raises DeviceError.

    PyAV lets nobody give a header and a tag to a stream without an encoder, unless it was made
    after that of another file: a tiny one in memory. NUT holds any codec without looking into it.
    Without a header PyAV takes it from the first packet.
    """
    size = {"width": description.width, "height": description.height}
    try:
        if not description.extradata:
            return container.add_mux_stream(
                description.codec, rate=description.rate, time_base=TIME_BASE, **size
            )
        memory = io.BytesIO()
        with av.open(memory, "w", format="nut") as pattern:
            stream = pattern.add_mux_stream(description.codec, time_base=TIME_BASE, **size)
            packet = Packet(b"\0")
            packet.stream, packet.time_base = stream, TIME_BASE
            packet.pts = packet.dts = 0
            pattern.mux_one(packet)
        memory.seek(0)
        with av.open(memory, format="nut") as pattern:
            copied = container.add_stream_from_template(pattern.streams.video[0], opaque=True)
    except (av.FFmpegError, ValueError) as error:
        raise DeviceError(
            f"Pictures of the kind {description.codec} cannot be copied into MP4: {error}",
            "Set recording.mode to encode",
        ) from error
    copied.time_base = TIME_BASE
    copied.codec_context.extradata = description.extradata
    if description.codec == "hevc":
        copied.codec_context.codec_tag = "hvc1"  # Safari plays no other HEVC
    return copied


def copied_packet(
    stream: Stream, data: bytes, pts: int, keyframe: bool, dts: int | None = None
) -> Packet[Any]:
    """A packet of that stream; `pts` and `dts`, equal if not given, count 1/90000 s."""
    packet = Packet(data)
    packet.stream = stream
    packet.time_base = TIME_BASE
    packet.pts = pts
    packet.dts = pts if dts is None else dts
    packet.is_keyframe = keyframe
    return packet
