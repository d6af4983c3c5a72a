"""Whether a video that was encoded anew holds what its original holds, which is to be deleted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any, Final

import av

from recorderd.core.model import Nanoseconds
from recorderd.engine import verify
from recorderd.errors import DeviceError

KEPT: Final = "The original is kept"
"""The remedy whatever happens."""
_LARGEST_DIFFERENCE_S = 0.001


@dataclass(frozen=True, slots=True)
class Written:
    """The new file: pictures in it, damaged ones that are not, from the first to the last."""

    frames: int
    left_out: int
    duration_ns: Nanoseconds


def compare(
    original: Path,
    new: Path,
    written: Written,
    next_picture: Callable[[], None],
    moves: Callable[[float], None],
) -> None:
    """Every single picture has to decode and to stand at its time, but for those left out.

    Calls back after each picture, and tells `moves` what fraction is done. Raises DeviceError.
    """
    problem = verify.problem_of(new, written.frames, written.duration_ns)
    if problem is None:
        left_out = 0
        for number, found in enumerate(_found(original, new), start=1):
            left_out += not found
            if left_out > written.left_out:
                problem = f"picture {number} is missing or not at its time"
                break
            next_picture()
            moves(number / (written.frames + written.left_out))
    if problem is not None:
        raise DeviceError(f"The transcoded file is not right: {problem}", KEPT)


def _found(original: Path, new: Path) -> Iterator[bool]:
    """Whether each picture of the original is in the other file, at its time and decodable."""
    with av.open(str(original)) as first, av.open(str(new)) as second:
        pictures = (packet for packet in first.demux(first.streams.video[0]) if packet.size)
        # Else what is missing of a picture is made up from others.
        second.streams.video[0].codec_context.options = {"err_detect": "explode"}
        expected, decoded = _times(pictures), _times(second.decode(video=0))
        try:
            shown = next(decoded, None)
            for moment_s in expected:
                found = shown is not None and abs(moment_s - shown) <= _LARGEST_DIFFERENCE_S
                yield found
                if found:
                    shown = next(decoded, None)
            if shown is not None:
                yield from repeat(False)
        except av.FFmpegError:
            yield from repeat(False)


def _times(things: Iterable[av.Packet[Any] | av.VideoFrame]) -> Iterator[float]:
    """When each is shown, in seconds after the first."""
    first = None
    for thing in things:
        if thing.pts is not None and thing.time_base is not None:
            moment = float(thing.pts * thing.time_base)
            first = moment if first is None else first
            yield moment - first
