"""After a power cut: pictures at the end whose pages never reached the disk.

The index may name them, for it lies elsewhere in the file; they hold zeros, or what was on the
disk before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import av
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from recorderd.engine.footage_file import storage_errors
from recorderd.engine.remux import is_whole, opened, remux
from recorderd.errors import StorageError

MOST_GROUPS = 600
"""Groups of pictures to look at from the end: more cannot have been written between two syncs."""


@dataclass(frozen=True, slots=True)
class _Group:
    """A keyframe and what builds on it; `first` is its place among the pictures of the file."""

    first: int
    packets: tuple[bytes, ...]


def leave_out_torn_end(path: Path) -> bool:
    """Take from an ordinary MP4 the last pictures that do not decode; False if none decodes.

    The file is replaced by one that is on the disk already; without room for that it stays as
    it is, and so does one of which nothing plays. May be repeated after any interruption.
    Raises StorageError if the file cannot be read.
    """
    with storage_errors(path):
        if _end_plays(path):
            return True
        count = _pictures_until_torn(path)
        if not count:
            return count is None
        shorter = path.with_suffix(".shorter.mp4")
        shorter.unlink(missing_ok=True)
        try:
            remux(path, shorter, pictures=count)
            shorter.replace(path)
        except StorageError:
            pass  # No room, most likely.
        finally:
            shorter.unlink(missing_ok=True)
        return True


def _end_plays(path: Path) -> bool:
    try:
        with opened(path) as container:
            stream = container.streams.video[0]
            if stream.duration is not None:
                end = (stream.start_time or 0) + stream.duration
                container.seek(end, stream=stream, backward=True)
            return sum(1 for _ in container.decode(stream)) > 0
    except av.InvalidDataError:
        return False


def _pictures_until_torn(path: Path) -> int | None:
    """How many pictures, in the order of the file, there are before the torn ones.

    None if that many are torn that not all were looked at.
    """
    with opened(path) as container:
        stream = container.streams.video[0]
        groups: list[_Group] = []
        packets: list[bytes] = []
        first = count = 0
        for packet in container.demux(stream):
            if packet.dts is None or not is_whole(packet):
                continue
            if packet.is_keyframe and packets:
                groups = [*groups[1 - MOST_GROUPS :], _Group(first, tuple(packets))]
                first, packets = count, []
            packets.append(bytes(packet))
            count += 1
        groups.append(_Group(first, tuple(packets)))
        for group in reversed(groups):
            playing = _playing(stream, group.packets)
            if playing:
                return group.first + playing
    return None if groups[0].first else 0


def _playing(stream: VideoStream, packets: Sequence[bytes]) -> int:
    """How many of a group decode before the first that does not."""
    decoder = VideoCodecContext.create(stream.codec_context.name, "r")
    assert isinstance(decoder, VideoCodecContext)  # noqa: S101 - for the type checker
    decoder.extradata = stream.codec_context.extradata
    decoder.thread_count = 1  # with more the error comes pictures later
    for number, data in enumerate(packets):
        try:
            decoder.decode(av.Packet(data))
        except av.InvalidDataError:
            return number
    return len(packets)
