"""Pictures of labels that nobody sane would print."""

from __future__ import annotations

import io

import cv2
import numpy as np
import segno

from recorderd.engine.locator import Luma
from tests.engine.label_images import bench, place

SIZE = (1280, 960)


def symbol(content: str | bytes, module: int = 6) -> Luma:
    """A QR symbol of any text or bytes, up to the largest there is, as drawn by its library."""
    file = io.BytesIO()
    code = segno.make_qr(content, error="l", mode="byte", boost_error=False)
    code.save(file, kind="png", scale=module, border=4)
    drawn = cv2.imdecode(np.frombuffer(file.getvalue(), np.uint8), cv2.IMREAD_GRAYSCALE)
    assert drawn is not None
    return drawn.astype(np.uint8)


def photo(*labels: Luma) -> bytes:
    """A JPEG of a bench with these labels side by side."""
    picture = bench(*SIZE)
    for number, label in enumerate(labels, 1):
        picture = place(picture, label, (number / (len(labels) + 1), 0.5))
    encoded, jpeg = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR))
    assert encoded
    return jpeg.tobytes()


def unlike(jpeg: bytes, number: int) -> bytes:
    """The same picture in other bytes, as from a living sensor: with a comment (T.81, B.2.4.5)."""
    comment = f"{number:08}".encode()
    return jpeg[:2] + b"\xff\xfe" + (2 + len(comment)).to_bytes(2, "big") + comment + jpeg[2:]
