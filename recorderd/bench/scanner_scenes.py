"""`recorderd bench scanner` without pictures of your own: how well labels are read at 4K.

Ours works as in the station: in a process of its own, remembering from picture to picture. The
others get the whole picture. All see the same pictures, one after another, on one thread.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from typing import Final, TypeAlias

import cv2
import numpy as np

from recorderd.bench.clips import SIZE
from recorderd.bench.label_scenes import LabelScenes
from recorderd.bench.report import goals_line, number, table, tell, unmet
from recorderd.engine.locator import Luma
from recorderd.engine.scanner import Scanner
from recorderd.settings import LabelSettings

Read: TypeAlias = Callable[[Luma], list[str]]
"""The texts in a picture."""

OURS: Final = "recorderd"
SINGLE_GOAL: Final = 0.88
PRESENTED_GOAL: Final = 0.98
MILLISECONDS_GOAL: Final = 10.0
IDLE_GOAL: Final = 2.0
BY_PICTURE: Final = 5
_SEED: Final = 20250131
_PICTURES_OF_A_PRESENTATION: Final = 8
_WITHOUT_LABEL_EACH: Final = 20
_STILL_PICTURES: Final = 100
_TIME_LIMIT: Final = 20.0


@dataclass(slots=True)
class Tally:
    """What one reader made of single pictures; `milliseconds` of each."""

    name: str
    right: int = 0
    phantoms: int = 0
    milliseconds: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        return self.right / max(1, len(self.milliseconds))

    @property
    def mean(self) -> float:
        return float(np.mean(self.milliseconds or [0.0]))


@dataclass(frozen=True, slots=True)
class Findings:
    """`by_picture` counts presentations that were read by their first, second ... picture;
    `empty_phantoms` is of `empty` pictures without a label; `idle_milliseconds` is for a
    picture in which nothing has changed."""

    singles: list[Tally]
    presentations: int
    by_picture: list[int]
    empty: int
    empty_phantoms: int
    idle_milliseconds: float

    @property
    def ours(self) -> Tally:
        return self.singles[0]

    @property
    def missed(self) -> list[str]:
        """Goals in words."""
        presented = self.by_picture[BY_PICTURE - 1] / max(1, self.presentations)
        return unmet(
            (f"{SINGLE_GOAL:.0%} of single pictures", self.ours.rate >= SINGLE_GOAL),
            (f"{MILLISECONDS_GOAL:g} ms a picture", self.ours.mean <= MILLISECONDS_GOAL),
            (
                f"{PRESENTED_GOAL:.0%} by picture {BY_PICTURE}",
                presented >= PRESENTED_GOAL,
            ),
            ("no phantom", not self.ours.phantoms and not self.empty_phantoms),
            (f"{IDLE_GOAL:g} ms when idle", self.idle_milliseconds <= IDLE_GOAL),
        )


def run(labels: LabelSettings, pictures: int, empty: int, as_json: bool) -> int:
    """Measure on so many single pictures, a quarter as many presentations, and `empty` pictures
    without a label; print. Returns 0, or 1 if a goal was missed. Raises DeviceError."""
    findings = measured(labels, pictures, empty)
    return tell(
        "scanner",
        shown(findings),
        as_json=as_json,
        failed=bool(findings.missed),
        missed=findings.missed,
        **asdict(findings),
    )


def measured(labels: LabelSettings, pictures: int, empty: int) -> Findings:
    """Raises DeviceError if a scanner process cannot be started."""
    with ExitStack() as cleanup:
        ours = _process(labels, "combined", cleanup)
        readers: dict[str, Read] = {OURS: ours, **_others(labels, cleanup)}
        scenes = LabelScenes(_SEED)
        singles = _singles(readers, scenes, pictures)
        _say("presentations")
        presentations = max(1, pictures // 4)
        by_picture = _presented(ours, scenes, presentations)
        _say("pictures without a label")
        phantoms = sum(bool(ours(luma)) for luma in _without_label(scenes, empty))
        idle = _idle(ours, scenes)
    return Findings(singles, presentations, by_picture, empty, phantoms, idle)


def _singles(readers: dict[str, Read], scenes: LabelScenes, pictures: int) -> list[Tally]:
    tallies = [Tally(name) for name in readers]
    for done in range(pictures):
        if done % 50 == 0:
            _say(f"single pictures: {done} of {pictures}")
        scene = scenes.single()
        for tally, read in zip(tallies, readers.values(), strict=True):
            began = time.perf_counter()
            texts = read(scene.luma)
            tally.milliseconds.append(1000 * (time.perf_counter() - began))
            tally.right += scene.text in texts
            tally.phantoms += bool(set(texts) - {scene.text})
    return tallies


def _presented(read: Read, scenes: LabelScenes, presentations: int) -> list[int]:
    by_picture = [0] * _PICTURES_OF_A_PRESENTATION
    for _ in range(presentations):
        for _ in range(2):
            read(scenes.background())  # Nothing is remembered of the one before.
        pictures = scenes.presentation(_PICTURES_OF_A_PRESENTATION)
        for place, scene in enumerate(pictures):
            if scene.text in read(scene.luma):
                for later in range(place, _PICTURES_OF_A_PRESENTATION):
                    by_picture[later] += 1
                break
    return by_picture


def _without_label(scenes: LabelScenes, pictures: int) -> Iterator[Luma]:
    """Few are drawn, and each is shown from several sides and in several lights."""
    random = np.random.default_rng(_SEED)
    for shown_already in range(pictures):
        if shown_already % _WITHOUT_LABEL_EACH == 0:
            drawn = scenes.without_label()
        moved = np.roll(drawn, random.integers(0, min(SIZE), 2), axis=(0, 1))
        flipped = cv2.flip(moved, int(random.integers(-1, 2)))
        lit = cv2.convertScaleAbs(flipped, alpha=random.uniform(0.5, 1.3))
        yield np.asarray(lit, np.uint8)


def _idle(read: Read, scenes: LabelScenes) -> float:
    """Milliseconds for a picture of a bench at which nobody is; the camera's noise goes on."""
    random = np.random.default_rng(_SEED)
    bench = scenes.background()
    noise = random.integers(-3, 4, (*bench.shape, 4), np.int8)
    spent = 0.0
    for number_of_picture in range(_STILL_PICTURES):
        grain = noise[:, :, number_of_picture % 4]
        picture = np.asarray(cv2.add(bench, grain, dtype=cv2.CV_8U), np.uint8)
        began = time.perf_counter()
        read(picture)
        # At first all that can be tried is tried once; after that nothing is new.
        if number_of_picture >= _STILL_PICTURES // 2:
            spent += time.perf_counter() - began
    return 1000 * spent / (_STILL_PICTURES - _STILL_PICTURES // 2)


def _others(labels: LabelSettings, cleanup: ExitStack) -> dict[str, Read]:
    """Whole pictures, as a plain program would read them."""
    detector = cv2.QRCodeDetector()

    def opencv(luma: Luma) -> list[str]:
        _, texts, _, _ = detector.detectAndDecodeMulti(luma)
        return [text for text in texts if text]

    others: dict[str, Read] = {
        "zbar-py": _process(labels, "zbar", cleanup),
        "zxing-cpp": _process(labels, "zxing", cleanup),
        "OpenCV": opencv,
    }
    try:
        from pyzbar.pyzbar import ZBarSymbol, decode
    except ImportError:  # Also if the library zbar itself is not there.
        return others

    def pyzbar(luma: Luma) -> list[str]:
        found = decode(luma, symbols=[ZBarSymbol.QRCODE])
        return [code.data.decode("utf-8", "replace") for code in found]

    return {**others, "pyzbar": pyzbar}


def _process(labels: LabelSettings, method: str, cleanup: ExitStack) -> Read:
    scanner = Scanner(labels, *SIZE, method=method, time_limit=_TIME_LIMIT, restart_seconds=0.0)
    cleanup.callback(scanner.close)
    scanner.start()
    return lambda luma: [code.text for code in scanner.scan(luma).codes]


def shown(findings: Findings) -> str:
    """For people."""
    lines: list[Sequence[str]] = [("single pictures", "read", "phantoms", "mean", "p95")]
    for tally in findings.singles:
        p95 = float(np.percentile(tally.milliseconds or [0.0], 95))
        lines.append(
            (
                tally.name,
                f"{tally.rate:.1%}",
                str(tally.phantoms),
                f"{number(tally.mean)} ms",
                f"{number(p95)} ms",
            )
        )
    by_picture = ", ".join(
        f"{count / max(1, findings.presentations):.0%}" for count in findings.by_picture
    )
    return (
        f"Made-up 4K pictures of a bench, {len(findings.ours.milliseconds)} with a label.\n\n"
        f"{table(lines)}\n\n"
        f"{findings.presentations} labels put down on the bench, read by picture 1, 2, ...: "
        f"{by_picture}\n"
        f"{findings.empty} pictures without a label: {findings.empty_phantoms} phantoms\n"
        f"A picture in which nothing has changed: {number(findings.idle_milliseconds)} ms\n"
        f"{goals_line(findings.missed)}"
    )


def _say(what: str) -> None:
    print(f"{what} ...", file=sys.stderr, flush=True)
