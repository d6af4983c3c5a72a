"""After a crash: make an ordinary, playable video of what reached the disk."""

from __future__ import annotations

import contextlib
import os
import struct
from dataclasses import dataclass
from pathlib import Path

import av

from recorderd.core.model import NANOSECONDS_PER_SECOND, Nanoseconds, RecordingId
from recorderd.engine.footage_file import BEGINNING_TAG, storage_errors
from recorderd.engine.messages import Captured, NothingLeft
from recorderd.errors import StorageError
from recorderd.store.footage import RecordingFiles, publish


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What a video file says about itself; `indexed` of its pictures are in its main index."""

    frames: int
    indexed: int
    duration_ns: Nanoseconds
    codec: str
    width: int
    height: int
    tags: dict[str, str]


def facts_of(path: Path) -> FileFacts | None:
    """Read a video's packets (without decoding); None if it holds no readable picture."""
    frames = 0
    first = last = None
    try:
        with av.open(str(path), metadata_errors="replace") as container:
            stream = container.streams.video[0]
            indexed = stream.frames
            with contextlib.suppress(av.FFmpegError):  # the torn end of a file is expected
                for packet in container.demux(stream):
                    if packet.pts is None or packet.size == 0:
                        continue
                    frames += 1
                    moment = packet.pts * packet.time_base
                    first = moment if first is None else min(first, moment)
                    last = moment if last is None else max(last, moment)
            if first is None or last is None:
                return None
            return FileFacts(
                frames,
                indexed,
                round((last - first) * NANOSECONDS_PER_SECOND),
                stream.codec_context.codec.canonical_name,
                stream.codec_context.width,
                stream.codec_context.height,
                dict(container.metadata),
            )
    except (av.FFmpegError, IndexError):
        return None


def remux(source: Path, target: Path) -> None:
    """Copy every readable packet into an ordinary MP4, forced onto the disk.

    Raises StorageError (disk full, or not a video); `target` is then removed.
    """
    try:
        with (
            storage_errors(target),
            av.open(str(source), metadata_errors="replace") as torn,
            av.open(
                str(target), "w", format="mp4", options={"movflags": "use_metadata_tags"}
            ) as whole,
        ):
            whole.metadata.update(torn.metadata)
            streams = {
                stream.index: whole.add_stream_from_template(stream, opaque=True)
                for stream in torn.streams
                if stream.type in ("video", "subtitle")
            }
            for stream in whole.streams.video:
                if stream.codec_context.name == "hevc":
                    stream.codec_context.codec_tag = "hvc1"  # Safari plays no other HEVC
            with contextlib.suppress(av.FFmpegError):
                for packet in torn.demux():
                    if packet.dts is not None and packet.size and packet.stream_index in streams:
                        packet.stream = streams[packet.stream_index]
                        whole.mux_one(packet)
        with storage_errors(target):
            descriptor = os.open(target, os.O_RDONLY)
            try:
                os.fdatasync(descriptor)
            finally:
                os.close(descriptor)
    except BaseException:
        with contextlib.suppress(OSError):
            target.unlink(missing_ok=True)
        raise


def reopen(path: Path) -> bool:
    """Undo a closing that was cut off: the index of the whole file is lost, those of the
    fragments are still in it. True if that is how the file was.

    Closing a hybrid MP4 puts all fragments into one `mdat` box, by writing its header over a
    `free` box at the beginning, and then writes the index behind it. What lies in that box begins
    with the `ftyp` and `moov` boxes of the fragmented file. Raises StorageError.
    """
    with storage_errors(path), path.open("r+b") as file:
        beginning = file.read(4096)
        place = 0
        while place + 16 <= len(beginning):
            size, kind = struct.unpack_from(">I4s", beginning, place)
            header = 16 if size == 1 else 8
            if kind == b"mdat":
                inner, inner_kind = struct.unpack_from(">I4s", beginning, place + header)
                skipped = header + inner
                moov = beginning[place + skipped + 4 : place + skipped + 8]
                if inner_kind != b"ftyp" or moov != b"moov":
                    return False
                file.seek(place)
                file.write(struct.pack(">I4s", skipped, b"free"))
                file.flush()
                os.fdatasync(file.fileno())
                return True
            if size < 8:
                return False
            place += size
        return False


def salvage(recording_id: RecordingId, files: RecordingFiles) -> Captured | NothingLeft:
    """Publish what is left of a recording; may be repeated after any interruption.

    The torn file is replaced only by a remuxed one that is already on the disk. If there is
    no room for that, the torn file is published as it is: it plays up to its last fragment.
    Raises StorageError if the folder cannot be used now.
    """
    with storage_errors(files.incoming_video):
        in_place = files.video.exists()
        if not in_place:
            torn = files.incoming_video
            if not torn.exists() or not _mend(torn):
                return NothingLeft(recording_id, _what_was_found(torn))
        if files.incoming_still.exists() and not _is_other_file(files.incoming_still, files.still):
            publish(files.incoming_still, files.still)
        # Also finishes a move that was cut off between the new name and the old one.
        if files.incoming_video.exists() and not _is_other_file(files.incoming_video, files.video):
            publish(files.incoming_video, files.video)
        return _found(recording_id, files)


def _mend(torn: Path) -> bool:
    """Make an ordinary file of it where that is possible; False if it holds no picture."""
    before = facts_of(torn)
    if before is None and torn.stat().st_size and reopen(torn):
        before = facts_of(torn)
    if before is None:
        return False
    if before.indexed == before.frames:
        return True
    whole = torn.with_suffix(".salvaged.mp4")
    whole.unlink(missing_ok=True)
    with contextlib.suppress(StorageError):
        remux(torn, whole)
        after = facts_of(whole)
        if after is not None and after.frames >= before.frames:
            whole.replace(torn)
        else:
            whole.unlink()
    return True


def _is_other_file(incoming: Path, final: Path) -> bool:
    return final.exists() and not final.samefile(incoming)


def _found(recording_id: RecordingId, files: RecordingFiles) -> Captured | NothingLeft:
    facts = facts_of(files.video)
    if facts is None:
        return NothingLeft(recording_id, _what_was_found(files.video))
    try:
        first_ns = int(facts.tags.get(BEGINNING_TAG, ""))
    except ValueError:
        first_ns = 0
    return Captured(
        recording_id=recording_id,
        bytes=files.video.stat().st_size,
        frames=facts.frames,
        dropped=0,
        first_ns=first_ns,
        duration_ns=facts.duration_ns,
        codec=facts.codec,
        encoder=facts.tags.get("recorder_encoder", ""),
        mode=facts.tags.get("recorder_mode", ""),
        width=facts.width,
        height=facts.height,
        recovered=True,
    )


def _what_was_found(path: Path) -> str:
    if not path.exists():
        return "no file was left"
    size = path.stat().st_size
    return f"{path.name} holds no readable picture ({size} bytes); it was left where it is"
