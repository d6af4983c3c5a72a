"""The brightness of a decoded picture, as the scanner wants it."""

from __future__ import annotations

import av
import numpy as np

from recorderd.engine.locator import Luma


def luma_of(frame: av.VideoFrame) -> Luma:
    """The picture's brightness, shape (height, width), without copying where that is possible."""
    name = frame.format.name
    if name.startswith(("yuv4", "yuvj4", "nv", "gray")) and not name.endswith(("le", "be")):
        plane = frame.planes[0]
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
        return rows[: frame.height, : frame.width]
    return frame.reformat(format="gray").to_ndarray().astype(np.uint8, copy=False)
