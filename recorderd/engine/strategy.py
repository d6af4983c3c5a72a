"""How the two readers are put to work on a picture to get the most for little time.

Runs only in the scanner process: zbar may abort it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from enum import StrEnum
from typing import Protocol

import cv2
import numpy as np

from recorderd.core.model import Code, Symbology
from recorderd.engine.locator import Luma, Region, halve, locate, pyramid
from recorderd.engine.readers import Reader, Reading, ZbarReader, ZxingReader


class Method(StrEnum):
    """How a picture is searched; the station uses COMBINED, the bench compares them."""

    COMBINED = "combined"
    ZBAR = "zbar"
    ZXING = "zxing"


class LabelReader(Protocol):
    """Reads the codes of one picture after another. Used by one thread."""

    def read(self, luma: Luma, use_zbar: bool) -> tuple[Code, ...]: ...


class WholePictureReader:
    """One reader, let loose on the full picture: what a plain program would do."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def read(self, luma: Luma, use_zbar: bool) -> tuple[Code, ...]:  # noqa: ARG002
        codes = _Codes(luma.shape, minimum_code128_length=0)
        codes.add(self._reader.read(luma))
        return codes.all


def label_reader(
    method: Method,
    symbologies: Collection[Symbology],
    minimum_code128_length: int,
    second_reader: bool,
) -> LabelReader:
    """The reader that `method` names."""
    if method is Method.ZBAR:
        return WholePictureReader(ZbarReader(symbologies))
    if method is Method.ZXING:
        return WholePictureReader(ZxingReader(symbologies, thorough=True))
    return CombinedReader(symbologies, minimum_code128_length, second_reader)


class _Codes:
    """The codes of one picture, each text once; refuses Code 128 that is too short."""

    def __init__(self, shape: tuple[int, ...], minimum_code128_length: int) -> None:
        self._height, self._width = shape
        self._minimum_code128_length = minimum_code128_length
        self._codes: dict[tuple[str, Symbology], Code] = {}

    def add(
        self, readings: Iterable[Reading], left: int = 0, top: int = 0, scale: float = 1.0
    ) -> bool:
        """Take what was read in a part of the picture that was `scale` times enlarged."""
        before = len(self._codes)
        for reading in readings:
            if (
                reading.symbology is Symbology.CODE_128
                and len(reading.text) < self._minimum_code128_length
            ):
                continue
            corners = tuple(
                (
                    min(1.0, max(0.0, (x / scale + left) / self._width)),
                    min(1.0, max(0.0, (y / scale + top) / self._height)),
                )
                for x, y in reading.corners
            )
            key = (reading.text, reading.symbology)
            self._codes.setdefault(key, Code(reading.text, reading.symbology, corners))
        return len(self._codes) > before

    @property
    def all(self) -> tuple[Code, ...]:
        return tuple(self._codes.values())

    def covers(self, region: Region) -> bool:
        return any(region.overlap(_bounds(code)) > 0.5 for code in self._codes.values())


def _bounds(code: Code) -> Region:
    across = [x for x, _ in code.corners]
    down = [y for _, y in code.corners]
    return Region(min(across), min(down), max(across), max(down))


_ZBAR_SIDE = 240
"""Longest side to which a region is brought for zbar (measured: best of 160 to 480)."""
_THRESHOLD_SIDE = 360
_ZXING_SIDE = 1000
"""Longest side, in pixels, to which a region is brought for zxing-cpp, but at most twice as
large as it came: that reads small labels in 96 of 100 pictures, and 91 as they came (measured)."""
_SHARPENED_SIDE = 800
_REDUCED_SIDE = 480
_REGIONS_TRIED = 3
"""The true label is nearly always the likeliest region (measured: 115 of 115 found)."""
_OTHERS_EVERY = 3
_ATTEMPT_EVERY = 4
_FIRST_REST_SCANS = 12
_LONGEST_REST_SCANS = 96
_CHANGED_BY = 16
_TRACKING_MARGIN = 0.35


