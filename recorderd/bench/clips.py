"""Video files that stand for a camera above the simulated bench, with labels shown when we say."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType
from av.video.stream import VideoStream

from recorderd.engine.native_packet import native_packet
from recorderd.engine.sources.bench_scene import BenchPictures
from recorderd.engine.sources.bench_script import CYCLE_SECONDS, Place, Scene, Thing, scene_at

SIZE: Final = (3840, 2160)
_LABEL_SPOT: Final = (0.5, 0.55)
_BUSY_FROM: Final = 7.0
"""Second of the simulated play from which on hands and items move."""


@dataclass(frozen=True, slots=True)
class Clip:
    """What a camera sees: `scenes` gives the picture for each second since the clip's begin."""

    seconds: float
    rate: int
    scenes: Callable[[float], Scene]
    codec: str = "mjpeg"
    size: tuple[int, int] = SIZE

    @property
    def pictures(self) -> int:
        return round(self.seconds * self.rate)


def empty_bench(_second: float) -> Scene:
    """A bench at which nobody is."""
    return Scene(())


def hands_at_work(second: float) -> Scene:
    """Hands and items in motion, and no label."""
    at = _BUSY_FROM + second % (CYCLE_SECONDS - _BUSY_FROM)
    return Scene(tuple(place for place in scene_at(at).places if place.thing is not Thing.LABEL))


def with_label(scene: Scene, order_id: str) -> Scene:
    """The same with an order's label held before the camera, above all."""
    return Scene((*scene.places, Place(Thing.LABEL, *_LABEL_SPOT, order_id, raised=True)))


def showing(order_id: str, begin: float, end: float) -> Callable[[float], Scene]:
    """Hands at work, and from second `begin` to `end` an order's label above all."""

    def scene(second: float) -> Scene:
        behind = hands_at_work(second)
        return with_label(behind, order_id) if begin <= second < end else behind

    return scene


def write(clip: Clip, path: Path) -> None:
    """Make the video file. Raises OSError, av.FFmpegError."""
    pictures = BenchPictures(*clip.size)
    jpegs = (
        pictures.jpeg(clip.scenes(number / clip.rate), number) for number in range(clip.pictures)
    )
    if clip.codec == "mjpeg":
        write_jpegs(path, jpegs, clip.rate, clip.size)
    else:
        write_encoded(path, jpegs, clip.rate, clip.size, clip.codec)


def write_jpegs(path: Path, jpegs: Iterable[bytes], rate: int, size: tuple[int, int]) -> None:
    """Any bytes as pictures of an MJPEG video of this width and height."""
    time_base = Fraction(1, rate)
    width, height = size
    with av.open(str(path), "w") as container:
        stream = container.add_mux_stream(
            "mjpeg", rate=rate, width=width, height=height, time_base=time_base
        )
        for number, jpeg in enumerate(jpegs):
            packet = av.Packet(jpeg)
            packet.stream, packet.time_base = stream, time_base
            packet.pts = packet.dts = number
            packet.duration = 1
            packet.is_keyframe = True
            container.mux_one(packet)


def write_encoded(
    path: Path, jpegs: Iterable[bytes], rate: int, size: tuple[int, int], codec: str
) -> None:
    """As a camera with an encoder of its own sends it: no B-frames, a keyframe a second."""
    decoder = VideoCodecContext.create("mjpeg", "r")
    assert isinstance(decoder, VideoCodecContext)  # noqa: S101 - for the type checker
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        assert isinstance(stream, VideoStream)  # noqa: S101 - for the type checker
        stream.options = {"preset": "ultrafast", "bf": "0", "g": str(rate)}
        (stream.width, stream.height), stream.pix_fmt = size, "yuv420p"
        for number, jpeg in enumerate(jpegs):
            frame = decoder.decode(native_packet(jpeg))[0].reformat(format="yuv420p")
            # A picture from MJPEG says "I", which an encoder takes for an order.
            frame.pict_type = PictureType.NONE
            frame.pts, frame.time_base = number, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
