"""The things on the simulated bench, drawn once: bench, parcel, item, label, hands."""

from __future__ import annotations

import cv2
import numpy as np
import segno

from recorderd.engine.sources.bench_canvas import DESIGN_WIDTH, Canvas, Colour, Sprite, blurred
from recorderd.engine.sources.bench_script import Place, Thing
from recorderd.engine.sources.jpeg_splice import Picture

QR_MODULE = 8
"""Design pixels a side of one QR module: a 40 mm label under a 4K camera."""

_CARDBOARD: Colour = (98, 140, 178)
_CARDBOARD_DARK: Colour = (62, 95, 126)
_SKIN: Colour = (128, 158, 208)
_SLEEVE: Colour = (96, 66, 46)


def draw(place: Place, unit: float) -> Sprite:
    """The sprite of whatever lies at this place."""
    match place.thing:
        case Thing.PARCEL:
            return parcel(unit)
        case Thing.ITEM:
            return item(unit)
        case Thing.LABEL:
            return label(place.variant, unit, raised=place.raised)
        case Thing.LEFT_HAND | Thing.RIGHT_HAND:
            return hand(unit, right=place.thing is Thing.RIGHT_HAND)


def bench(width: int, height: int) -> Picture:
    """The empty bench, photographed from above: board, mat, tools, a shelf for goods."""
    unit = width / DESIGN_WIDTH
    canvas = Canvas(DESIGN_WIDTH, height / unit, unit, seed=1)
    canvas.width, canvas.height = width, height
    canvas.picture = np.full((height, width, 3), (150, 168, 182), np.uint8)
    canvas.opacity = np.full((height, width), 255, np.uint8)
    canvas.fibres(9.0, length=700, thickness=10)
    canvas.fibres(6.0, length=120, thickness=4)
    bottom = height / unit

    # Joints between the boards of the bench.
    for joint in (0.335, 0.668):
        canvas.line((96, 112, 126), 4, (0, bottom * joint), (DESIGN_WIDTH, bottom * joint))
        canvas.line((176, 190, 202), 3, (0, bottom * joint + 5), (DESIGN_WIDTH, bottom * joint + 5))

    _cutting_mat(canvas, 190, bottom * 0.24, 760, bottom * 0.46)
    _goods_tray(canvas, 2920, bottom * 0.10, 800, bottom * 0.40)
    _tape_roll(canvas, 560, bottom * 0.84)
    _knife(canvas, 3050, bottom * 0.66)
    _pen(canvas, 3120, bottom * 0.78)

    # A lamp hangs above the middle: the edges of the picture are darker.
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    canvas.shade((18 - 34 * (x * x + y * y)).astype(np.float32))
    canvas.blur(0.7)
    canvas.grain(3.2)
    return canvas.picture


