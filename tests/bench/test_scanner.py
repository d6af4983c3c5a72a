from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import pytest

from recorderd.bench import scanner
from recorderd.engine.locator import Luma
from recorderd.settings import LabelSettings
from tests.engine.label_images import bench, place, qr, qr_with_eci

LABEL = place(bench(640, 480), qr("ORD-1", 5), (0.5, 0.5))


def _figures(
    capsys: pytest.CaptureFixture[str], target: Path, labels: LabelSettings | None = None
) -> dict[str, dict[str, Any]]:
    assert scanner.run(target, labels or LabelSettings(), json=True) == 0
    return {entry["method"]: entry for entry in json.loads(capsys.readouterr().out)}


def _folder(folder: Path, pictures: dict[str, Luma], manifest: str | None) -> None:
    for name, luma in pictures.items():
        cv2.imwrite(str(folder / name), luma)
    if manifest is not None:
        (folder / "manifest.csv").write_text(manifest, encoding="utf-8")


def test_a_folder_with_a_manifest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pictures = {
        "right.png": LABEL,
        "wrong.png": LABEL,
        "empty.png": bench(640, 480),
        "phantom.png": LABEL,
        "deadly.png": place(bench(640, 480), qr_with_eci("ORD-666", 1), (0.5, 0.5)),
    }
    manifest = (
        "file,symbology,expected\n"
        "right.png,QR,ORD-1\nwrong.png,QR,ORD-2\nempty.png,none,\n"
        "phantom.png,none,\ndeadly.png,QR,ORD-666\n"
    )
    _folder(tmp_path, pictures, manifest)
    figures = _figures(capsys, tmp_path)
    zbar = figures["zbar, whole picture"]
    assert zbar["pictures"] == 5
    assert zbar["failures"] == 1
    assert zbar["read_rate"] == pytest.approx(2 / 3, abs=1e-3)
    assert zbar["right_rate"] == pytest.approx(1 / 3, abs=1e-3)
    assert zbar["phantoms"] == 2
    zxing = figures["zxing-cpp, whole picture"]
    assert zxing["failures"] == 0
    assert zxing["read_rate"] == 1
    assert zxing["right_rate"] == pytest.approx(2 / 3, abs=1e-3)
    assert figures["recorderd"]["read"] >= 2
    assert figures["recorderd"]["mean_ms"] > 0


def test_a_folder_without_a_manifest_knows_only_what_was_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _folder(tmp_path, {"a.png": LABEL, "b.png": bench(640, 480)}, None)
    (tmp_path / "notes.txt").write_text("not a picture")
    for entry in _figures(capsys, tmp_path).values():
        assert entry["pictures"] == 2
        assert entry["read_rate"] == 0.5
        assert entry["right_rate"] is None
        assert entry["phantoms"] == 0


def test_a_video_is_scanned_at_the_stations_pace(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "bench.mkv"
    with av.open(str(file), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(30))
        stream.width, stream.height, stream.pix_fmt = 640, 480, "yuv420p"
        for number in range(30):
            luma = LABEL if number >= 15 else bench(640, 480)
            frame = av.VideoFrame.from_ndarray(luma, format="gray").reformat(format="yuv420p")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    entry = _figures(capsys, file, LabelSettings(scans_per_second=6.0))["recorderd"]
    assert entry["pictures"] == 6
    assert entry["read_rate"] == 0.5


def test_the_table_is_for_people(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _folder(tmp_path, {"a.png": LABEL}, "file,text\na.png,ORD-1\n")
    assert scanner.run(tmp_path, LabelSettings(), json=False) == 0
    printed = capsys.readouterr().out
    assert "100.0 %" in printed
    assert "zxing-cpp" in printed


def test_nothing_to_measure_is_said_and_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert scanner.run(tmp_path, LabelSettings(), json=False) == 1
    assert "No pictures" in capsys.readouterr().err
    assert scanner.run(tmp_path / "missing.mp4", LabelSettings(), json=False) == 1
    assert "cannot be read" in capsys.readouterr().err
