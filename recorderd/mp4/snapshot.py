"""An ordinary MP4 of what a growing file holds by now, without copying its pictures.

Browsers cannot seek in a fragmented file that grows. So an ordinary beginning is made in memory:
an index of all pictures, and the header of one `mdat` box around a piece of the file as it lies
on the disk, the small indices between the fragments included. It is what FFmpeg itself makes of
the file when it is closed.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import BinaryIO, Final

from recorderd.mp4.fragments import Track, damage_told, read_track

_FILE_TYPE: Final = b"isom\0\0\2\0isomiso2mp41"
_MDAT_HEADER_BYTES: Final = 16
_ENABLED_IN_MOVIE: Final = 3


@dataclass(frozen=True, slots=True)
class Snapshot:
    """`head`, then the bytes `begin` to `end` (not included) of the file: a whole MP4.

    `end` is what tells it from other snapshots of the same file, for good.
    """

    head: bytes
    begin: int
    end: int
    codec: str
    frames: int
    seconds: float

    @property
    def size(self) -> int:
        return len(self.head) + self.end - self.begin


def take_snapshot(file: BinaryIO, until: int | None = None) -> Snapshot:
    """What the file holds by now, or held when it was `until` bytes long.

    The same `until` gives the same bytes, also after the file was closed and renamed. Any
    thread; may wait for the disk. Raises UnreadableError, OSError.
    """
    track = read_track(file, until)
    with damage_told():
        return _snapshot(track)


def _snapshot(track: Track) -> Snapshot:
    file_type = _box(b"ftyp", _FILE_TYPE)
    # The index holds the places of pictures, which depend on its own length.
    length = len(file_type) + len(_index(track, 0)) + _MDAT_HEADER_BYTES
    index = _index(track, length - track.begin)
    media_bytes = _MDAT_HEADER_BYTES + track.end - track.begin
    return Snapshot(
        head=file_type + index + struct.pack(">I4sQ", 1, b"mdat", media_bytes),
        begin=track.begin,
        end=track.end,
        codec=track.codec,
        frames=len(track.sizes),
        seconds=track.shown / track.timescale,
    )


def _index(track: Track, moved: int) -> bytes:
    """The `moov` box; pictures lie `moved` bytes further on than in the file."""
    (movie_timescale,) = struct.unpack_from(">I", track.movie_header, 12)
    movie_duration = -(-track.shown * movie_timescale // track.timescale)
    movie_header = _replaced(track.movie_header, 16, movie_duration)
    # The flags of a track that a player shall show; FFmpeg sets them in the first index too.
    track_header = struct.pack(">I", _ENABLED_IN_MOVIE) + track.track_header[4:]
    edits = b""
    if track.edit_begin is not None:
        entry = struct.pack(">IIIiHH", 0, 1, movie_duration, track.edit_begin, 1, 0)
        edits = _box(b"edts", _box(b"elst", entry))
    media = _box(
        b"mdia",
        _box(b"mdhd", _replaced(track.media_header, 16, track.duration)),
        _box(b"hdlr", struct.pack(">II4s12x", 0, 0, b"vide"), b"Video\0"),
        _box(b"minf", track.descriptions, _tables(track, moved)),
    )
    return _box(
        b"moov",
        _box(b"mvhd", movie_header),
        _box(
            b"trak",
            _box(b"tkhd", _replaced(track_header, 20, movie_duration)),
            edits,
            media,
        ),
    )


def _tables(track: Track, moved: int) -> bytes:
    ends = [*track.times[1:], track.duration]
    durations = [max(0, end - time) for time, end in zip(track.times, ends, strict=True)]
    shifts = (
        _box(b"ctts", struct.pack(">I", 1 << 24), _runs(track.shifts, ">Ii"))
        if any(track.shifts)
        else b""
    )
    held = [count for _, count in track.chunks]
    starts = [
        (number, count, 1)
        for number, (count, before) in enumerate(zip(held, [None, *held], strict=False), 1)
        if count != before
    ]
    places = [place + moved for place, _ in track.chunks]
    count = len(track.sizes)
    return _box(
        b"stbl",
        _box(b"stsd", track.sample_description),
        _box(b"stts", struct.pack(">I", 0), _runs(durations, ">II")),
        shifts,
        _table(b"stss", ">I", ((index + 1,) for index in track.keyframes)),
        _table(b"stsc", ">III", starts),
        _box(b"stsz", struct.pack(f">III{count}I", 0, 0, count, *track.sizes)),
        _table(b"co64", ">Q", ((place,) for place in places)),
    )


def _runs(values: Sequence[int], form: str) -> bytes:
    """Each value with how often it is repeated, behind the number of such entries."""
    entries = [(len(list(same)), value) for value, same in groupby(values)]
    return struct.pack(">I", len(entries)) + b"".join(
        struct.pack(form, *entry) for entry in entries
    )


def _table(kind: bytes, form: str, entries: Iterable[tuple[int, ...]]) -> bytes:
    listed = list(entries)
    return _box(
        kind,
        struct.pack(">II", 0, len(listed)),
        b"".join(struct.pack(form, *entry) for entry in listed),
    )


def _replaced(contents: bytes, place: int, value: int) -> bytes:
    return contents[:place] + struct.pack(">I", value) + contents[place + 4 :]


def _box(kind: bytes, *contents: bytes) -> bytes:
    whole = b"".join(contents)
    return struct.pack(">I4s", 8 + len(whole), kind) + whole
