"""After a power cut: pictures near the end whose pages never reached the disk.

The index may name them, for it lies elsewhere in the file; they hold zeros, or what was on the
disk before. A disk writes its pages in any order, so that later pictures may be whole.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from recorderd.engine.decoding import strict_decoder
from recorderd.engine.footage_file import SYNC_TAG, storage_errors
from recorderd.engine.remux import is_whole, opened, remux
from recorderd.errors import StorageError

MOST_SECONDS = 600.0
"""No disk is so late that more than that is torn: so much of a file's end is looked at at most."""
_FIRST_LOOK_SYNCS = 2.0
_USUAL_SYNC_SECONDS = 1.0
_LONGEST_FIRST_LOOK_SECONDS = 20.0
"""A small computer decodes 4K in about real time, and the station does not record meanwhile."""


def leave_out_torn_pictures(path: Path) -> bool:
    """Take from an ordinary MP4 the last pictures that are not whole; False if none plays.

    So much of the end is looked at as may not have been synced, and more if its older half is
    torn, too. What builds on a picture that does not decode goes with it: a browser's player ends
    at the first one. The others keep their times.
    The file is replaced by one that is on the disk already; without room for that it stays as
    it is, and so does one of which nothing plays. May be repeated after any interruption.
    Raises StorageError if the file cannot be read.
    """
    with storage_errors(path):
        without = path.with_suffix(".without.mp4")
        without.unlink(missing_ok=True)
        torn = _torn_pictures(path)
        if not torn:
            return torn is not None
        try:
            remux(path, without, without=torn)
            without.replace(path)
        except StorageError:
            pass  # No room, most likely.
        finally:
            without.unlink(missing_ok=True)
        return True


def _torn_pictures(path: Path) -> frozenset[int] | None:
    """The PTS of the pictures near the end that do not play; None if no picture does."""
    with opened(path) as container:
        stream = container.streams.video[0]
        seconds = _first_look_seconds(container.metadata)
        while True:
            begin, end = _go_back(container, stream, seconds)
            torn, playing = _look_from_here(container, stream, begin)
            all_seen = begin <= (stream.start_time or 0)
            if playing and (all_seen or min(torn, default=end) >= (begin + end) // 2):
                return frozenset(torn)
            if all_seen:
                return None
            if seconds >= MOST_SECONDS:
                return frozenset(torn if playing else ())
            seconds = min(4 * seconds, MOST_SECONDS)


def _first_look_seconds(tags: Mapping[str, str]) -> float:
    try:
        sync_seconds = float(tags[SYNC_TAG])
    except (KeyError, ValueError):
        sync_seconds = _USUAL_SYNC_SECONDS
    if not 0 < sync_seconds < math.inf:
        sync_seconds = _USUAL_SYNC_SECONDS
    return min(_FIRST_LOOK_SYNCS * sync_seconds, _LONGEST_FIRST_LOOK_SECONDS)


def _go_back(container: InputContainer, stream: VideoStream, seconds: float) -> tuple[int, int]:
    """Read on from the last keyframe that is so long before the end; returns that moment and
    the end, as PTS."""
    assert stream.time_base is not None  # noqa: S101 - for the type checker
    start = stream.start_time or 0
    end = start + (stream.duration or 0)
    begin = max(start, end - round(seconds / stream.time_base))
    container.seek(begin, stream=stream, backward=True)
    return begin, end


def _look_from_here(
    container: InputContainer, stream: VideoStream, begin: int
) -> tuple[list[int], int]:
    """The PTS of the pictures from `begin` up to the end that are not whole, and how many play.

    One before `begin` was synced: if it is damaged, then the camera sent it so.
    """
    # A page of 4096 bytes is a small part of a picture, and ordinary decoders hide it.
    decoder = strict_decoder(stream.codec_context.name, stream.codec_context.extradata)
    decoder.thread_count = 1  # with more the error comes pictures later
    torn: list[int] = []
    playing = 0
    group_plays = False
    for packet in container.demux(stream):
        if packet.dts is None or packet.pts is None or not is_whole(packet):
            continue
        group_plays = group_plays or packet.is_keyframe
        if group_plays:
            try:
                decoder.decode(av.Packet(bytes(packet)))
            except av.InvalidDataError:
                group_plays = packet.pts < begin
                decoder.flush_buffers()
        if group_plays:
            playing += 1
        else:
            torn.append(packet.pts)
    return torn, playing
