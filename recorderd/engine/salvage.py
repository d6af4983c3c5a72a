"""After a crash: make an ordinary, playable video of what reached the disk."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import av

from recorderd.core.model import NANOSECONDS_PER_SECOND, Nanoseconds, RecordingId
from recorderd.engine.footage_file import BEGINNING_TAG, storage_errors
from recorderd.engine.messages import Captured, NothingLeft
from recorderd.engine.remux import decoder_of, is_whole, opened, raise_if_of_the_machine, remux
from recorderd.engine.torn_pictures import leave_out_torn_pictures
from recorderd.errors import StorageError
from recorderd.mp4.boxes import (
    Patch,
    closing_undone,
    fragment_places,
    is_closed,
    reopen,
)
from recorderd.store.footage import RecordingFiles, publish

UNWRITTEN_TAG = "recorder_unwritten_ns"
"""In a file that was put together again: how long after its last picture the torn one was last
written to, no number if that is not known."""

_LONGEST_UNWRITTEN_NS: Nanoseconds = 60 * NANOSECONDS_PER_SECOND
"""A longer time, or less than none, means that the wall clock was set in between."""
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


def facts_of(path: Path, end: int | None = None, patch: Patch | None = None) -> FileFacts | None:
    """Read a video's packets (without decoding); None if it holds no readable picture.

    With `end`, only so many bytes of the file are looked at, with `patch` as if it were in it.
    Raises StorageError if the machine could not read it: that says nothing about the file.
    """
    frames = 0
    first = last = None
    try:
        with opened(path, end, patch) as container:
            stream = container.streams.video[0]
            context = decoder_of(stream)
            if context is None:
                return None
            try:
                for packet in container.demux(stream):
                    if packet.pts is None or not is_whole(packet):
                        continue
                    frames += 1
                    moment = packet.pts * packet.time_base
                    first = moment if first is None else min(first, moment)
                    last = moment if last is None else max(last, moment)
            except av.FFmpegError as error:  # the torn end of a file is expected
                raise_if_of_the_machine(error, path)
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
    except (av.FFmpegError, OSError, IndexError) as error:
        raise_if_of_the_machine(error, path)
        return None


def salvage(recording_id: RecordingId, files: RecordingFiles) -> Captured | NothingLeft:
    """Publish what is left of a recording; may be repeated after any interruption.

    The torn file is replaced only by a remuxed one that is already on the disk. If there is
    no room for that, the torn file is published as it is: it plays up to its last fragment.
    Raises StorageError if the folder cannot be used now.
    """
    with storage_errors(files.incoming_video), disk_is_there(files):
        return _salvaged(recording_id, files)


@contextlib.contextmanager
def disk_is_there(files: RecordingFiles) -> Iterator[None]:
    """While a disk is away every file on it seems to be lost: it must be there before and after.

    Raises OSError if it is not.
    """
    files.incoming_video.parent.stat()
    yield
    files.incoming_video.parent.stat()


def _salvaged(recording_id: RecordingId, files: RecordingFiles) -> Captured | NothingLeft:
    torn = files.incoming_video
    # Once it has its final name it is right, and the old name must stay one of the same file.
    published = files.video.exists()
    if not published and not (torn.exists() and _mend(torn) and leave_out_torn_pictures(torn)):
        return NothingLeft(recording_id, _what_was_found(torn))
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
    whole = torn.with_suffix(".salvaged.mp4")
    try:
        made = put_together(torn, whole)
        if made is None:
            return False
        if made.complete:
            whole.replace(torn)
            return True
        whole.unlink()
    except StorageError:
        pass  # No room, most likely: the torn file is kept.
    with _keeping_times(torn):
        reopen(torn)
        end, _ = _readable(torn, None)
        if end is not None:
            os.truncate(torn, end)
    return True


@dataclass(frozen=True, slots=True)
class PutTogether:
    """An ordinary file made of a torn one; not `complete` if it holds fewer pictures."""

    facts: FileFacts
    complete: bool


def put_together(torn: Path, whole: Path) -> PutTogether | None:
    """Make an ordinary file, `whole`, of all that plays of a torn one; None if nothing does.

    The torn file is not changed. A closing that was cut off is read as if it had not begun, for
    the fragments hold all, while such an index may lack even the tags. May be repeated.
    Raises StorageError (no room, most likely), OSError.
    """
    whole.unlink(missing_ok=True)
    patch = closing_undone(torn)
    end, before = _readable(torn, patch)
    if before is None:
        return None
    unwritten_ns = unwritten(before, torn)
    remux(torn, whole, end, patch, {UNWRITTEN_TAG: str(unwritten_ns)})
    after = facts_of(whole)
    if after is None:
        whole.unlink()
        raise StorageError(f"{torn.name} could not be put together again", "It is kept as it is")
    return PutTogether(after, after.frames >= before.frames)


def unwritten(facts: FileFacts, path: Path) -> Nanoseconds | None:
    """How long after its last picture a file was last written to, or the torn one that it was
    made of: all that was taken since is missing. 0 for one that was closed, None if not known.

    By the wall clock, on which a file's time of modification and the beginning of its
    recording are known; both survive a power cut. Raises OSError.
    """
    if UNWRITTEN_TAG in facts.tags:
        tag = facts.tags[UNWRITTEN_TAG]
        return int(tag) if tag.isdecimal() else None
    if is_closed(path):
        return 0
    try:
        started_at = datetime.fromisoformat(facts.tags["started_at"]).timestamp()
        lead_ns = int(facts.tags[BEGINNING_TAG]) - int(facts.tags["started_monotonic_ns"])
    except (KeyError, ValueError, OverflowError):
        return None
    last_ns = round(started_at * NANOSECONDS_PER_SECOND) + lead_ns + facts.duration_ns
    found = path.stat().st_mtime_ns - last_ns
    return found if 0 <= found <= _LONGEST_UNWRITTEN_NS else None


@contextlib.contextmanager
def _keeping_times(path: Path) -> Iterator[None]:
    """The time at which a torn file was last written to tells how much of it is missing."""
    before = path.stat()
    try:
        yield
    finally:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def facts_of_torn(path: Path) -> FileFacts | None:
    """What a file says about itself that may be cut off anywhere; None if nothing in it plays.

    Raises OSError.
    """
    return _readable(path, None if is_closed(path) else closing_undone(path))[1]


def _readable(torn: Path, patch: Patch | None) -> tuple[int | None, FileFacts | None]:
    """What is in the file, and how many bytes of it to look at for that, None for all.

    FFmpeg refuses a whole file for a fragment whose index was cut off or never written.
    """
    places = reversed(fragment_places(torn, patch)[-MOST_BAD_FRAGMENTS:])
    for end in (None, *places):
        facts = facts_of(torn, end, patch)
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
        unwritten_ns=unwritten(facts, files.video),
    )


def _what_was_found(path: Path) -> str:
    if not path.exists():
        return "no file was left"
    size = path.stat().st_size
    return f"{path.name} holds no readable picture ({size} bytes)"
