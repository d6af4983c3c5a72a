"""Zips whose length is known before they are made, as others read them."""

from __future__ import annotations

import shutil
import subprocess
import zipfile
import zlib
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recorderd.proof.zip_file import Entry, FilePart, Piece, pieces_of, size_of

MOMENT = datetime(2026, 7, 4, 12, 30, 42)


def write(pieces: Sequence[Piece], path: Path) -> None:
    """Files leave holes: the tests of large ones need no disk."""
    with path.open("wb") as file:
        for piece in pieces:
            if isinstance(piece, bytes):
                file.write(piece)
            else:
                with piece.path.open("rb") as source:
                    source.seek(0)
                    content = source.read(1 << 20)
                    file.write(content)
                    file.seek(piece.size - len(content), 1)


NAMES = st.text("abc/._-0", min_size=1, max_size=20).map(lambda name: "x" + name)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.dictionaries(NAMES, st.binary(max_size=2000), max_size=8))
def test_python_reads_what_was_put_in(tmp_path: Path, files: dict[str, bytes]) -> None:
    pieces = pieces_of([Entry.of(name, content) for name, content in files.items()], MOMENT)
    target = tmp_path / "zip"
    write(pieces, target)
    assert size_of(pieces) == target.stat().st_size
    with zipfile.ZipFile(target) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == files
        assert {each.date_time for each in archive.infolist()} <= {(2026, 7, 4, 12, 30, 42)}


@pytest.mark.parametrize("size", [0xFFFFFFFE, 0xFFFFFFFF, 5_000_000_000])
def test_files_beyond_four_gigabytes(tmp_path: Path, size: int) -> None:
    """What Python's zipfile finds where, without reading it all."""
    content = tmp_path / "video"
    content.write_bytes(b"start")
    large = Entry("video.mp4", content, size, zlib.crc32(b"start"))
    pieces = pieces_of([Entry.of("a", b"a"), large, Entry.of("behind", b"b" * 10)], MOMENT)
    target = tmp_path / "zip"
    write(pieces, target)
    assert size_of(pieces) == target.stat().st_size
    with zipfile.ZipFile(target) as archive:
        assert archive.getinfo("video.mp4").file_size == size
        assert archive.getinfo("video.mp4").compress_size == size
        assert archive.read("behind") == b"b" * 10
        with archive.open("video.mp4") as opened:
            assert opened.read(6) == b"start\0"


@pytest.mark.skipif(shutil.which("unzip") is None, reason="there is no unzip here")
def test_unzip_reads_it(tmp_path: Path) -> None:
    target = tmp_path / "zip"
    write(pieces_of([Entry.of("a/b", b"x"), Entry.of("c", b"")], MOMENT), target)
    subprocess.run(["unzip", "-tq", target], check=True, capture_output=True, timeout=20)


def test_files_are_not_read() -> None:
    part = FilePart(Path("/no/such/file"), 7)
    pieces = pieces_of([Entry("x", part.path, 7, 0)], MOMENT)
    assert part in pieces
