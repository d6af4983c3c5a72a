"""Cutting a sealed video into pieces that fit a size limit, without encoding it anew.

Each piece begins with a keyframe and is signed together with the hash of the video that it was
cut from. Needs PyAV and the station's private key: for the command line only.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av
from av.packet import Packet
from av.stream import Stream

from recorderd.errors import StorageError
from recorderd.finisher.fingerprint import fingerprint
from recorderd.proof.key import StationKey, load
from recorderd.proof.package import CutPiece, Exported, Package
from recorderd.proof.seals import EvidenceError, moment_text
from recorderd.proof.stand_alone import PIECE_FORMAT, canonical
from recorderd.settings import Settings

_BYTES_PER_PICTURE: Final = 40
"""What the container's tables take for a picture, at most; it is looked at afterwards."""
_HEAD_BYTES: Final = 20_000
_ATTEMPTS: Final = 5


@dataclass(frozen=True, slots=True)
class _Group:
    """A keyframe and what hangs on it: from `begin` on, in seconds."""

    begin: Fraction
    size: int


@dataclass(frozen=True, slots=True)
class _Span:
    """What a piece holds: `begin` included, `end` not; None is the end of the video."""

    begin: Fraction
    end: Fraction | None
    last: Fraction


def cut_large_ones(
    settings: Settings, package: Package, largest_bytes: int, folder: Path
) -> Package:
    """Put pieces into `folder` for each video that is larger than the limit.

    Raises EvidenceError if a video is not the sealed one or cannot be cut so small,
    StorageError, OSError.
    """
    if not any(_is_large(recording, largest_bytes) for recording in package.recordings):
        return package
    if package.warnings:
        raise EvidenceError(
            f"Nothing is cut: {package.warnings[0]}", "Run 'recorderd verify' for this order"
        )
    key = load(settings)
    if key is None:
        raise StorageError(
            f"The station's key {settings.key_file} is missing",
            "Pieces can be signed only on the station's own computer",
        )
    recordings = []
    for recording in package.recordings:
        if recording.video is not None and _is_large(recording, largest_bytes):
            pieces = tuple(_pieces(recording, recording.video, largest_bytes, folder, key))
            recording = replace(recording, video=None, pieces=pieces)
        recordings.append(recording)
    return replace(package, recordings=tuple(recordings))


def _is_large(recording: Exported, largest_bytes: int) -> bool:
    return recording.video is not None and recording.video.stat().st_size > largest_bytes


def _pieces(
    recording: Exported, video: Path, largest_bytes: int, folder: Path, key: StationKey
) -> Iterator[CutPiece]:
    try:
        cut = _cut(video, largest_bytes, folder / recording.row.id)
    except (av.FFmpegError, IndexError) as error:
        raise EvidenceError(
            f"{video} cannot be cut: {error}", "Export it without --largest-megabytes"
        ) from error
    for number, (path, span) in enumerate(cut, 1):
        found = fingerprint(path, lambda: False)
        if found is None:
            continue
        size = path.stat().st_size
        statement = canonical(
            {
                "format": PIECE_FORMAT,
                "key": key.public.hex(),
                "recording_id": recording.row.id,
                "order_id": recording.row.order_id,
                "original_sha256": recording.facts["sha256"],
                "original_seal": recording.seals[-1].seal,
                "number": number,
                "of": len(cut),
                "from_ms": round(span.begin * 1000),
                "to_ms": round(span.last * 1000),
                "bytes": size,
                "sha256": found.sha256,
                "cut_at": moment_text(datetime.now(UTC)),
            }
        )
        yield CutPiece(path, size, found.crc32, statement, key.sign(statement))


def _cut(video: Path, largest_bytes: int, folder: Path) -> list[tuple[Path, _Span]]:
    """All of the video in as few pieces as fit; the last attempts leave more room for tables."""
    folder.mkdir()
    groups, last = _groups(video)
    room = largest_bytes - _HEAD_BYTES
    for _attempt in range(_ATTEMPTS):
        spans = _spans(groups, last, room)
        made = [(folder / f"{number}.mp4", span) for number, span in enumerate(spans)]
        for path, span in made:
            _copy(video, path, span)
        too_much = max(path.stat().st_size for path, _ in made) - largest_bytes
        if too_much <= 0:
            return made
        room -= too_much + 1
        for path, _ in made:
            path.unlink()
    raise EvidenceError(
        f"{video} cannot be cut into pieces of {largest_bytes / 1e6:.0f} MB: one picture to start "
        "from, and what follows it up to the next one, take more",
        "Allow larger pieces with --largest-megabytes",
    )


def _groups(video: Path) -> tuple[list[_Group], Fraction]:
    """The places to cut at, and when the last picture begins."""
    groups: list[_Group] = []
    last = Fraction(0)
    with av.open(str(video)) as source:
        stream = source.streams.video[0]
        for packet in source.demux(stream):
            moment = _moment(packet)
            if moment is None:
                continue
            size = packet.size + _BYTES_PER_PICTURE
            last = max(last, moment)
            if packet.is_keyframe or not groups:
                groups.append(_Group(moment, size))
            else:
                groups[-1] = replace(groups[-1], size=groups[-1].size + size)
    if not groups:
        raise IndexError("it holds no picture")
    return groups, last


def _spans(groups: list[_Group], last: Fraction, room: int) -> list[_Span]:
    begins: list[Fraction] = []
    size = 0
    for group in groups:
        if not begins or size + group.size > room:
            begins.append(group.begin)
            size = 0
        size += group.size
    ends: list[Fraction | None] = [*begins[1:], None]
    return [
        _Span(begin, end, last if end is None else end)
        for begin, end in zip(begins, ends, strict=True)
    ]


def _copy(video: Path, target: Path, span: _Span) -> None:
    """Copy the packets of a span, with all streams and tags, beginning at zero."""
    with ExitStack() as opened:
        source = opened.enter_context(av.open(str(video)))
        output = opened.enter_context(
            av.open(str(target), "w", options={"movflags": "use_metadata_tags"})
        )
        output.metadata.update(source.metadata)
        streams: dict[int, Stream] = {
            stream.index: output.add_stream_from_template(stream)
            for stream in source.streams
            if stream.type in ("video", "subtitle")
        }
        keyframe_seen = False
        for packet in source.demux([source.streams[index] for index in streams]):
            moment = _moment(packet)
            if moment is None or packet.time_base is None:
                continue
            if packet.stream.type == "video":
                # Pictures are shown in another order than they are stored in.
                if packet.is_keyframe:
                    keyframe_seen = span.begin <= moment and (span.end is None or moment < span.end)
                if not keyframe_seen:
                    continue
            elif moment < span.begin or (span.end is not None and moment >= span.end):
                continue
            shift = round(span.begin / packet.time_base)
            if packet.pts is not None:
                packet.pts -= shift
            if packet.dts is not None:
                packet.dts -= shift
            packet.stream = streams[packet.stream.index]
            output.mux(packet)


def _moment(packet: Packet[Any]) -> Fraction | None:
    if packet.pts is None or packet.time_base is None or not packet.size:
        return None
    return packet.pts * packet.time_base
