"""`recorderd bench scanner`: how well and how fast labels are read, on your own pictures.

Each method runs in a scanner process of its own, since a picture can kill the reader.
"""

from __future__ import annotations

import csv
import json as json_format
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from recorderd.engine.locator import Luma
from recorderd.engine.scanner import Scanner
from recorderd.settings import LabelSettings

_METHODS = {
    "combined": "recorderd",
    "zbar": "zbar, whole picture",
    "zxing": "zxing-cpp, whole picture",
}
_LARGEST_SIDE = 8192
_TIME_LIMIT = 20.0
_SYMBOLOGY_NAMES = {"qr": "qr", "code128": "code128", "none": ""}


@dataclass(frozen=True, slots=True)
class Picture:
    """`labelled` is whether a wanted code is in it, `text` what it says; None is not known."""

    name: str
    luma: Luma
    labelled: bool | None = None
    text: str | None = None


@dataclass(slots=True)
class Score:
    """What one method made of all pictures.

    `read` counts labelled (or unknown) pictures in which anything was read at first sight,
    `read_in_time` within a second of scans of the same picture. `right` counts those whose
    known text was read. A phantom is a code where none is, or only another text than is there.
    """

    method: str
    pictures: int = 0
    candidates: int = 0
    read: int = 0
    read_in_time: int = 0
    texts_known: int = 0
    right: int = 0
    phantoms: int = 0
    failures: int = 0
    milliseconds: list[float] = field(default_factory=list)

    def summary(self) -> dict[str, Any]:
        """Rates are fractions, None where nothing is known; times are in milliseconds."""
        counts = {key: value for key, value in asdict(self).items() if key != "milliseconds"}
        times = np.array(self.milliseconds or [0.0])
        return counts | {
            "read_rate": _rate(self.read, self.candidates),
            "read_rate_in_time": _rate(self.read_in_time, self.candidates),
            "right_rate": _rate(self.right, self.texts_known),
            "mean_ms": round(float(times.mean()), 2),
            "p95_ms": round(float(np.percentile(times, 95)), 2),
        }


def run(target: Path, labels: LabelSettings, json: bool) -> int:
    """Measure on a folder of pictures or on a video and print the figures.

    A folder may hold a `manifest.csv` with the columns `file`, `text` (or `expected`) and,
    if wanted, `symbology` (QR, CODE128, none): only then are wrong texts and phantoms known.
    Of a video, as many pictures a second are scanned as the station would scan. Returns the
    exit code: 0, or 1 if there was nothing to measure.
    """
    scores = {method: Score(title) for method, title in _METHODS.items()}
    scanners = {
        method: Scanner(
            labels,
            _LARGEST_SIDE,
            _LARGEST_SIDE,
            method=method,
            time_limit=_TIME_LIMIT,
            restart_seconds=0.0,
            quarantine_seconds=0.0,
        )
        for method in _METHODS
    }
    again = 0 if target.is_file() else max(0, round(labels.scans_per_second) - 1)
    try:
        for scanner in scanners.values():
            scanner.start()
        for picture in _pictures(target, labels):
            for method, scanner in scanners.items():
                _measure(scores[method], scanner, picture, again if method == "combined" else 0)
    except (OSError, av.FFmpegError) as error:
        print(f"{target} cannot be read: {error}", file=sys.stderr)
        return 1
    finally:
        for scanner in scanners.values():
            scanner.close()
    if not any(score.pictures for score in scores.values()):
        print(f"No pictures in {target}", file=sys.stderr)
        return 1
    summaries = [score.summary() for score in scores.values()]
    print(json_format.dumps(summaries, indent=2) if json else _table(summaries))
    return 0


def _measure(score: Score, scanner: Scanner, picture: Picture, again: int) -> None:
    result = scanner.scan(picture.luma)
    score.pictures += 1
    score.milliseconds.append(result.milliseconds)
    texts = {_comparable(code.text) for code in result.codes}
    at_first_sight = bool(texts)
    while not texts and again > 0 and result.problem is None:
        result = scanner.scan(picture.luma)
        texts = {_comparable(code.text) for code in result.codes}
        again -= 1
    score.failures += result.problem is not None
    if picture.labelled is False:
        score.phantoms += bool(texts)
        return
    score.candidates += 1
    score.read += at_first_sight
    score.read_in_time += bool(texts)
    if picture.text is not None:
        right = _comparable(picture.text) in texts
        score.texts_known += 1
        score.right += right
        score.phantoms += bool(texts) and not right


def _pictures(target: Path, labels: LabelSettings) -> Iterator[Picture]:
    if target.is_dir():
        yield from _folder(target, labels)
    else:
        yield from _video(target, labels)


def _folder(folder: Path, labels: LabelSettings) -> Iterator[Picture]:
    manifest = folder / "manifest.csv"
    known: dict[str, dict[str, str]] = {}
    if manifest.exists():
        with manifest.open(newline="", encoding="utf-8") as lines:
            known = {row["file"]: row for row in csv.DictReader(lines) if row.get("file")}
    for file in sorted(folder.iterdir()):
        if not file.is_file() or (known and file.name not in known):
            continue
        luma = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)
        if luma is None:
            continue
        picture = Picture(file.name, np.asarray(luma, dtype=np.uint8))
        yield picture if not known else _described(picture, known[file.name], labels)


def _described(picture: Picture, row: dict[str, str], labels: LabelSettings) -> Picture:
    text = row.get("text") or row.get("expected") or None
    symbology = row.get("symbology")
    if symbology is None:
        return Picture(picture.name, picture.luma, text is not None, text)
    wanted = _SYMBOLOGY_NAMES.get(symbology.lower(), "") in labels.symbologies
    return Picture(picture.name, picture.luma, wanted, text if wanted else None)


def _video(file: Path, labels: LabelSettings) -> Iterator[Picture]:
    with av.open(str(file)) as container:
        stream = container.streams.video[0]
        rate = stream.average_rate or Fraction(30)
        step = max(1, round(float(rate) / labels.scans_per_second))
        for number, frame in enumerate(container.decode(stream)):
            if number % step == 0:
                luma: NDArray[np.uint8] = np.asarray(frame.to_ndarray(format="gray"), np.uint8)
                yield Picture(f"frame {number}", luma)


def _comparable(text: str) -> str:
    """A table of texts does not keep the difference between line endings."""
    return text.replace("\r\n", "\n")


def _rate(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def _table(summaries: list[dict[str, Any]]) -> str:
    lines = [
        f"{summaries[0]['pictures']} pictures",
        f"{'method':26}{'read':>8}{'in 1 s':>8}{'right':>8}"
        f"{'phantoms':>10}{'failures':>10}{'mean':>10}{'p95':>10}",
    ]
    for entry in summaries:
        lines.append(
            f"{entry['method']:26}{_percent(entry['read_rate']):>8}"
            f"{_percent(entry['read_rate_in_time']):>8}{_percent(entry['right_rate']):>8}"
            f"{entry['phantoms']:>10}{entry['failures']:>10}"
            f"{entry['mean_ms']:>7.1f} ms{entry['p95_ms']:>7.1f} ms"
        )
    return "\n".join(lines)


def _percent(rate: float | None) -> str:
    return "-" if rate is None else f"{100 * rate:.1f} %"
