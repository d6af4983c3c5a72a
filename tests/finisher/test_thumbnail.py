"""The small picture beside a video."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from recorderd.errors import StorageError
from recorderd.finisher.thumbnail import WIDTH, make_thumbnail
from recorderd.store.footage import thumbnail_path
from tests.finisher.archive import write_mjpeg


def _size(path: Path) -> tuple[int, int]:
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        return frame.width, frame.height


@pytest.mark.parametrize("still", [None, b"", b"\xff\xd8 no picture"])
def test_from_the_video_if_there_is_no_usable_still(tmp_path: Path, still: bytes | None) -> None:
    video = tmp_path / "a.mp4"
    write_mjpeg(video)
    if still is not None:
        video.with_suffix(".jpg").write_bytes(still)
    make_thumbnail(video)
    assert thumbnail_path(video).stat().st_mode & 0o777 == 0o640
    assert _size(thumbnail_path(video)) == (WIDTH, WIDTH * 3 // 4)


def test_from_the_still_where_there_is_one(tmp_path: Path) -> None:
    video = tmp_path / "a.mp4"
    with av.open(str(tmp_path / "wide.jpg"), "w", format="image2") as container:
        stream = container.add_stream("mjpeg", rate=1)
        stream.width, stream.height, stream.pix_fmt = 640, 160, "yuvj420p"
        container.mux(stream.encode(av.VideoFrame(640, 160, "yuvj420p")))
        container.mux(stream.encode(None))
    (tmp_path / "wide.jpg").rename(video.with_suffix(".jpg"))
    make_thumbnail(video)
    assert _size(thumbnail_path(video)) == (WIDTH, 120)
    assert {path.name for path in tmp_path.iterdir()} == {"a.jpg", "a.thumb.jpg"}


def test_neither_can_be_read(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="shows no picture"):
        make_thumbnail(tmp_path / "none.mp4")
    assert not list(tmp_path.iterdir())
