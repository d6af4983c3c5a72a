"""`recorderd export`: what is handed on proves itself, on any computer."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import threading
import zipfile
from pathlib import Path
from typing import Any

import av
import pytest

from recorderd.cli import main
from recorderd.errors import StorageError
from recorderd.export import run_export
from recorderd.finisher.run import Finisher
from recorderd.proof.seals import EvidenceError
from recorderd.proof.stand_alone import Check, file_hash
from recorderd.store.visits import take_in
from tests.web.archive import HOSTILE, Archive, video


def export(archive: Archive, order_id: str, folder: Path, megabytes: int | None = None) -> Path:
    """The folder into which an export was unpacked."""
    target = folder / "proof.zip"
    assert run_export(archive.settings, order_id, target, megabytes) == 0
    unpacked = folder / "unpacked"
    with zipfile.ZipFile(target) as packed:
        packed.extractall(unpacked)
    return unpacked


def check(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The verifier as whoever receives it runs it: without any of our packages."""
    return subprocess.run(
        [sys.executable, "-I", "-S", folder / "verify.py", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        cwd="/",
        env={"PATH": os.environ["PATH"]},
    )


@pytest.fixture
def proof(archive: Archive, finisher: Finisher, tmp_path: Path) -> Path:
    """Two takes of an order, sealed between others, unpacked."""
    archive.save("SO-0", content=b"before")
    archive.save("SO-1", after=60, content=video(2))
    archive.save("SO-2", after=120, content=b"between")
    archive.save("SO-1", after=180, content=video(3))
    finisher.look()
    return export(archive, "SO-1", tmp_path)


def test_all_is_as_it_was_sealed(archive: Archive, proof: Path) -> None:
    done = check(proof)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "videos/SO-1-take-1.mp4: unchanged since it was sealed" in done.stdout
    assert "videos/SO-1-take-2.mp4: unchanged since it was sealed" in done.stdout
    assert "order SO-1, take 2, part 1: recorded 2026-07-04T12:03:00.123456Z" in done.stdout
    key = str(archive.settings.public_key_file)
    assert check(proof, "--key", key).returncode == 0
    assert {path.name for path in proof.iterdir()} == {
        "README.txt", "summary.html", "manifest.json", "verify.py", "station-key.pem",
        "seals", "videos", "labels",
    }  # fmt: skip
    assert (proof / "videos/SO-1-take-1.mp4").read_bytes() == video(2)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_a_flipped_bit_is_found_and_named(proof: Path) -> None:
    flip(proof / "videos/SO-1-take-2.mp4")
    done = check(proof)
    assert done.returncode == 1
    assert "NOT AS SEALED: videos/SO-1-take-2.mp4: it was changed" in done.stdout
    assert "videos/SO-1-take-1.mp4: unchanged" in done.stdout


def test_swapped_and_missing_and_foreign_files(proof: Path) -> None:
    (proof / "videos/SO-1-take-1.mp4").rename(proof / "x")
    (proof / "videos/SO-1-take-2.mp4").rename(proof / "videos/SO-1-take-1.mp4")
    (proof / "x").rename(proof / "videos/another.mp4")
    text = check(proof).stdout
    assert "NOT AS SEALED: videos/SO-1-take-1.mp4: it was changed" in text
    assert "NOT AS SEALED: videos/SO-1-take-2.mp4: it is missing" in text
    assert "NOT AS SEALED: videos/another.mp4: it does not belong to this proof" in text


def test_another_picture_of_the_label(proof: Path) -> None:
    flip(proof / "labels/SO-1-take-1.jpg")
    assert "NOT AS SEALED: labels/SO-1-take-1.jpg: it was changed" in check(proof).stdout


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("12:01:00", "13:01:00", "its hash is not that of its text"),
        ("recorderd-seal-1", "recorderd-seal-9", "of a kind that this program does not know"),
        ('\\"take\\":2', '\\"take\\":3', "its hash is not that of its text"),
    ],
)
def test_changed_words_are_found(proof: Path, old: str, new: str, why: str) -> None:
    manifest = proof / "manifest.json"
    manifest.write_text(manifest.read_text().replace(old, new))
    done = check(proof)
    assert done.returncode == 1
    assert why in done.stdout


def test_a_seal_of_another_recording(proof: Path) -> None:
    def change(manifest: dict[str, Any]) -> None:
        one, two = manifest["recordings"]
        one["seals"], two["seals"] = two["seals"], one["seals"]

    rewrite(proof, change)
    assert "belongs to another recording" in check(proof).stdout


