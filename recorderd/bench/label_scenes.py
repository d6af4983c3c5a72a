"""Made-up pictures of a packing bench at 4K with a label in them, as hard to read as real ones.

Each is drawn anew: the label lies or is held at any angle and tilt, in any size a camera above a
bench may see it in, out of focus, in motion, under a lamp's glare or in poor light, under film, on
a tube, behind a finger, or white on black. How often and how much is chosen so that plain readers
do as well as they did on photographs and on other people's made-up pictures: zbar on the whole
picture reads a little more than half.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

import cv2
import numpy as np
import segno
from numpy.typing import NDArray

from recorderd.bench.clips import SIZE, hands_at_work
from recorderd.engine.locator import Luma
from recorderd.engine.sources.bench_scene import BenchPictures
from recorderd.engine.sources.bench_script import CYCLE_SECONDS

Random: TypeAlias = np.random.Generator
Values: TypeAlias = NDArray[np.float32]

_OVERSAMPLED: Final = 3
"""The label is drawn so much larger than it is seen: edges of modules fall anywhere."""

_PAPER, _INK = 225, 35


@dataclass(frozen=True, slots=True)
class Look:
    """How a label is seen. Lengths are in modules of its QR, angles in radians, shares 0 to 1.

    `module` is a module's side in pixels of the camera. `defocus` is the sigma of a Gaussian,
    `motion` a length. `glare` is of a lamp's reflection, 0 for none; `light` how much comes from
    the bench; `cover` how much of a corner without a finder pattern is hidden; `curve` how far
    around a tube it goes; `wrinkles` how far film moves what is under it.
    """

    module: float
    turned: float
    tilted: float
    tilted_towards: float
    defocus: float
    motion: float
    motion_towards: float
    glare: float
    light: float
    cover: float
    curve: float
    wrinkles: float
    inverted: bool
    jpeg_quality: int


@dataclass(frozen=True, slots=True)
class LabelScene:
    """A picture's luma, shape (2160, 3840), and what its label says; empty if it has none."""

    luma: Luma
    text: str


