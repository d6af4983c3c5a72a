from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest
from av.video.codeccontext import VideoCodecContext

from recorderd.engine.luma import luma_of


@pytest.mark.parametrize(
    "name",
    [
        "yuv420p",
        "yuvj420p",
        "yuv422p",
        "yuvj422p",
        "yuv444p",
        "nv12",
        "nv21",
        "gray",
        "yuyv422",
        "rgb24",
        "bgr0",
        "yuv420p10le",
        "gray10le",
    ],
)
@pytest.mark.parametrize(("width", "height"), [(160, 120), (150, 118), (34, 22)])
def test_luma_is_right_for_all_kinds_of_pictures_and_padded_rows(
    name: str, width: int, height: int
) -> None:
    rows, columns = np.mgrid[0:height, 0:width]
    wanted = (40 + rows + (columns // 8) % 2 * 60).astype(np.uint8)
    grey = av.VideoFrame.from_ndarray(wanted, "gray")
    frame = grey.reformat(format=name, src_color_range="JPEG", dst_color_range="JPEG")
    luma = luma_of(frame)
    assert luma.shape == (height, width)
    assert luma.dtype == np.uint8
    difference = np.abs(luma.astype(int) - wanted)
    # Other kinds than 8-bit planes go through FFmpeg, which may take them for limited range.
    assert np.median(difference) <= 25
    assert np.corrcoef(luma.ravel(), wanted.ravel())[0, 1] > 0.99


def test_padded_rows_are_really_met_and_nothing_is_copied() -> None:
    encoder = VideoCodecContext.create("mjpeg", "w")
    assert isinstance(encoder, VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = 150, 118, "yuvj422p"
    encoder.time_base = Fraction(1, 30)
    picture = av.VideoFrame.from_ndarray(np.full((118, 150), 77, np.uint8), "gray")
    data = b"".join(
        bytes(p) for p in [*encoder.encode(picture.reformat(format="yuvj422p")), *encoder.encode()]
    )
    decoder = VideoCodecContext.create("mjpeg", "r")
    assert isinstance(decoder, VideoCodecContext)
    frame = decoder.decode(av.Packet(data))[0]
    assert frame.planes[0].line_size > 150
    luma = luma_of(frame)
    assert luma.shape == (118, 150)
    assert np.abs(luma.astype(int) - 77).max() <= 3
    assert not luma.flags.owndata
