"""Files as the recorder writes them, caught in the middle."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import av
import numpy as np

from recorderd.engine.footage_file import TIME_BASE, FootageFile

RATE = 10
GOP = 20


@dataclass(frozen=True, slots=True)
class Written:
    """The bytes of a file just before it was closed, and afterwards."""

    growing: bytes
    closed: bytes


@cache
def written(
    seconds: int = 8, b_frames: int = 0, codec: str = "libx264", width: int = 160
) -> Written:
    """A video in which a bright bar moves from left to right."""
    height = width * 9 // 16
    with TemporaryDirectory() as folder:
        path = Path(folder) / "video.mp4"
        file = FootageFile(path, {"order_id": "SO-1"}, sync_seconds=1.0)
        stream: Any = file.container.add_stream(codec, rate=RATE)
        stream.width, stream.height = width, height
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.time_base = stream.codec_context.time_base = TIME_BASE
        if codec == "libx264":
            stream.options = {
                "preset": "veryfast",
                "g": str(GOP),
                "bf": str(b_frames),
                "sc_threshold": "0",
            }
        file.add_clock_track()
        count = seconds * RATE
        for index in range(count):
            picture = np.full((height, width, 3), (52, 84, 70), np.uint8)
            picture[:, : width * index // count] = (116, 150, 134)
            frame = av.VideoFrame.from_ndarray(picture, "rgb24")
            frame.pts, frame.time_base = index * 90_000 // RATE, TIME_BASE
            offset_ns = index * 1_000_000_000 // RATE
            file.show_clock(offset_ns, 1_800_000_000_000_000_000 + offset_ns)
            for packet in stream.encode(frame):
                file.mux(packet)
        for packet in stream.encode(None):
            file.mux(packet)
        growing = path.read_bytes()
        file.close()
        return Written(growing, path.read_bytes())


def pictures(path: Path) -> list[tuple[int, int, bool]]:
    """Presentation time, size and kind of each packet that FFmpeg finds."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return [
            (packet.pts, packet.size, packet.is_keyframe)
            for packet in container.demux(stream)
            if packet.pts is not None
        ]


def decoded(path: Path) -> list[int]:
    """The times of all pictures that can really be decoded."""
    with av.open(str(path)) as container:
        return [frame.pts or 0 for frame in container.decode(video=0)]
