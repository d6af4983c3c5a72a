"""Reading MP4 files that may be torn, and copying what plays of them into ordinary ones."""

from __future__ import annotations

import contextlib
import errno
import mmap
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, cast

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.codeccontext import VideoCodecContext

from recorderd.engine.footage_file import storage_errors
from recorderd.engine.left_open import close_left_open
from recorderd.errors import StorageError
from recorderd.mp4.boxes import Beginning, Patch
from recorderd.store.footage import FOOTAGE_MODE, sync_file

_ORDINARY_BYTES: Final = 64 << 20
"""More than FFmpeg needs to read a whole video of ours."""
_OPTIONS: Final = {
    "movflags": "hybrid_fragmented+use_metadata_tags",
    "frag_duration": "1000000",
    "max_interleave_delta": "1",
}


@contextlib.contextmanager
def opened(
    path: Path, end: int | None = None, patch: Patch | None = None
) -> Iterator[InputContainer]:
    """Open a file of ours: with `end` only so many bytes of it, with `patch` as if it were in it.

    Raises OSError or av.FFmpegError.
    """
    with contextlib.ExitStack() as stack:
        source: str | Beginning = str(path)
        if end is not None or patch is not None:
            size = path.stat().st_size if end is None else end
            source = Beginning(stack.enter_context(path.open("rb")), size, patch)
        # FFmpeg is not to guess: it takes two bytes of garbage for a picture.
        container = av.open(source, "r", format="mp4", metadata_errors="replace")
        yield stack.enter_context(container)


def raise_if_of_the_machine(error: BaseException, path: Path) -> None:
    """Raise StorageError for an error that says nothing about the file: look at it later.

    FFmpeg hands on what the system says (a disk that fails, a file that may not be read, no
    descriptor) as an OSError; what it finds in the file itself is another kind of error. Only
    ENOMEM may be either, for a damaged header may ask for any amount: it is the machine's if
    it has none for an ordinary file either.
    """
    of_memory = isinstance(error, MemoryError)
    if of_memory and _has_memory():
        return
    # EINVAL: a place in the file that cannot be, as a damaged index names it.
    if of_memory or (isinstance(error, OSError) and error.errno != errno.EINVAL):
        reason = getattr(error, "strerror", None) or str(error)
        raise StorageError(
            f"{path} cannot be read now: {reason}",
            "Check the disk and its cable; the file is kept and looked at again",
        ) from error


def _has_memory() -> bool:
    try:
        mmap.mmap(-1, _ORDINARY_BYTES).close()
    except OSError:
        return False
    return True


def decoder_of(stream: Stream) -> VideoCodecContext | None:
    """PyAV gives none where a damaged header names no codec, though it declares otherwise."""
    return cast("VideoCodecContext | None", stream.codec_context)


def is_whole(packet: Packet[Any]) -> bool:
    """FFmpeg gives out what is there of a picture over which the file ends, and marks it."""
    return packet.size > 0 and not packet.is_corrupt


def remux(
    source: Path,
    target: Path,
    end: int | None = None,
    patch: Patch | None = None,
    tags: Mapping[str, str] | None = None,
    without: Collection[int] = (),
) -> None:
    """Copy every readable packet into an ordinary MP4, forced onto the disk, with more tags.

    `end` and `patch` are those of `opened`; pictures with a PTS in `without` are left out, and the
    others keep theirs. Fragments are left in it as in any recording, so that it can be
    salvaged again should it be cut off later.
    Raises StorageError (disk full or failing, or not a video); `target` is then removed.
    """
    try:
        with (
            storage_errors(target),
            opened(source, end, patch) as torn,
            av.open(str(target), "w", format="mp4", options=_OPTIONS) as whole,
        ):
            whole.metadata.update({**torn.metadata, **(tags or {})})
            streams = {
                stream.index: whole.add_stream_from_template(stream, opaque=True)
                for stream in torn.streams
                if stream.type in ("video", "subtitle") and decoder_of(stream) is not None
            }
            for stream in whole.streams.video:
                if stream.codec_context.name == "hevc":
                    stream.codec_context.codec_tag = "hvc1"  # Safari plays no other HEVC
            for packet in _readable(torn, source, without):
                if packet.stream_index in streams:
                    packet.stream = streams[packet.stream_index]
                    whole.mux_one(packet)
        with storage_errors(target):
            target.chmod(FOOTAGE_MODE)
        sync_file(target)
    except BaseException as error:
        close_left_open(target)
        with contextlib.suppress(OSError):
            target.unlink(missing_ok=True)
        if isinstance(error, ValueError):
            raise StorageError(f"{source} is not right: {error}", "It is kept") from error
        raise


def _readable(
    torn: InputContainer, source: Path, without: Collection[int]
) -> Iterator[Packet[Any]]:
    """The packets up to where nothing more can be read, without these pictures.

    What fails while they are written is another matter: that is not the file's end.
    """
    packets = torn.demux()
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except av.FFmpegError as error:
            raise_if_of_the_machine(error, source)
            return
        if packet.dts is None or not is_whole(packet):
            continue
        if packet.stream.type == "video" and packet.pts in without:
            continue
        yield packet
