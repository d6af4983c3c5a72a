"""The check before the green lamp: open the file again and look."""

from __future__ import annotations

import errno
from collections import deque
from itertools import pairwise
from pathlib import Path

import av

from recorderd.core.model import NANOSECONDS_PER_SECOND, Nanoseconds
from recorderd.engine.remux import opened
from recorderd.mp4.boxes import is_closed

NO_RESOURCES = frozenset({errno.EAGAIN, errno.EMFILE, errno.ENFILE})
"""What is said where the computer has no thread or descriptor to spare just now. Not ENOMEM: a
damaged header may ask for any amount of memory."""


def problem_of(path: Path, frames: int, duration_ns: Nanoseconds) -> str | None:
    """What is wrong with a finished file, None if nothing is.

    Checks that the file is an ordinary MP4 from end to end, that its index holds `frames`
    pictures, none of which lies where another one lies, that the first and the last one decode,
    and that the length is `duration_ns` (monotonic clock, first to last picture) to within five
    milliseconds, so that a missing picture shows. Raises OSError or av.FFmpegError with one of
    NO_RESOURCES: that says nothing about the file.
    """
    try:
        if not is_closed(path):
            return "the file was not closed, or something is cut off"
        with opened(path) as container:
            stream = container.streams.video[0]
            if stream.frames != frames:
                return f"the file holds {stream.frames} pictures, {frames} were written"
            if _overlap(stream):
                return "pictures are missing in the middle of the file"
            first = next(container.decode(stream), None)
            if first is None or first.pts is None or first.time_base is None:
                return "the first picture does not decode"
            last = _last_picture(container, stream)
            if last is None or last.pts is None or last.time_base is None:
                return "the last picture does not decode"
            length = float(last.pts * last.time_base - first.pts * first.time_base)
    except (OSError, av.FFmpegError, IndexError) as error:
        if getattr(error, "errno", None) in NO_RESOURCES:
            raise
        return f"the file cannot be read: {error}"
    expected = duration_ns / NANOSECONDS_PER_SECOND
    if abs(length - expected) > 0.005:
        return f"the file is {length:.3f} s long, the clock says {expected:.3f} s"
    return None


def _overlap(stream: av.VideoStream) -> bool:
    """Whether pictures lie upon one another.

    When FFmpeg's muxer gets no memory for the fragment that it gathers, it leaves the picture
    out without a word, and counts its bytes all the same (found with RLIMIT_AS, FFmpeg 8.1).
    """
    places = sorted((entry.pos, entry.size) for entry in stream.index_entries)
    return any(begin + size > after for (begin, size), (after, _) in pairwise(places))


def _last_picture(
    container: av.container.InputContainer, stream: av.VideoStream
) -> av.VideoFrame | None:
    """Decode the last group of pictures only: the file may be an hour long."""
    if stream.duration is not None:
        container.seek((stream.start_time or 0) + stream.duration, stream=stream, backward=True)
    newest = deque(container.decode(stream), maxlen=1)
    return newest[0] if newest else None