class CombinedReader:
    """The station's strategy: little work on every picture, more where it can pay.

    Every picture: look again where codes were last seen, find label-like regions on the
    reduced picture, and read the best of them: zxing-cpp enlarged, then sharpened, then zbar
    (measured on regions of 4K: 96, 95 and 70 of 100 in 0.6, 0.4 and 1.4 ms); then zxing-cpp on
    the half-size picture. If all that found nothing, now and then one costlier attempt. A
    picture that does not change gets all of these attempts, one a scan, then a rest, which is
    longer each time.
    """

    def __init__(
        self, symbologies: Collection[Symbology], minimum_code128_length: int, second_reader: bool
    ) -> None:
        self._minimum_code128_length = minimum_code128_length
        self._second_reader = second_reader
        self._bars_wanted = Symbology.CODE_128 in symbologies
        self._zbar = ZbarReader(symbologies)
        self._zxing = ZxingReader(symbologies, thorough=False)
        self._zxing_thorough = ZxingReader(symbologies, thorough=True)
        self._attempts: tuple[Callable[[_Look], None], ...] = (
            self._zxing_on_sharpened_and_enlarged,
            self._thoroughly_on_half,
            self._zbar_on_thresholded_regions,
            self._zxing_on_reduced,
            self._zxing_on_everything,
            self._zbar_on_everything,
        )
        self._scans = 0
        self._misses = 0
        self._misses_while_still = 0
        self._next_attempt = 0
        self._rest_scans = _FIRST_REST_SCANS
        self._regions: list[Region] = []
        self._remembered: tuple[Region, ...] = ()
        self._reference: Luma | None = None

    def read(self, luma: Luma, use_zbar: bool) -> tuple[Code, ...]:
        """All codes in `luma`. Without zbar, zxing-cpp does the work even if not a second reader.

        Returns each text once, corners as fractions of the picture.
        """
        self._scans += 1
        codes = _Codes(luma.shape, self._minimum_code128_length)
        look = _Look(luma, codes, use_zbar, self._second_reader or not use_zbar)
        changed = self._has_changed(look.levels[-1])
        if not self._remembered and self._resting():
            return ()
        self._track(look)
        found_again = len(codes.all) >= len(self._remembered) > 0
        if changed or not found_again or self._others_due:
            fresh = changed or self._misses_while_still == 0
            if fresh:
                self._search(look)
            if not codes.all and (not changed or self._misses % _ATTEMPT_EVERY == 0):
                self._attempt(look)
            if not codes.all:
                self._misses += 1
        self._remembered = tuple(_bounds(code).grown(_TRACKING_MARGIN) for code in codes.all)
        if self._remembered:
            self._misses_while_still = 0
        return codes.all

    @property
    def _others_due(self) -> bool:
        """A product's code that is read at once must not hide a label that is hard to read."""
        return self._scans % _OTHERS_EVERY == 0

    def _has_changed(self, working: Luma) -> bool:
        """Compare with the last picture that differed, at an eighth of a 4K picture's size."""
        small = halve(working)
        reference = self._reference
        if reference is not None and reference.shape == small.shape:
            difference = cv2.absdiff(small, reference)
            if int(difference.max()) < _CHANGED_BY:
                return False
        self._reference = small
        self._misses_while_still = 0
        self._rest_scans = _FIRST_REST_SCANS
        return True

    def _resting(self) -> bool:
        """True while nothing new can be tried. It ends by itself: a lens may still focus."""
        beyond = self._misses_while_still - len(self._attempts)
        if beyond < 0:
            return False
        if beyond + 1 < self._rest_scans:
            self._misses_while_still += 1
        else:
            self._misses_while_still = 0
            self._rest_scans = min(2 * self._rest_scans, _LONGEST_REST_SCANS)
        return True

    def _track(self, look: _Look) -> None:
        for region in self._remembered:
            if look.use_zxing and self._zxing_on(look, region):
                continue
            if look.use_zbar:
                self._zbar_on(look, region)

    def _search(self, look: _Look) -> None:
        found = locate(look.levels[-1])
        self._regions = [region for region in found if not look.codes.covers(region)]
        unread = self._regions[:_REGIONS_TRIED]
        ways = [self._zxing_on, self._zxing_on_sharpened] if look.use_zxing else []
        ways += [self._zbar_on] if look.use_zbar else []
        for way in ways:
            # A product's code that is read at once must not hide a label that is hard to read.
            unread = [region for region in unread if not way(look, region)]
            if look.codes.all and not self._others_due:
                break
        if look.use_zxing and (self._others_due or self._bars_wanted or not look.codes.all):
            look.codes.add(self._zxing.read(look.half), scale=look.half_scale)
        elif self._bars_wanted:
            look.codes.add(self._zbar.read(look.half), scale=look.half_scale)
        if look.use_zxing and not look.codes.all:
            for region in self._regions[_REGIONS_TRIED:]:
                self._zxing_on(look, region)

    def _attempt(self, look: _Look) -> None:
        self._attempts[self._next_attempt](look)
        self._next_attempt = (self._next_attempt + 1) % len(self._attempts)
        self._misses_while_still += 1

    def _zbar_on(self, look: _Look, region: Region) -> bool:
        crop, left, top = region.crop(look.luma)
        if crop.size == 0:
            return False
        prepared, scale = _resized(cv2.GaussianBlur(crop, (3, 3), 0), _ZBAR_SIDE)
        return look.codes.add(self._zbar.read(prepared), left, top, scale)

    def _zxing_on(self, look: _Look, region: Region) -> bool:
        return self._zxing_prepared(look, region, 2.0, _ZXING_SIDE)

    def _zxing_on_sharpened(self, look: _Look, region: Region) -> bool:
        """For labels out of focus or in motion."""
        return self._zxing_prepared(look, region, 1.0, _SHARPENED_SIDE, sharpened=1.5)

    def _zxing_on_sharpened_and_enlarged(self, look: _Look) -> None:
        for region in self._regions[:_REGIONS_TRIED] if look.use_zxing else ():
            self._zxing_prepared(look, region, 2.0, _ZXING_SIDE, sharpened=3.0)

    def _zxing_on_reduced(self, look: _Look) -> None:
        """For large labels, of which film and folds bend every module."""
        for region in self._regions[:_REGIONS_TRIED] if look.use_zxing else ():
            self._zxing_prepared(look, region, 2.0, _REDUCED_SIDE)

    def _zxing_prepared(
        self, look: _Look, region: Region, enlarged: float, side: int, sharpened: float = 0.0
    ) -> bool:
        """Brought to `side` pixels, but enlarged at most so much; `sharpened` is the sigma, in
        pixels, of what is taken away."""
        crop, left, top = region.crop(look.luma)
        if crop.size == 0:
            return False
        prepared, scale = _resized(crop, min(round(enlarged * max(crop.shape)), side))
        if sharpened:
            soft = cv2.GaussianBlur(prepared, (0, 0), sharpened)
            prepared = np.asarray(cv2.addWeighted(prepared, 2.0, soft, -1.0, 0.0), dtype=np.uint8)
        return look.codes.add(self._zxing_thorough.read(prepared), left, top, scale)

    def _zbar_on_thresholded_regions(self, look: _Look) -> None:
        if not look.use_zbar:
            return
        for region in self._regions[:_REGIONS_TRIED]:
            crop, left, top = region.crop(look.luma)
            if crop.size == 0:
                continue
            prepared, scale = _resized(crop, _THRESHOLD_SIDE)
            black_and_white = np.asarray(
                cv2.adaptiveThreshold(
                    prepared, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY, 31, 5
                ),
                dtype=np.uint8,
            )
            look.codes.add(self._zbar.read(black_and_white), left, top, scale)

    def _thoroughly_on_half(self, look: _Look) -> None:
        if look.use_zxing:
            look.codes.add(self._zxing_thorough.read(look.half), scale=look.half_scale)

    def _zbar_on_everything(self, look: _Look) -> None:
        if look.use_zbar:
            working = look.levels[-1]
            look.codes.add(self._zbar.read(working), scale=working.shape[1] / look.luma.shape[1])

    def _zxing_on_everything(self, look: _Look) -> None:
        if look.use_zxing:
            look.codes.add(self._zxing.read(look.luma))


class _Look:
    """One picture while it is being searched."""

    __slots__ = ("codes", "half", "levels", "luma", "use_zbar", "use_zxing")

    def __init__(self, luma: Luma, codes: _Codes, use_zbar: bool, use_zxing: bool) -> None:
        self.luma = luma
        self.codes = codes
        self.levels = pyramid(luma)
        self.half = self.levels[min(1, len(self.levels) - 1)]
        self.use_zbar = use_zbar
        self.use_zxing = use_zxing

    @property
    def half_scale(self) -> float:
        return float(self.half.shape[1] / self.luma.shape[1])


def _resized(luma: Luma | cv2.typing.MatLike, longest_side: int) -> tuple[Luma, float]:
    height, width = luma.shape[:2]
    scale = longest_side / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    if size == (width, height):
        return np.asarray(luma, dtype=np.uint8), 1.0
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(luma, size, interpolation=way), dtype=np.uint8), scale
