from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest
from av.video.codeccontext import VideoCodecContext

from recorderd.engine.packets import Packet
from recorderd.engine.stills import MOST_KEPT, Stills, jpeg_of
from recorderd.errors import DeviceError
from tests.engine.pictures import (
    HEIGHT,
    START,
    WIDTH,
    at_rate,
    drawn,
    inter_stream,
    jpeg,
    mjpeg_packets,
    number_in,
)


def decoded(data: bytes) -> av.VideoFrame:
    decoder = VideoCodecContext.create("mjpeg", "r")
    assert isinstance(decoder, VideoCodecContext)
    return decoder.decode(av.Packet(data))[0]


def test_a_cameras_jpeg_is_taken_as_it_is() -> None:
    (packet,) = mjpeg_packets([START], first_number=77)
    assert jpeg_of(packet, "mjpeg") is packet.data


def test_a_jpeg_without_huffman_tables_gets_them() -> None:
    """Some USB cameras leave them out; most programs cannot open such a file."""
    encoder = VideoCodecContext.create("mjpeg", "w")
    assert isinstance(encoder, VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = WIDTH, HEIGHT, "yuvj420p"
    encoder.time_base = Fraction(1)
    encoder.options = {"huffman": "default"}
    data = b"".join(bytes(p) for p in [*encoder.encode(drawn(99)), *encoder.encode(None)])
    bare = data
    while (place := bare.find(b"\xff\xc4")) >= 0:
        length = int.from_bytes(bare[place + 2 : place + 4], "big")
        bare = bare[:place] + bare[place + 2 + length :]
    still = jpeg_of(Packet(1, bare, START, START, True), "mjpeg")
    assert b"\xff\xc4" in still
    assert number_in(decoded(still)) == 99


@pytest.mark.parametrize("pixel_format", ["yuvj420p", "yuvj422p", "nv12", "rgb24", "yuyv422"])
def test_any_decoded_picture_becomes_a_jpeg_of_full_size(pixel_format: str) -> None:
    frame = drawn(1234).reformat(format=pixel_format)
    picture = decoded(jpeg_of(frame, "rawvideo"))
    assert (picture.width, picture.height) == (WIDTH, HEIGHT)
    assert number_in(picture) == 1234
    assert np.abs(picture.to_ndarray(format="gray")[110].astype(int) - 128).mean() < 6


def test_a_keyframe_can_be_taken_from_the_buffer() -> None:
    _, packets = inter_stream(10)
    assert number_in(decoded(jpeg_of(packets[0], "h264"))) == 0


@pytest.mark.parametrize("codec", ["mjpeg", "h264", "hevc", "rawvideo"])
def test_what_cannot_be_decoded_is_said_in_words(codec: str) -> None:
    with pytest.raises(DeviceError, match="label picture could not be made"):
        jpeg_of(Packet(1, b"\xff\xd8 nothing of use \0\0\1\x41", START, START, True), codec)


def test_a_picture_that_needs_others_is_said_in_words() -> None:
    _, packets = inter_stream(10)
    with pytest.raises(DeviceError):
        jpeg_of(packets[5], "h264")


def test_only_the_newest_pictures_are_remembered() -> None:
    stills = Stills()
    for packet in mjpeg_packets(at_rate(MOST_KEPT + 2)):
        stills.keep(packet.sequence, packet)
    assert stills.take(1) is None
    assert stills.take(2) is None
    kept = stills.take(3)
    assert isinstance(kept, Packet)
    assert kept.data == jpeg(2)
    assert stills.take(3) is kept
