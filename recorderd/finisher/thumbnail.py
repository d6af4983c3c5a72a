"""A small picture of a recording for lists."""

from __future__ import annotations

import io
import os
from pathlib import Path

import av

from recorderd.engine.stills import jpeg_of
from recorderd.errors import StorageError
from recorderd.store.footage import FOOTAGE_MODE, still_path, thumbnail_path

WIDTH = 480


def make_thumbnail(video: Path) -> None:
    """Write the thumbnail beside the video, from its label still or else its first picture.

    Raises StorageError if neither can be read, OSError if it cannot be written.
    """
    still = still_path(video)
    picture = _first_picture(still if still.exists() else video) or _first_picture(video)
    if picture is None:
        raise StorageError(
            f"{video.name} shows no picture",
            "Keep the file: what it holds cannot be read by this program",
        )
    height = max(2, round(picture.height * WIDTH / picture.width / 2) * 2)
    small = picture.reformat(width=WIDTH, height=height)
    target = thumbnail_path(video)
    half_written = target.with_suffix(".tmp")
    half_written.write_bytes(jpeg_of(small, "mjpeg"))
    half_written.chmod(FOOTAGE_MODE)
    os.replace(half_written, target)  # noqa: PTH105


def _first_picture(path: Path) -> av.VideoFrame | None:
    try:
        source = io.BytesIO(path.read_bytes()) if path.suffix == ".jpg" else str(path)
        with av.open(source, "r") as container:
            return next(container.decode(video=0), None)
    except (av.FFmpegError, IndexError, OSError):
        return None
