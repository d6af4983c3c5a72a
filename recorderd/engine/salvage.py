"""After a crash: make an ordinary, playable video of what reached the disk."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

import av

from recorderd.core.model import NANOSECONDS_PER_SECOND, Nanoseconds, RecordingId
from recorderd.engine.footage_file import storage_errors
from recorderd.engine.messages import Captured, NothingLeft
from recorderd.errors import StorageError
from recorderd.store.footage import RecordingFiles, publish


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What a finished file says about itself."""

    frames: int
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
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
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

    Raises StorageError (disk full) or av.FFmpegError (not a video); `target` is then removed.
    """
    try:
        with (
            storage_errors(target),
            av.open(str(source)) as torn,
            av.open(
                str(target), "w", format="mp4", options={"movflags": "use_metadata_tags"}
            ) as whole,
        ):
            whole.metadata.update(torn.metadata)
            streams = {
                stream.index: whole.add_stream_from_template(stream)
                for stream in torn.streams
                if stream.type in ("video", "subtitle")
            }
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
        target.unlink(missing_ok=True)
        raise


def salvage(recording_id: RecordingId, files: RecordingFiles) -> Captured | NothingLeft:
    """Publish what is left of a recording; may be repeated after any interruption.

    The torn file is replaced only by a remuxed one that is already on the disk. If there is
    no room for that, the torn file is published as it is: it plays up to its last fragment.
    Raises StorageError if the folder cannot be used now.
    """
    if not files.video.exists():
        torn = files.incoming_video
        before = facts_of(torn) if torn.exists() else None
        if before is None:
            return NothingLeft(recording_id, _what_was_found(torn))
        whole = torn.with_suffix(".salvaged.mp4")
        whole.unlink(missing_ok=True)
        with contextlib.suppress(StorageError, av.FFmpegError):
            remux(torn, whole)
            after = facts_of(whole)
            if after is not None and after.frames >= before.frames:
                whole.replace(torn)
            else:
                whole.unlink(missing_ok=True)
    if files.incoming_still.exists() and not files.still.exists():
        publish(files.incoming_still, files.still)
    if not files.video.exists():
        publish(files.incoming_video, files.video)
    facts = facts_of(files.video)
    if facts is None:
        return NothingLeft(recording_id, _what_was_found(files.video))
    return Captured(
        recording_id=recording_id,
        bytes=files.video.stat().st_size,
        frames=facts.frames,
        dropped=0,
        first_ns=int(facts.tags.get("monotonic_ns", "0")),
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
