"""Short videos of labels on the bench, with a frame counter burnt into every picture."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import OutputContainer
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType
from av.video.stream import VideoStream

from recorderd.engine.sources.bench_scene import BenchPictures, read_counter
from recorderd.engine.sources.bench_script import Place, Scene, Thing

WIDTH, HEIGHT = 1280, 720
LABEL_SPOT = (0.5, 0.5)


def scene(order_id: str | None) -> Scene:
    """A parcel, and this order's label held before the camera."""
    places = [Place(Thing.PARCEL, 0.5, 0.45, "0")]
    if order_id is not None:
        places.append(Place(Thing.LABEL, *LABEL_SPOT, order_id, raised=True))
    return Scene(tuple(places))


def write_clip(
    path: Path,
    acts: Sequence[tuple[float, str | None]],
    rate: int = 15,
    codec: str = "mjpeg",
    size: tuple[int, int] = (WIDTH, HEIGHT),
) -> int:
    """Write what is shown for how many seconds; returns the number of pictures.

    With another codec than MJPEG the pictures are encoded, a keyframe every second.
    """
    pictures = BenchPictures(*size)
    shown = [order_id for seconds, order_id in acts for _ in range(round(seconds * rate))]
    jpegs = [pictures.jpeg(scene(order_id), number) for number, order_id in enumerate(shown)]
    with av.open(str(path), "w") as container:
        if codec == "mjpeg":
            _copy(container, jpegs, rate, size)
        else:
            _encode(container, jpegs, rate, codec, size)
    return len(shown)


def write_jpegs(path: Path, jpegs: Sequence[bytes], size: tuple[int, int], rate: int = 10) -> None:
    """Write any bytes as pictures of an MJPEG video of this width and height."""
    with av.open(str(path), "w") as container:
        _copy(container, jpegs, rate, size)


def _copy(
    container: OutputContainer, jpegs: Sequence[bytes], rate: int, size: tuple[int, int]
) -> None:
    width, height = size
    stream = container.add_mux_stream(
        "mjpeg", rate=rate, width=width, height=height, time_base=Fraction(1, rate)
    )
    for number, jpeg in enumerate(jpegs):
        packet = av.Packet(jpeg)
        packet.stream, packet.time_base = stream, Fraction(1, rate)
        packet.pts = packet.dts = number
        packet.duration = 1
        packet.is_keyframe = True
        container.mux_one(packet)


def _encode(
    container: OutputContainer,
    jpegs: Sequence[bytes],
    rate: int,
    codec: str,
    size: tuple[int, int],
) -> None:
    stream = container.add_stream(codec, rate=rate)
    assert isinstance(stream, VideoStream)
    stream.options = {"preset": "ultrafast", "bf": "0", "g": str(rate)}
    (stream.width, stream.height), stream.pix_fmt = size, "yuv420p"
    decoder = av.CodecContext.create("mjpeg", "r")
    assert isinstance(decoder, VideoCodecContext)
    for number, jpeg in enumerate(jpegs):
        frame = decoder.decode(av.Packet(jpeg))[0].reformat(format="yuv420p")
        frame.pict_type = PictureType.NONE
        frame.pts, frame.time_base = number, Fraction(1, rate)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def counters(video: Path, *, damaged: bool = False) -> list[int | None]:
    """The number burnt into each picture of a video, in the order they are shown.

    With `damaged`, pictures that do not decode are passed over, as a player does.
    """
    found = []
    with av.open(str(video)) as container:
        for packet in container.demux(video=0):
            try:
                frames = packet.decode()
            except av.InvalidDataError:
                if not damaged:
                    raise
                continue
            for frame in frames:
                plane = frame.planes[0]
                rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
                found.append(read_counter(rows[: frame.height, : frame.width]))
    return found
