"""The full-size picture in which a label was read, as a JPEG beside the video."""

from __future__ import annotations

from collections import OrderedDict
from fractions import Fraction

import av
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType

from recorderd.engine.native_packet import native_packet
from recorderd.engine.packets import Packet
from recorderd.errors import DeviceError

MOST_KEPT = 4


class Stills:
    """Remembers the pictures in which codes were read, a few of them.

    The scan feed's thread keeps, recording threads take; a dict's own operations suffice.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[int, Packet | av.VideoFrame] = OrderedDict()

    def keep(self, sequence: int, picture: Packet | av.VideoFrame) -> None:
        self._kept[sequence] = picture
        while len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)

    def take(self, sequence: int) -> Packet | av.VideoFrame | None:
        return self._kept.get(sequence)


def jpeg_of(
    picture: Packet | av.VideoFrame, codec: str, *, quantisers: tuple[int, int] = (2, 3)
) -> bytes:
    """A picture as a complete JPEG file. Raises DeviceError if it cannot be decoded.

    `quantisers` are the least and the most that FFmpeg's encoder may take, 2 being the best it
    has; what the camera made itself is not touched.

    A camera's own JPEG is taken as it is, unless it leaves out the Huffman tables, as some
    USB cameras do (UVC's MJPEG payload allows it).
    """
    if isinstance(picture, Packet) and codec == "mjpeg" and b"\xff\xc4" in picture.data[:4096]:
        return picture.data
    try:
        frame = _decoded(picture, codec) if isinstance(picture, Packet) else picture
        still = frame.reformat(format="yuvj420p", dst_color_range="JPEG")
        still.pict_type = PictureType.NONE
        encoder = VideoCodecContext.create("mjpeg", "w")
        assert isinstance(encoder, VideoCodecContext)  # noqa: S101 - for the type checker
        encoder.width, encoder.height = still.width, still.height
        encoder.pix_fmt = "yuvj420p"
        encoder.time_base = Fraction(1, 1)
        least, most = quantisers
        encoder.options = {"qmin": str(least), "qmax": str(most)}
        return b"".join(bytes(packet) for packet in [*encoder.encode(still), *encoder.encode(None)])
    except (av.FFmpegError, IndexError) as error:
        raise DeviceError(
            f"The label picture could not be made: {error}", "The video itself is not affected"
        ) from error


def _decoded(packet: Packet, codec: str) -> av.VideoFrame:
    """One picture that stands alone. Raises av.FFmpegError or IndexError."""
    decoder = VideoCodecContext.create(codec, "r")
    assert isinstance(decoder, VideoCodecContext)  # noqa: S101 - for the type checker
    return (decoder.decode(native_packet(packet.data)) or decoder.decode(None))[0]
