"""Draws labels and benches for the tests of the scanner."""

from __future__ import annotations

from unittest import mock

import cv2
import numpy as np
import segno
import zxingcpp

from recorderd.engine.locator import Luma


def qr(text: str, module: int = 6, encoding: str | None = None) -> Luma:
    """A QR symbol with its quiet zone; `module` pixels a module, no ECI."""
    return _drawn(segno.make_qr(text, error="m", encoding=encoding), module)


def qr_with_eci(text: str, assignment_number: int, module: int = 6) -> Luma:
    """A QR symbol whose UTF-8 text is declared to be of any ECI, right or wrong."""
    with mock.patch("segno.encoder.get_eci_assignment_number", return_value=assignment_number):
        symbol = segno.make_qr(text, error="m", mode="byte", encoding="utf-8", eci=True)
    return _drawn(symbol, module)


def code128(text: str, module: int = 3) -> Luma:
    """A Code 128 symbol with its quiet zone."""
    barcode = zxingcpp.create_barcode(text, zxingcpp.BarcodeFormat.Code128)
    bars = np.array(barcode.to_image(scale=module), dtype=np.uint8)
    return np.pad(bars, 4 * module, constant_values=255)


def bench(width: int, height: int, seed: int = 1) -> Luma:
    """An empty bench: uneven light, a carton, a line of print, and the camera's noise."""
    random = np.random.default_rng(seed)
    light = np.linspace(110, 160, width, dtype=np.float32)[None, :].repeat(height, axis=0)
    picture = light.astype(np.uint8)
    cv2.rectangle(
        picture, (width // 8, height // 2), (width // 3, height * 7 // 8), (95,), thickness=-1
    )
    size = height / 540
    cv2.putText(
        picture,
        "FRAGILE 12 kg",
        (width // 7, height * 3 // 4),
        cv2.FONT_HERSHEY_SIMPLEX,
        size,
        (40,),
        max(1, round(2 * size)),
    )
    noisy = picture + random.normal(0, 3, picture.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8)


def place(picture: Luma, label: Luma, centre: tuple[float, float], degrees: float = 0.0) -> Luma:
    """A copy of `picture` with `label` on it, turned; `centre` as fractions of the picture."""
    height, width = picture.shape
    label_height, label_width = label.shape
    turn = cv2.getRotationMatrix2D((label_width / 2, label_height / 2), degrees, 1.0)
    turn[:, 2] += (centre[0] * width - label_width / 2, centre[1] * height - label_height / 2)
    # Sharp edges of drawn modules would alias when turned; a lens does not draw them so either.
    soft = cv2.GaussianBlur(label, (3, 3), 0)
    turned = cv2.warpAffine(soft, turn, (width, height))
    there = cv2.warpAffine(np.full(label.shape, 255, np.uint8), turn, (width, height))
    return np.where(there > 127, turned, picture).astype(np.uint8)


def _drawn(symbol: segno.QRCode, module: int) -> Luma:
    dark = np.array([list(row) for row in symbol.matrix_iter(border=4)], dtype=np.uint8)
    return np.kron((1 - dark) * 200 + 30, np.ones((module, module), np.uint8)).astype(np.uint8)