def _cutting_mat(canvas: Canvas, x: float, y: float, width: float, height: float) -> None:
    canvas.shadow_below(x, y, x + width, y + height)
    canvas.polygon((78, 96, 52), (x, y), (x + width, y), (x + width, y + height), (x, y + height))
    for step in range(1, int(width // 76)):
        at = x + step * 76
        canvas.line((112, 134, 90), 2, (at, y + 30), (at, y + height - 30))
    for step in range(1, int(height // 76)):
        at = y + step * 76
        canvas.line((112, 134, 90), 2, (x + 30, at), (x + width - 30, at))


def _goods_tray(canvas: Canvas, x: float, y: float, width: float, height: float) -> None:
    canvas.shadow_below(x, y, x + width, y + height)
    right, bottom = x + width, y + height
    canvas.polygon((92, 88, 84), (x, y), (right, y), (right, bottom), (x, bottom))
    rim = 26
    canvas.polygon(
        (58, 55, 52),
        (x + rim, y + rim),
        (right - rim, y + rim),
        (right - rim, bottom - rim),
        (x + rim, bottom - rim),
    )


def _tape_roll(canvas: Canvas, x: float, y: float) -> None:
    canvas.shadow_below(x - 120, y - 120, x + 120, y + 120)
    canvas.disc((92, 150, 186), (x, y), 150)
    for radius in range(146, 88, -8):
        canvas.disc((84 + radius % 16, 140 + radius % 16, 178), (x, y), radius)
    canvas.disc((140, 170, 196), (x, y), 88)
    canvas.disc((120, 138, 152), (x, y), 74)


def _knife(canvas: Canvas, x: float, y: float) -> None:
    canvas.shadow_below(x, y + 14, x + 470, y + 60)
    canvas.polygon((40, 150, 226), (x, y + 6), (x + 360, y), (x + 372, y + 62), (x + 8, y + 70))
    canvas.polygon(
        (188, 190, 192), (x + 366, y + 12), (x + 500, y + 14), (x + 470, y + 52), (x + 368, y + 52)
    )
    canvas.line((30, 60, 80), 10, (x + 60, y + 36), (x + 250, y + 32))


def _pen(canvas: Canvas, x: float, y: float) -> None:
    canvas.line((88, 100, 112), 20, (x + 8, y + 14), (x + 408, y + 104))
    canvas.line((128, 62, 34), 20, (x, y), (x + 340, y + 76))
    canvas.line((60, 60, 60), 12, (x + 340, y + 76), (x + 398, y + 89))


def parcel(unit: float) -> Sprite:
    """An open cardboard box with its four flaps folded out and paper inside."""
    canvas = Canvas(1420, 1280, unit, seed=2)
    left, top, right, bottom = 300, 230, 1120, 850
    flap = 210
    light, dark = _CARDBOARD, _CARDBOARD_DARK
    canvas.polygon(
        light,
        (left, top),
        (right, top),
        (right - 20, top - flap + 20),
        (left + 20, top - flap + 20),
    )
    canvas.polygon(
        (92, 132, 169),
        (left, top),
        (left - flap, top + 24),
        (left - flap, bottom - 24),
        (left, bottom),
    )
    canvas.polygon(
        (102, 146, 186),
        (right, top),
        (right + flap, top + 24),
        (right + flap, bottom - 24),
        (right, bottom),
    )
    canvas.polygon(
        (106, 150, 190),
        (left, bottom),
        (right, bottom),
        (right - 10, bottom + flap + 130),
        (left + 10, bottom + flap + 130),
    )
    canvas.polygon(dark, (left, top), (right, top), (right, bottom), (left, bottom))
    depth = 46
    inner = (left + depth, top + depth, right - depth, bottom - depth)
    canvas.polygon(
        (44, 70, 94),
        (inner[0], inner[1]),
        (inner[2], inner[1]),
        (inner[2], inner[3]),
        (inner[0], inner[3]),
    )
    random = np.random.default_rng(3)
    for _ in range(70):
        x = random.uniform(inner[0] + 60, inner[2] - 60)
        y = random.uniform(inner[1] + 50, inner[3] - 50)
        corners = [(x + dx, y + dy) for dx, dy in random.uniform(-85, 85, (4, 2))]
        corners = [
            (min(max(a, inner[0]), inner[2]), min(max(b, inner[1]), inner[3])) for a, b in corners
        ]
        grey = random.uniform(118, 182)
        canvas.polygon((grey * 0.80, grey * 0.93, grey), *corners)
    for edge in (
        ((left, top), (right, top)),
        ((left, bottom), (right, bottom)),
        ((left, top), (left, bottom)),
        ((right, top), (right, bottom)),
    ):
        canvas.line((130, 174, 210), 5, *edge)
    canvas.fibres(4.0, length=160, thickness=4)
    canvas.blur(0.6)
    canvas.grain(3.0)
    return canvas.sprite((710, 590), shadow=40)


def item(unit: float) -> Sprite:
    """What is being sent: a small blue carton with a picture on it."""
    canvas = Canvas(460, 400, unit, seed=4)
    canvas.polygon((138, 76, 34), (40, 60), (380, 40), (400, 310), (56, 330))
    canvas.polygon((176, 108, 52), (40, 60), (380, 40), (384, 92), (44, 112))
    canvas.disc((70, 190, 232), (222, 214), 74)
    canvas.disc((138, 76, 34), (222, 214), 46)
    canvas.line((230, 226, 220), 8, (96, 302), (360, 286))
    canvas.blur(0.8)
    canvas.grain(3.0)
    return canvas.sprite((220, 186), shadow=30)


def label(order_id: str, unit: float, *, raised: bool) -> Sprite:
    """A printed order label: QR code and the order number in plain text.

    A raised label is nearer to the camera: larger, and turned a little.
    """
    code = segno.make(order_id, error="m", micro=False)
    modules = np.array([[0 if bit else 1 for bit in row] for row in code.matrix], np.uint8)
    modules = np.pad(modules, 4, constant_values=1)
    # Drawn large and made smaller in one step together with the turn: soft, even edges
    # such as a lens makes.
    draw = 2.0
    canvas = Canvas(560, 290, draw, seed=5)
    canvas.polygon((232, 236, 238), (0, 0), (560, 0), (560, 290), (0, 290))
    side = len(modules) * QR_MODULE
    square = cv2.resize(
        modules, (canvas.length(side), canvas.length(side)), interpolation=cv2.INTER_NEAREST
    )
    top = (290 - side) / 2
    corner = canvas.points((14, top))[0]
    area = canvas.picture[corner[1] : corner[1] + len(square), corner[0] : corner[0] + len(square)]
    area[square == 0] = (34, 32, 32)
    canvas.text(order_id, (252, 112), 34, widest=284)
    canvas.line((60, 60, 60), 3, (252, 136), (536, 136))
    canvas.text("PACKING STATION", (252, 176), 18)
    canvas.text("show to camera to start,", (252, 214), 14)
    canvas.text("show again to stop", (252, 240), 14)

    turn = -9.0 if raised else 4.0 + sum(order_id.encode()) % 5
    scale = unit / draw * (1.25 if raised else 1.0)
    size = int(660 * unit * (1.25 if raised else 1.0))
    matrix = cv2.getRotationMatrix2D((canvas.width / 2, canvas.height / 2), turn, scale)
    matrix[0, 2] += (size - canvas.width) / 2
    matrix[1, 2] += (size * 0.6 - canvas.height) / 2
    turned = Canvas(size / unit, size * 0.6 / unit, unit, seed=6)
    shape = (turned.width, turned.height)
    canvas.blur(0.45 / scale / draw)
    turned.picture = cv2.warpAffine(canvas.picture, matrix, shape).astype(np.uint8)
    turned.opacity = cv2.warpAffine(canvas.opacity, matrix, shape).astype(np.uint8)
    turned.grain(2.5)
    return turned.sprite((size / unit / 2, size * 0.3 / unit), shadow=26 if raised else 12)


def hand(unit: float, *, right: bool) -> Sprite:
    """A hand with sleeve, coming from the packer's side (the bottom of the picture)."""
    width, height = 700, 2100
    canvas = Canvas(width, height, unit, seed=7)
    # The elbow is further out than the fingers: the arm leans.
    canvas.line(_SKIN, 210, (330, 640), (430, 1020))
    canvas.line(_SLEEVE, 290, (420, 1010), (500, 1560), (520, 2100))
    canvas.line((118, 84, 60), 30, (286, 935), (520, 890))
    canvas.polygon(
        _SKIN, (190, 420), (300, 372), (432, 398), (470, 520), (432, 690), (250, 700), (190, 570)
    )
    for start, end, thickness in (
        ((225, 460), (148, 190), 76),
        ((296, 430), (252, 116), 82),
        ((366, 430), (352, 130), 80),
        ((428, 460), (438, 210), 68),
        ((228, 590), (84, 430), 88),
    ):
        canvas.line(_SKIN, thickness, start, end)
        canvas.disc((150, 176, 222), (end[0], end[1] + 2), thickness * 0.30)
    for knuckle in ((236, 470), (300, 440), (366, 440), (424, 470)):
        canvas.disc((112, 142, 192), knuckle, 20)
    for start, end in (
        ((262, 400), (262, 440)),
        ((332, 385), (332, 430)),
        ((398, 395), (398, 440)),
    ):
        canvas.line((92, 118, 168), 9, start, end)
    # Rounded: darker towards the edge, as if lit from above.
    solid = canvas.opacity.astype(np.float32) / np.float32(255)
    round_off = blurred(solid, 46 * unit)
    canvas.shade(((round_off - 0.86) * 110).astype(np.float32))
    canvas.blur(7)
    canvas.fibres(4.0, length=40, thickness=40)
    canvas.grain(3.0)
    canvas.opacity = cv2.GaussianBlur(canvas.opacity, (0, 0), max(0.3, 2.0 * unit)).astype(np.uint8)
    sprite = canvas.sprite((250, 130), shadow=44)
    if right:
        return sprite
    picture, opacity = np.fliplr(sprite.picture), np.fliplr(sprite.opacity)
    x, y = sprite.anchor
    return Sprite(
        np.ascontiguousarray(picture),
        np.ascontiguousarray(opacity),
        (canvas.width - 1 - x, y),
    )
