"""Is a compressed picture whole? Told from its bytes, at no cost worth naming."""

from __future__ import annotations

_START_OF_IMAGE = b"\xff\xd8"
_END_OF_IMAGE = b"\xff\xd9"
_SMALLEST_JPEG_BYTES = 100
"""Tables and headers alone are longer in every baseline JPEG (ITU-T T.81, annex B)."""


def problem_of(data: bytes, codec: str) -> str | None:
    """What is wrong with a picture as the camera sent it; None if it seems whole.

    `codec` is FFmpeg's name. A JPEG must begin and end with its markers: USB cameras send
    cut ones when the bus is busy, and decoders fill them with grey without an error. Some
    cameras pad with zeros behind the end. Of other codecs only emptiness is noticed.
    """
    if not data:
        return "empty"
    if codec != "mjpeg":
        return None
    if len(data) < _SMALLEST_JPEG_BYTES:
        return "far too short"
    if not data.startswith(_START_OF_IMAGE):
        return "no start of image"
    # Zeros may be many; they are cut off only if the last byte is one, the rare case.
    if data[-1] == 0:
        data = data.rstrip(b"\0")
    return None if data.endswith(_END_OF_IMAGE) else "cut off"
