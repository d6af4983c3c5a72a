"""Reading the video track of a fragmented MP4 that is still being written (ISO/IEC 14496-12).

FFmpeg's hybrid muxer puts an index of the first fragment at the beginning of the file and one
before each later fragment. What has once been written there stays at its place, also when the
file is closed: then one `mdat` box is laid around all of it.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import BinaryIO, Final

from recorderd.mp4.boxes import Box, boxes

_LARGEST_INDEX_BYTES: Final = 16_000_000
"""No index of a file of ours is nearly as large: what claims to be is not read into memory."""
_MOST_PICTURES: Final = 1_000_000
"""No file of ours holds nearly as many (four hours at 60 a second): what claims to is refused."""
_IS_NO_KEYFRAME: Final = 0x10000
"""sample_is_non_sync_sample of the sample flags (8.8.3.1)."""


class UnreadableError(Exception):
    """This is not, or not yet, a fragmented MP4 with a video track as recorderd writes it."""


@dataclass(slots=True)
class Track:
    """The pictures of a video, in the order of decoding, up to the end of the last fragment.

    Times are in units of 1/`timescale` s. `descriptions` are boxes of the file's own index,
    byte for byte: those that say what kind of track this is.
    """

    number: int
    timescale: int
    movie_header: bytes
    track_header: bytes
    media_header: bytes
    descriptions: bytes
    sample_description: bytes
    codec: str
    edit_begin: int | None
    """The time from which on pictures are shown (media_time of the edit list), if that is said."""
    begin: int = 0
    """Where in the file the first picture lies."""
    end: int = 0
    """Where the last complete fragment ends."""
    sizes: list[int] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    """When each picture is decoded."""
    last_duration: int = 0
    shifts: list[int] = field(default_factory=list)
    """How much later than decoded each picture is shown."""
    keyframes: list[int] = field(default_factory=list)
    """Which pictures are keyframes, counted from 0."""
    chunks: list[tuple[int, int]] = field(default_factory=list)
    """Where in the file pictures lie one behind the other, and how many."""

    @property
    def duration(self) -> int:
        """When the next picture will be decoded."""
        return self.times[-1] + self.last_duration if self.times else 0

    @property
    def shown(self) -> int:
        """How long pictures are shown. B-frames are shown before others decoded earlier."""
        last = max(map(int.__add__, self.times, self.shifts), default=0)
        return max(0, last + self.last_duration - (self.edit_begin or 0))


def read_track(file: BinaryIO, until: int | None = None) -> Track:
    """Read what a file that grows holds by now, or held when it was `until` bytes long.

    Reads the indices only: some 100 bytes for each half second of footage. The file may grow,
    be closed or be renamed meanwhile. Raises UnreadableError, OSError.
    """
    size = os.fstat(file.fileno()).st_size
    with damage_told():
        return _read(file, size if until is None else min(until, size))


@contextmanager
def damage_told() -> Iterator[None]:
    """Turn what goes wrong with an index that makes no sense into UnreadableError."""
    try:
        yield
    except (struct.error, ArithmeticError, IndexError, KeyError, ValueError) as error:
        raise UnreadableError(f"its index is damaged ({error})") from error


def _read(file: BinaryIO, end: int) -> Track:
    track: Track | None = None
    duration = flags = length = 0
    fragment: Box | None = None
    for box in boxes(file, _beginning(file)):
        if box.end > end:
            break
        if box.kind == b"moov" and track is None:
            movie = _contents(file, box)
            track = _track(movie)
            duration, length, flags = _defaults(movie, track.number)
        elif box.kind == b"moof":
            fragment = box
        elif box.kind == b"mdat" and track is not None:
            if track.end == 0:
                track.begin = box.place
            if fragment is not None:
                _add_fragment(track, _contents(file, fragment), (duration, length, flags), fragment)
                fragment = None
            track.end = box.end
    if track is None or not track.sizes or track.end == 0:
        raise UnreadableError("no picture has been written yet")
    if not all(track.begin <= place < track.end for place, _ in track.chunks):
        raise ValueError("a picture outside of the file")
    return track


def _beginning(file: BinaryIO) -> int:
    """Where the fragmented file begins: inside one `mdat` box if it has been closed."""
    for box in boxes(file):
        if box.kind == b"moov":
            break
        if box.kind == b"mdat":
            inner = next(boxes(file, box.place + box.header), None)
            if inner is not None and inner.kind == b"ftyp":
                return inner.place
            break
    return 0


def _contents(file: BinaryIO, box: Box) -> bytes:
    if box.size > _LARGEST_INDEX_BYTES:
        raise ValueError(f"a box {box.kind!r} of {box.size} bytes")
    file.seek(box.place + box.header)
    return file.read(box.size - box.header)


def _children(contents: bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
    """The boxes inside of one: kind, contents, and the whole box."""
    place = 0
    while place + 8 <= len(contents):
        size = int.from_bytes(contents[place : place + 4], "big")
        if size < 8:
            raise ValueError("a box without a size")
        whole = contents[place : place + size]
        yield whole[4:8], whole[8:], whole
        place += size


def _child(contents: bytes, *path: bytes) -> bytes:
    """The contents of the first box on a path. Raises KeyError."""
    for wanted in path:
        for kind, inner, _ in _children(contents):
            if kind == wanted:
                contents = inner
                break
        else:
            raise KeyError(wanted.decode())
    return contents


def _optional(contents: bytes, *path: bytes) -> bytes | None:
    try:
        return _child(contents, *path)
    except KeyError:
        return None


def _numbers(contents: bytes, place: int, count: int, width: int = 1) -> Iterator[tuple[int, ...]]:
    """`count` entries of `width` unsigned 32-bit numbers each."""
    entry = struct.Struct(f">{width}I")
    return entry.iter_unpack(contents[place : place + count * entry.size])


def _track(movie: bytes) -> Track:
    for kind, contents, _ in _children(movie):
        if kind == b"trak" and _child(contents, b"mdia", b"hdlr")[8:12] == b"vide":
            return _video_track(_child(movie, b"mvhd"), contents)
    raise UnreadableError("it holds no video")


def _video_track(movie_header: bytes, contents: bytes) -> Track:
    media = _child(contents, b"mdia")
    information = _child(media, b"minf")
    tables = _child(information, b"stbl")
    track_header, media_header = _child(contents, b"tkhd"), _child(media, b"mdhd")
    if track_header[0] != 0 or media_header[0] != 0 or movie_header[0] != 0:
        raise UnreadableError("its headers are of another version than ours")
    sample_description = _child(tables, b"stsd")
    edits = _optional(contents, b"edts", b"elst")
    track = Track(
        number=int.from_bytes(track_header[12:16], "big"),
        timescale=int.from_bytes(media_header[12:16], "big"),
        movie_header=movie_header,
        track_header=track_header,
        media_header=media_header,
        descriptions=b"".join(
            whole for kind, _, whole in _children(information) if kind != b"stbl"
        ),
        sample_description=sample_description,
        codec=sample_description[12:16].decode("ascii", "replace"),
        edit_begin=None if edits is None else _edit_begin(edits),
    )
    _add_first_fragment(track, tables)
    return track


def _edit_begin(edits: bytes) -> int:
    """The media time of the edit that shows pictures; version 0 or 1 (8.6.6)."""
    (count,) = struct.unpack_from(">I", edits, 4)
    entry = struct.Struct(">QqI" if edits[0] else ">IiI")
    found = entry.iter_unpack(edits[8 : 8 + count * entry.size])
    return next((media_time for _, media_time, _ in found if media_time >= 0), 0)


def _add_first_fragment(track: Track, tables: bytes) -> None:
    """Take in the tables at the beginning of the file."""
    sizes = _child(tables, b"stsz")
    same_size, count = struct.unpack_from(">II", sizes, 4)
    _refuse_too_many(count)
    track.sizes += (
        [same_size] * count if same_size else [size for (size,) in _numbers(sizes, 12, count)]
    )
    durations = _child(tables, b"stts")
    time = 0
    for repeated, duration in _numbers(durations, 8, _count(durations), 2):
        for _ in range(min(repeated, count - len(track.times))):
            track.times.append(time)
            time += duration
            track.last_duration = duration
    shifts = _optional(tables, b"ctts")
    if shifts is not None:
        entries = struct.Struct(">Ii").iter_unpack(shifts[8 : 8 + 8 * _count(shifts)])
        for repeated, shift in entries:
            track.shifts += [shift] * min(repeated, count - len(track.shifts))
    track.shifts += [0] * (count - len(track.shifts))
    keyframes = _optional(tables, b"stss")
    if keyframes is None:
        track.keyframes += range(count)
    else:
        track.keyframes += [number - 1 for (number,) in _numbers(keyframes, 8, _count(keyframes))]
    if not len(track.times) == len(track.shifts) == count:
        raise ValueError("the tables differ in length")
    _add_first_chunks(track, tables, count)


def _add_first_chunks(track: Track, tables: bytes, count: int) -> None:
    chunks = _child(tables, b"stsc")
    runs = list(_numbers(chunks, 8, _count(chunks), 3))
    places = _optional(tables, b"stco")
    if places is not None:
        where = [place for (place,) in _numbers(places, 8, _count(places))]
    else:
        places = _child(tables, b"co64")
        where = [place for (place,) in struct.iter_unpack(">Q", places[8 : 8 + 8 * _count(places)])]
    left = count
    for number, place in enumerate(where, 1):
        held = next((samples for first, samples, _ in reversed(runs) if first <= number), 0)
        track.chunks.append((place, min(held, left)))
        left -= min(held, left)
    if left:
        raise ValueError("pictures without a place")


def _count(table: bytes) -> int:
    (count,) = struct.unpack_from(">I", table, 4)
    if count > len(table):
        raise ValueError("a table longer than its box")
    return int(count)


def _defaults(movie: bytes, number: int) -> tuple[int, int, int]:
    """Duration, size and flags of samples that do not say (8.8.3)."""
    for kind, contents, _ in _children(_child(movie, b"mvex")):
        if kind == b"trex":
            track, _, duration, size, flags = struct.unpack_from(">5I", contents, 4)
            if track == number:
                return duration, size, flags
    raise KeyError("trex")


def _add_fragment(
    track: Track, contents: bytes, defaults: tuple[int, int, int], fragment: Box
) -> None:
    for kind, inner, _ in _children(contents):
        if kind == b"traf":
            _add_track_fragment(track, inner, defaults, fragment)


def _add_track_fragment(
    track: Track, contents: bytes, defaults: tuple[int, int, int], fragment: Box
) -> None:
    header = _Fields(_child(contents, b"tfhd"))
    if header.number() != track.number:
        return
    duration, size, flags = defaults
    base = header.long() if header.flags & 0x1 else fragment.place
    if header.flags & 0x2:
        header.number()
    duration = header.number() if header.flags & 0x8 else duration
    size = header.number() if header.flags & 0x10 else size
    flags = header.number() if header.flags & 0x20 else flags
    decode_time = _optional(contents, b"tfdt")
    time = track.duration
    if decode_time is not None:
        fields = _Fields(decode_time)
        time = fields.long() if fields.version else fields.number()
    for kind, inner, _ in _children(contents):
        if kind == b"trun":
            time = _add_run(track, _Fields(inner), base, time, (duration, size, flags))


def _add_run(
    track: Track, run: _Fields, base: int, time: int, defaults: tuple[int, int, int]
) -> int:
    count = run.number()
    _refuse_too_many(len(track.sizes) + count)
    track.chunks.append((base + (run.signed() if run.flags & 0x1 else 0), count))
    first_flags = run.number() if run.flags & 0x4 else None
    for index in range(count):
        duration = run.number() if run.flags & 0x100 else defaults[0]
        size = run.number() if run.flags & 0x200 else defaults[1]
        flags = run.number() if run.flags & 0x400 else defaults[2]
        if index == 0 and first_flags is not None:
            flags = first_flags
        shift = 0
        if run.flags & 0x800:
            shift = run.signed() if run.version else run.number()
        if not flags & _IS_NO_KEYFRAME:
            track.keyframes.append(len(track.sizes))
        track.sizes.append(size)
        track.times.append(time)
        track.shifts.append(shift)
        track.last_duration = duration
        time += duration
    return time


def _refuse_too_many(pictures: int) -> None:
    if pictures > _MOST_PICTURES:
        raise ValueError(f"{pictures} pictures")


class _Fields:
    """Reads the fields of a full box, one after another. Raises struct.error at its end."""

    def __init__(self, contents: bytes) -> None:
        (word,) = struct.unpack_from(">I", contents)
        self.version = word >> 24
        self.flags = word & 0xFFFFFF
        self._contents = contents
        self._place = 4

    def number(self) -> int:
        return self._next(">I", 4)

    def signed(self) -> int:
        return self._next(">i", 4)

    def long(self) -> int:
        return self._next(">Q", 8)

    def _next(self, form: str, width: int) -> int:
        (value,) = struct.unpack_from(form, self._contents, self._place)
        self._place += width
        return int(value)
