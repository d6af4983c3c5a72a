"""After a crash: make an ordinary, playable video of what reached the disk."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.codeccontext import VideoCodecContext

from recorderd.core.model import NANOSECONDS_PER_SECOND, Nanoseconds, RecordingId
from recorderd.engine.footage_file import BEGINNING_TAG, storage_errors
from recorderd.engine.messages import Captured, NothingLeft
from recorderd.engine.torn_end import leave_out_torn_end
from recorderd.errors import StorageError
from recorderd.mp4.boxes import Beginning, fragment_places, is_closed, reopen
from recorderd.store.footage import FOOTAGE_MODE, RecordingFiles, publish

MOST_BAD_FRAGMENTS = 20
"""After a power cut some file systems hold zeros where the last seconds should be."""


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What a video file says about itself."""

    frames: int
    duration_ns: Nanoseconds
    codec: str
    width: int
    height: int
    tags: dict[str, str]


def facts_of(path: Path, end: int | None = None) -> FileFacts | None:
    """Read a video's packets (without decoding); None if it holds no readable picture.

    With `end`, only so many bytes of the file are looked at.
    """
    frames = 0
    first = last = None
    try:
        with _opened(path, end) as container:
            stream = container.streams.video[0]
            context = _decoder_of(stream)
            if context is None:
                return None
            with contextlib.suppress(av.FFmpegError):  # the torn end of a file is expected
                for packet in container.demux(stream):
                    if packet.pts is None or not _is_whole(packet):
                        continue
                    frames += 1
                    moment = packet.pts * packet.time_base
                    first = moment if first is None else min(first, moment)
                    last = moment if last is None else max(last, moment)
            if first is None or last is None:
                return None
            return FileFacts(
                frames,
                round((last - first) * NANOSECONDS_PER_SECOND),
                context.codec.canonical_name,
                context.width,
                context.height,
                dict(container.metadata),
            )
    except (av.FFmpegError, IndexError):
        return None


@contextlib.contextmanager
def _opened(path: Path, end: int | None) -> Iterator[InputContainer]:
    """Raises OSError or av.FFmpegError."""
    with contextlib.ExitStack() as stack:
        source: str | Beginning = str(path)
        if end is not None:
            source = Beginning(stack.enter_context(path.open("rb")), end)
        # FFmpeg is not to guess: it takes two bytes of garbage for a picture.
        container = av.open(source, "r", format="mp4", metadata_errors="replace")
        yield stack.enter_context(container)


def _decoder_of(stream: Stream) -> VideoCodecContext | None:
    """PyAV gives none where a damaged header names no codec, though it declares otherwise."""
    return cast("VideoCodecContext | None", stream.codec_context)


def _is_whole(packet: Packet[Any]) -> bool:
    """FFmpeg gives out what is there of a picture over which the file ends, and marks it."""
    return packet.size > 0 and not packet.is_corrupt


def remux(source: Path, target: Path, end: int | None = None) -> None:
    """Copy every readable packet into an ordinary MP4, forced onto the disk.

    With `end`, only so many bytes of the source are looked at.
    Raises StorageError (disk full, or not a video); `target` is then removed.
    """
    try:
        with (
            storage_errors(target),
            _opened(source, end) as torn,
            av.open(
                str(target), "w", format="mp4", options={"movflags": "use_metadata_tags"}
            ) as whole,
        ):
            whole.metadata.update(torn.metadata)
            streams = {
                stream.index: whole.add_stream_from_template(stream, opaque=True)
                for stream in torn.streams
                if stream.type in ("video", "subtitle") and _decoder_of(stream) is not None
            }
            for stream in whole.streams.video:
                if stream.codec_context.name == "hevc":
                    stream.codec_context.codec_tag = "hvc1"  # Safari plays no other HEVC
            with contextlib.suppress(av.FFmpegError):
                for packet in torn.demux():
                    wanted = packet.stream_index in streams and _is_whole(packet)
                    if wanted and packet.dts is not None:
                        packet.stream = streams[packet.stream_index]
                        whole.mux_one(packet)
        with storage_errors(target):
            descriptor = os.open(target, os.O_RDONLY)
            os.fchmod(descriptor, FOOTAGE_MODE)
            try:
                os.fdatasync(descriptor)
            finally:
                os.close(descriptor)
    except BaseException as error:
        with contextlib.suppress(OSError):
            target.unlink(missing_ok=True)
        if isinstance(error, ValueError):
            raise StorageError(f"{source} is not right: {error}", "It is kept") from error
        raise


def salvage(recording_id: RecordingId, files: RecordingFiles) -> Captured | NothingLeft:
    """Publish what is left of a recording; may be repeated after any interruption.

    The torn file is replaced only by a remuxed one that is already on the disk. If there is
    no room for that, the torn file is published as it is: it plays up to its last fragment.
    Raises StorageError if the folder cannot be used now.
    """
    with storage_errors(files.incoming_video):
        torn = files.incoming_video
        if not files.video.exists() and not (torn.exists() and _mend(torn)):
            return NothingLeft(recording_id, _what_was_found(torn))
        if torn.exists():
            leave_out_torn_end(torn)
        if files.incoming_still.exists() and not _is_other_file(files.incoming_still, files.still):
            publish(files.incoming_still, files.still)
        if torn.exists():
            # Also finishes a move that was cut off between the new name and the old one.
            publish(torn, files.video)
        return _found(recording_id, files)


def _mend(torn: Path) -> bool:
    """Make an ordinary file of it where that is possible; False if it holds no picture."""
    if is_closed(torn) and facts_of(torn) is not None:
        return True
    reopen(torn)  # The fragments hold all, an index that was cut off may lack even the tags.
    end, before = _readable(torn)
    if before is None:
        return False
    whole = torn.with_suffix(".salvaged.mp4")
    whole.unlink(missing_ok=True)
    try:
        remux(torn, whole, end)
        after = facts_of(whole)
        if after is not None and after.frames >= before.frames:
            whole.replace(torn)
            return True
        whole.unlink()
    except StorageError:
        pass  # No room, most likely: the torn file is kept.
    if end is not None:
        os.truncate(torn, end)
    return True


def _readable(torn: Path) -> tuple[int | None, FileFacts | None]:
    """What is in the file, and how many bytes of it to look at for that, None for all.

    FFmpeg refuses a whole file for a fragment whose index was cut off or never written.
    """
    places = reversed(fragment_places(torn)[-MOST_BAD_FRAGMENTS:])
    for end in (None, *places):
        facts = facts_of(torn, end)
        if facts is not None:
            return end, facts
    return None, None


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