def test_a_key_that_was_exchanged(proof: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    other.write_text((proof / "station-key.pem").read_text().replace("A", "B"))
    (proof / "station-key.pem").write_text(other.read_text())
    assert "station-key.pem: " in check(proof).stdout
    done = check(proof, "--key", str(other))
    assert done.returncode != 0


def rewrite(proof: Path, change: Any) -> None:
    manifest = json.loads((proof / "manifest.json").read_text())
    change(manifest)
    (proof / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": "recorderd-proof-1"}', "\u00e9"])
def test_what_is_no_manifest(proof: Path, text: str) -> None:
    (proof / "manifest.json").write_text(text)
    done = check(proof)
    assert (done.returncode, done.stderr) == (1, "")
    assert "NOT AS SEALED: manifest.json" in done.stdout


def test_no_manifest_makes_it_stumble(proof: Path) -> None:
    """Whoever gets a proof gets an answer, whatever was done to it."""
    manifest = proof / "manifest.json"
    whole = manifest.read_bytes()
    chance = random.Random(7)
    for _ in range(60):
        mangled = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            place = chance.randrange(len(mangled))
            mangled[place : place + chance.randint(0, 3)] = chance.choice(
                [b"", b"0", b'"', b"{", b"null", bytes([chance.randrange(256)])]
            )
        manifest.write_bytes(mangled)
        Check(proof).run()
    manifest.write_text("[" * 100_000)
    assert not Check(proof).run()
    manifest.write_bytes(whole)
    assert Check(proof).run()


def test_a_name_that_leads_out_of_the_folder(proof: Path, tmp_path: Path) -> None:
    def change(manifest: dict[str, Any]) -> None:
        manifest["recordings"][0]["video"] = "../proof.zip"

    rewrite(proof, change)
    assert "leads out of this folder" in check(proof).stdout


@pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl here")
def test_what_the_readme_says_works_with_openssl(proof: Path) -> None:
    readme = (proof / "README.txt").read_text()
    command = next(line for line in readme.splitlines() if line.startswith("    openssl"))
    done = subprocess.run(command.split(), cwd=proof, capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stderr
    assert "Verified Successfully" in done.stdout
    sealed = json.loads((proof / command.split()[-3]).read_text())["facts"]["sha256"]
    assert sealed == file_hash(proof / "videos/SO-1-take-2.mp4")
    flip(proof / command.split()[-3])
    again = subprocess.run(command.split(), cwd=proof, capture_output=True, timeout=20)
    assert again.returncode != 0


def test_hostile_text_stays_text(archive: Archive, finisher: Finisher, tmp_path: Path) -> None:
    archive.save(HOSTILE, content=video(2))
    finisher.look()
    proof = export(archive, HOSTILE, tmp_path)
    page = (proof / "summary.html").read_text()
    assert "<script" not in page
    assert "<img src=x" not in page
    assert "&lt;script&gt;" in page
    assert all(path.relative_to(proof).as_posix().isascii() for path in proof.rglob("*"))
    done = check(proof)
    assert done.returncode == 0
    assert "\r" not in done.stdout


def test_what_is_left_out_is_said(archive: Archive, finisher: Finisher, tmp_path: Path) -> None:
    archive.save("SO-1", content=video(2))
    finisher.look()
    archive.save("SO-1", after=60, content=b"not sealed yet")
    archive.begin("SO-1", after=120)
    page = (export(archive, "SO-1", tmp_path) / "summary.html").read_text()
    assert "it is not sealed yet" in page
    assert "it is being recorded" in page


def test_nothing_to_hand_on(archive: Archive, tmp_path: Path) -> None:
    archive.save("SO-1")
    with pytest.raises(EvidenceError, match="not sealed yet"):
        run_export(archive.settings, "SO-1", tmp_path / "x.zip", None)
    with pytest.raises(EvidenceError, match="no recording"):
        run_export(archive.settings, "SO-2", tmp_path / "x.zip", None)


def test_a_changed_video_is_handed_on_with_a_warning(
    archive: Archive, finisher: Finisher, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new = archive.save("SO-1", content=video(2))
    finisher.look()
    archive.path(new).write_bytes(b"another")
    assert run_export(archive.settings, "SO-1", tmp_path / "x.zip", None) == 1
    assert "NOT AS SEALED" in capsys.readouterr().out
    with zipfile.ZipFile(tmp_path / "x.zip") as packed:
        assert packed.testzip() is None
        assert b"is not the video that was sealed" in packed.read("summary.html")


def test_deleted_recordings_are_told_of(
    archive: Archive, finisher: Finisher, tmp_path: Path
) -> None:
    new = archive.save("SO-1", content=video(2))
    archive.save("SO-1", after=60, content=video(3))
    finisher.look()
    archive.path(new).unlink()
    with archive.catalogue.transaction() as tables:
        row = tables.recordings
        row.update(state="deleted", deleted_at=new.started_at).where(row.id == new.id).execute()
    finisher.look()
    proof = export(archive, "SO-1", tmp_path)
    assert check(proof).returncode == 0
    assert "deleted 2026-07-04" in (proof / "summary.html").read_text()


def test_no_file_is_overwritten(archive: Archive, finisher: Finisher, tmp_path: Path) -> None:
    archive.save("SO-1")
    finisher.look()
    target = tmp_path / "kept.zip"
    target.write_bytes(b"kept")
    with pytest.raises(StorageError, match="exists already"):
        run_export(archive.settings, "SO-1", target, None)
    assert target.read_bytes() == b"kept"
    with pytest.raises(StorageError, match="cannot be written"):
        run_export(archive.settings, "SO-1", tmp_path / "none" / "x.zip", None)


def times(path: Path) -> list[float]:
    with av.open(str(path)) as container:
        return [frame.time or 0.0 for frame in container.decode(video=0)]


def long_video(path: Path, seconds: int = 40) -> None:
    """Noise, which compresses badly: some 5 MB with a keyframe each second."""
    import numpy as np

    random = np.random.default_rng(1)
    with av.open(str(path), "w", options={"movflags": "use_metadata_tags"}) as container:
        container.metadata["order_id"] = "SO-1"
        stream = container.add_stream("libx264", rate=10, options={"g": "10", "bf": "2"})
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for _ in range(seconds * 10):
            picture = random.integers(0, 255, (120, 160, 3), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode(None))


def test_large_videos_are_cut_without_loss(
    archive: Archive, finisher: Finisher, tmp_path: Path
) -> None:
    long_video(tmp_path / "long.mp4")
    content = (tmp_path / "long.mp4").read_bytes()
    archive.save("SO-1", content=content)
    finisher.look()
    proof = export(archive, "SO-1", tmp_path, 2)
    pieces = sorted((proof / "videos").iterdir())
    assert len(pieces) == -(-len(content) // 2_000_000)
    assert all(piece.stat().st_size <= 2_000_000 for piece in pieces)
    assert sum(len(times(piece)) for piece in pieces) == 400
    assert all(abs(times(piece)[0]) < 0.001 for piece in pieces)
    with av.open(str(pieces[1])) as container:
        assert container.metadata["order_id"] == "SO-1"
    done = check(proof)
    assert done.returncode == 0, done.stdout
    assert "cut from the sealed video without re-encoding, 0.000 s to " in done.stdout
    assert "The pieces were cut out" in (proof / "README.txt").read_text()
    flip(pieces[0])
    assert "it was changed" in check(proof).stdout


def test_a_piece_that_cannot_be_so_small(
    archive: Archive, finisher: Finisher, tmp_path: Path
) -> None:
    from recorderd.proof import cutting
    from recorderd.proof.package import checked, gather

    long_video(tmp_path / "long.mp4", 3)
    archive.save("SO-1", content=(tmp_path / "long.mp4").read_bytes())
    finisher.look()
    package = checked(gather(archive.settings, "SO-1"))
    with pytest.raises(EvidenceError, match="cannot be cut into pieces"):
        cutting.cut_large_ones(archive.settings, package, 30_000, tmp_path)


def test_a_lost_key_is_no_key_to_cut_with(
    archive: Archive, finisher: Finisher, tmp_path: Path
) -> None:
    archive.save("SO-1", content=bytes(1_500_000))
    finisher.look()
    archive.settings.key_file.unlink()
    with pytest.raises(StorageError, match="key"):
        run_export(archive.settings, "SO-1", tmp_path / "x.zip", 1)
    assert not (tmp_path / "x.zip").exists()
    assert not list(tmp_path.glob("recorderd-*"))


def test_former_keys_go_along(archive: Archive, finisher: Finisher, tmp_path: Path) -> None:
    archive.save("SO-1", content=video(2))
    finisher.look()
    archive.settings.key_file.unlink()
    archive.save("SO-1", after=60, content=video(3))
    Finisher(archive.settings, threading.Event()).look()
    proof = export(archive, "SO-1", tmp_path)
    assert len(list(proof.glob("station-key*.pem"))) == 2
    assert check(proof).returncode == 0
    assert check(proof, "--key", str(archive.settings.public_key_file)).returncode == 1


def test_the_command(
    archive: Archive,
    finisher: Finisher,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    archive.save("SO/1", content=video(2))
    finisher.look()
    monkeypatch.setenv("RECORDERD__STATION__STATE_FOLDER", archive.settings.station.state_folder)
    monkeypatch.setenv("RECORDERD__STATION__NAME", "bench-1")
    monkeypatch.setenv("DATABASE_URL", archive.settings.database_url)
    monkeypatch.chdir(tmp_path)
    assert main(["export", "SO/1"]) == 0
    assert (tmp_path / "SO-1-proof.zip").exists()
    assert take_in(archive.settings.visits_file, archive.catalogue) == 1
    with archive.catalogue.transaction() as tables:
        event = tables.events.get()
    assert (event.event, event.detail) == ("export", "on the command line")
    assert "take 1: video, seal 1" in capsys.readouterr().out
    assert main(["export", "SO/1"]) == 1
    assert main(["export", "SO/1", "--output", "x.zip", "--largest-megabytes", "1"]) == 0