class LabelScenes:
    """Draws one picture after another; the same seed gives the same ones."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self._bench = BenchPictures(*SIZE)

    def single(self) -> LabelScene:
        """A picture by itself: what the camera happens to see."""
        look, label = _some_look(self._random), _Label(self._random)
        return LabelScene(self._seen(self.background(), label, look, self._spot()), label.text)

    def presentation(self, pictures: int) -> Iterator[LabelScene]:
        """A label that comes into view, slows down and lies still: so many pictures of it, as a
        station scans them."""
        look, label, spot = _some_look(self._random), _Label(self._random), self._spot()
        background = self.background()
        for number in range(pictures):
            # It is put down within a quarter of a second; a lens focuses at its own pace.
            moving = 2.0 * 0.25**number
            now = replace(
                look,
                motion=moving + 0.3 * look.motion,
                turned=look.turned + 0.12 * moving,
                defocus=look.defocus * (0.6 + 0.4 * 0.6**number),
            )
            x, y = spot[0] + 0.03 * moving, spot[1] - 0.02 * moving
            yield LabelScene(self._seen(background, label, now, (x, y)), label.text)

    def background(self) -> Luma:
        """The bench with hands at work and no label."""
        second = self._random.uniform(0, CYCLE_SECONDS)
        jpeg = self._bench.jpeg(hands_at_work(second), int(self._random.integers(1 << 20)))
        picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)
        return np.asarray(picture, np.uint8)

    def without_label(self) -> Luma:
        """The bench with print, bars and patterns that are no label."""
        look, label = _some_look(self._random), _Label(self._random, with_code=False)
        return self._seen(self.background(), label, look, self._spot())

    def _spot(self) -> tuple[float, float]:
        x, y = self._random.uniform((0.2, 0.25), (0.8, 0.75))
        return float(x), float(y)

    def _seen(self, background: Luma, label: _Label, look: Look, spot: tuple[float, float]) -> Luma:
        random = self._random
        picture = background.copy()
        paper, opacity = label.drawn(look, random)
        _lay(picture, paper, opacity, look, spot)
        if look.glare:
            _shine(picture, look, spot, random)
        dark = cv2.convertScaleAbs(picture, alpha=look.light)
        noise = _noise(picture.shape, 2.0 + 7.0 * (1 - look.light), random)
        noisy = cv2.add(dark, noise, dtype=cv2.CV_8U)
        done, jpeg = cv2.imencode(".jpg", noisy, [cv2.IMWRITE_JPEG_QUALITY, look.jpeg_quality])
        assert done  # noqa: S101 - OpenCV raises if it cannot
        return np.asarray(cv2.imdecode(jpeg, cv2.IMREAD_GRAYSCALE), np.uint8)


def _some_look(random: Random) -> Look:
    def sometimes(share: float, low: float, high: float) -> float:
        return float(random.uniform(low, high)) if random.random() < share else 0.0

    return Look(
        module=float(np.exp(random.uniform(np.log(2.7), np.log(9.0)))),
        turned=float(random.uniform(0, 2 * np.pi)),
        tilted=float(abs(random.normal(0, 0.3))),
        tilted_towards=float(random.uniform(0, 2 * np.pi)),
        defocus=float(random.uniform(0.1, 0.48)),
        motion=sometimes(0.3, 0.1, 0.8),
        motion_towards=float(random.uniform(0, np.pi)),
        glare=sometimes(0.15, 0.2, 0.7),
        light=1.0 - sometimes(0.25, 0.2, 0.6),
        cover=sometimes(0.1, 0.05, 0.2),
        curve=sometimes(0.15, 0.2, 0.7),
        wrinkles=sometimes(0.25, 0.05, 0.22),
        inverted=bool(random.random() < 0.04),
        jpeg_quality=int(random.integers(60, 92)),
    )


class _Label:
    """A shipping label: a QR among lines of print and bars."""

    def __init__(self, random: Random, *, with_code: bool = True) -> None:
        digits = "".join(str(number) for number in random.integers(0, 10, random.integers(6, 14)))
        self.text = f"{random.choice(['', 'ORDER-', 'https://shop.example/o/'])}{digits}"
        if not with_code:
            self.text = ""
        matrix = segno.make_qr(self.text or digits, error=str(random.choice(list("lmq"))))
        self.modules = np.array([list(row) for row in matrix.matrix], np.uint8)
        if not with_code:
            random.shuffle(self.modules)  # As busy as a code, and none.
        self._seed = int(random.integers(1 << 30))

    def drawn(self, look: Look, random: Random) -> tuple[Values, Values]:
        """The sheet of paper, `_OVERSAMPLED` times as large as seen, and where it is (0 to 1)."""
        cell = max(2, round(look.module * _OVERSAMPLED))
        side = len(self.modules) * cell
        quiet = 4 * cell
        width, height = side + 2 * quiet + round(side * 0.8), round(side * 1.7) + 2 * quiet
        paper = np.full((height, width), _PAPER, np.uint8)
        code = np.kron(self.modules, np.ones((cell, cell), np.uint8))
        ink = np.where(code, _INK, _PAPER)
        if look.inverted:
            ink = np.where(code, _PAPER, _INK)
            paper[: side + 2 * quiet, : side + 2 * quiet] = _INK
        paper[quiet : quiet + side, quiet : quiet + side] = ink
        self._print(paper, side, quiet, cell)
        if look.cover:
            reach = round(side * look.cover)
            corner = (quiet + side, quiet + side)
            cv2.ellipse(paper, corner, (reach, reach), 0, 0, 360, 140, -1, cv2.LINE_AA)
        return _bent(paper.astype(np.float32), look, quiet + side // 2, side, cell, random)

    def _print(self, paper: Luma, side: int, quiet: int, cell: int) -> None:
        random = np.random.default_rng(self._seed)
        width = paper.shape[1]
        for line in range(5):
            y = quiet + side + quiet + round(line * side * 0.11) + cell
            words = "".join(random.choice(list("ABCDEFGHKLMNRSTUVW 0123456789")) for _ in range(22))
            scale = side * 0.003
            cv2.putText(
                *(paper, words, (quiet, y), cv2.FONT_HERSHEY_SIMPLEX, scale, _INK),
                max(1, round(side * 0.008)),
                cv2.LINE_AA,
            )
        x, bar = quiet + side + quiet, max(1, round(side * 0.012))
        while x < width - quiet:
            wide = int(random.integers(1, 4)) * bar
            cv2.rectangle(paper, (x, quiet), (x + wide, quiet + side), _INK, -1)
            x += wide + int(random.integers(1, 4)) * bar


def _bent(
    paper: Values, look: Look, centre: int, side: int, cell: int, random: Random
) -> tuple[Values, Values]:
    """Around a tube, and wrinkled as film is."""
    height, width = paper.shape
    opacity = np.ones_like(paper)
    if not look.curve and not look.wrinkles:
        return paper, opacity
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    if look.curve:
        radius = side / (2 * look.curve)
        across = np.clip((x - centre) / radius, -0.98, 0.98)
        x = (centre + radius * np.arcsin(across)).astype(np.float32)
    if look.wrinkles:
        few = (max(2, height // (8 * cell)), max(2, width // (8 * cell)))
        for target in (x, y):
            waves = random.standard_normal(few, np.float32) * np.float32(look.wrinkles * cell)
            target += cv2.resize(waves, (width, height), interpolation=cv2.INTER_CUBIC)
    bent = cv2.remap(paper, x, y, cv2.INTER_LINEAR, borderValue=_PAPER)
    return bent.astype(np.float32), opacity


def _lay(
    picture: Luma, paper: Values, opacity: Values, look: Look, spot: tuple[float, float]
) -> None:
    """Put the sheet into the picture, turned and tilted, blurred as the lens and its motion do."""
    height, width = paper.shape
    corners = _corners(width / _OVERSAMPLED, height / _OVERSAMPLED, look)
    reach = int(np.abs(corners).max()) + 24
    side = 2 * reach
    sheet = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    into = cv2.getPerspectiveTransform(sheet, (corners + reach).astype(np.float32))
    small, there = (_shrunk(values) for values in (paper, opacity))
    scale = np.diag([_OVERSAMPLED, _OVERSAMPLED, 1.0])
    seen = cv2.warpPerspective(small, into @ scale, (side, side), flags=cv2.INTER_AREA)
    alpha = cv2.warpPerspective(there, into @ scale, (side, side), flags=cv2.INTER_LINEAR)
    seen, alpha = (_blurred(values.astype(np.float32), look) for values in (seen, alpha))
    left = round(spot[0] * picture.shape[1]) - reach
    top = round(spot[1] * picture.shape[0]) - reach
    x, y = max(0, left), max(0, top)
    right, bottom = min(picture.shape[1], left + side), min(picture.shape[0], top + side)
    part = np.s_[y - top : bottom - top, x - left : right - left]
    under = picture[y:bottom, x:right].astype(np.float32)
    picture[y:bottom, x:right] = np.clip(under * (1 - alpha[part]) + seen[part], 0, 255)


def _shrunk(values: Values) -> Values:
    """To the camera's pixels: each averages what falls on it."""
    height, width = values.shape
    size = (max(1, width // _OVERSAMPLED), max(1, height // _OVERSAMPLED))
    return cv2.resize(values, size, interpolation=cv2.INTER_AREA).astype(np.float32)


def _corners(width: float, height: float, look: Look) -> Values:
    """Of the sheet around its middle, in pixels: turned in its plane, then tilted out of it."""
    flat = np.array(
        [[-width, -height], [width, -height], [width, height], [-width, height]], np.float64
    )
    flat /= 2
    cosine, sine = np.cos(look.turned), np.sin(look.turned)
    turned = flat @ np.array([[cosine, sine], [-sine, cosine]])
    towards = np.array([np.cos(look.tilted_towards), np.sin(look.tilted_towards)])
    along = turned @ towards
    depth = along * np.sin(look.tilted)
    shortened = turned + np.outer(along * (np.cos(look.tilted) - 1), towards)
    distance = 6 * max(width, height)
    seen = shortened * (distance / (distance + depth))[:, None]
    return np.asarray(seen, np.float32)


def _blurred(values: Values, look: Look) -> Values:
    blurred = cv2.GaussianBlur(values, (0, 0), max(0.3, look.defocus * look.module))
    length = look.motion * look.module
    if length < 1:
        return blurred.astype(np.float32)
    size = 2 * int(np.ceil(length / 2)) + 1
    kernel = np.zeros((size, size), np.float32)
    middle = size // 2
    step = np.array([np.cos(look.motion_towards), np.sin(look.motion_towards)]) * length / 2
    ends = [tuple(round(middle + sign * part) for part in step) for sign in (-1, 1)]
    cv2.line(kernel, ends[0], ends[1], 1.0, 1)
    return cv2.filter2D(blurred, -1, kernel / kernel.sum()).astype(np.float32)


def _shine(picture: Luma, look: Look, spot: tuple[float, float], random: Random) -> None:
    """A lamp's reflection on film, somewhere on the label."""
    reach = round(look.module * 25)
    x, y = (
        round(place * size + float(random.normal(0, 0.5)) * reach)
        for place, size in zip(spot, (picture.shape[1], picture.shape[0]), strict=True)
    )
    left, top = max(0, x - 2 * reach), max(0, y - 2 * reach)
    part = picture[top : y + 2 * reach, left : x + 2 * reach]
    if part.size == 0:
        return
    rows, columns = np.mgrid[0 : part.shape[0], 0 : part.shape[1]].astype(np.float32)
    away = ((columns + left - x) ** 2 + (rows + top - y) ** 2) / np.float32(reach * 0.5) ** 2
    light = 255 * look.glare * np.exp(-away / 2)
    part[:] = np.clip(part + light, 0, 255).astype(np.uint8)


def _noise(shape: tuple[int, ...], sigma: float, random: Random) -> NDArray[np.int16]:
    """Of a camera; a patch of it repeats at random places, which no reader can know."""
    patch = random.standard_normal((540, 960), np.float32) * np.float32(sigma)
    tiled = np.tile(patch, (shape[0] // 540 + 1, shape[1] // 960 + 1))[: shape[0], : shape[1]]
    return tiled.astype(np.int16)
