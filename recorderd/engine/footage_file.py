"""A video file that survives the plug: hybrid fragmented MP4, synced once a second.

While it is written it is a fragmented MP4 that plays up to the last fragment; closing turns it
into an ordinary, seekable one (FFmpeg's mov muxer, `hybrid_fragmented`, since 7.1).
"""

from __future__ import annotations

import contextlib
import errno
import os
import threading
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Stream

from recorderd.core.model import NANOSECONDS_PER_SECOND, Nanoseconds, nanoseconds
from recorderd.engine.left_open import close_left_open
from recorderd.errors import StorageError
from recorderd.store.footage import FOOTAGE_MODE, sync_folder

TIME_BASE = Fraction(1, 90_000)
"""MPEG's own clock: holds 29.97, 30 and variable rates without rounding drift."""

BEGINNING_TAG = "monotonic_ns"
SYNC_TAG = "recorder_sync_seconds"
"""How much of a file's end may not have reached the disk when the plug is pulled."""

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
_SHARE = 0.4
"""Of `sync_seconds`, for a fragment and for the pause between syncs: a fifth is left for what the
disk takes, and for a fragment that is a picture longer."""


def ticks(length_ns: Nanoseconds) -> int:
    """Nanoseconds as units of TIME_BASE."""
    return round(length_ns * 90_000 / NANOSECONDS_PER_SECOND)


@contextlib.contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Translate what the file system says into a StorageError."""
    try:
        yield
    except (OSError, av.FFmpegError) as error:
        if error.errno in _DISK_FULL:
            raise StorageError(
                f"The disk is full: {path.parent}", "Make room or shorten how long footage is kept"
            ) from error
        reason = error.strerror or str(error)
        raise StorageError(
            f"Cannot write {path}: {reason}", "Check the disk, its cable and the folder's rights"
        ) from error


def is_disk_full(error: StorageError) -> bool:
    cause = error.__cause__
    return isinstance(cause, OSError | av.FFmpegError) and cause.errno in _DISK_FULL


def _storable(text: str) -> str:
    """The text without what a tag cannot hold: NUL would end it, lone surrogates have no UTF-8."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def pause_after_sync(usual_seconds: float, took_seconds: float) -> float:
    """How long to wait after a sync that took so long.

    What is written while a slow disk syncs is at risk, too: the next sync has to come so much
    sooner. Some rest it gets all the same.
    """
    return max(usual_seconds / 4, usual_seconds - took_seconds)


class FootageFile:
    """One file being written, with a text track of the wall clock. Used by one thread.

    A second thread forces its name and what was written onto the disk more than twice in
    `sync_seconds`, and the fragments are as short, so that a power cut costs no more than that
    time, unless the disk takes very long for a sync.
    """

    def __init__(self, path: Path, tags: Mapping[str, str], sync_seconds: float) -> None:
        """Raises StorageError; never overwrites a file."""
        self.path = path
        self.unsure_ns = nanoseconds(sync_seconds)
        """More of what was given to `mux` than may still be in memory."""
        with storage_errors(path):
            self._descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, FOOTAGE_MODE)
            # Opens nothing yet: FFmpeg does that with the first packet.
            self.container: OutputContainer = av.open(
                str(path),
                "w",
                format="mp4",
                options={
                    "movflags": "hybrid_fragmented+use_metadata_tags",
                    "frag_duration": str(round(sync_seconds * _SHARE * 1_000_000)),
                    "flush_packets": "1",
                    # Else all pictures wait in memory for the next text of the clock track.
                    "max_interleave_delta": "1",
                },
            )
        self.container.metadata.update({key: _storable(text) for key, text in tags.items()})
        self.container.metadata[SYNC_TAG] = f"{sync_seconds:g}"
        self._clock_track: Stream | None = None
        self._clock_second: int | None = None
        self._written = threading.Event()
        self._closing = threading.Event()
        self._sync_problem: OSError | StorageError | None = None
        self._pause_seconds = sync_seconds * _SHARE
        self._syncer = threading.Thread(target=self._sync, name=f"sync {path.stem[-12:]}")
        self._syncer.start()

    def tag_beginning(self, first_ns: Nanoseconds) -> None:
        """Write down when, on CLOCK_MONOTONIC, the first picture was taken; before `mux`."""
        self.container.metadata[BEGINNING_TAG] = str(first_ns)

    def add_clock_track(self) -> None:
        """Add the wall clock as timed text; call after the video stream was added.

        The track shares the video's time base: with another one FFmpeg 8.1's muxer moves
        neighbouring video packets (measured).
        """
        self._clock_track = self.container.add_mux_stream("mov_text", time_base=TIME_BASE)

    def mux(self, packet: Packet[Any]) -> None:
        """Write one packet. Raises StorageError, also when syncing failed since the last call."""
        with storage_errors(self.path):
            self.container.mux_one(packet)
            if self._sync_problem is not None:
                raise self._sync_problem
        self._written.set()

    def show_clock(self, offset_ns: Nanoseconds, wall_ns: Nanoseconds) -> None:
        """Write the time of day, once for each second; call before the picture of that time.

        `offset_ns` is the picture's place in the file, `wall_ns` its UTC time since 1970.
        """
        second = wall_ns // NANOSECONDS_PER_SECOND
        if self._clock_track is None:
            return
        # With B-frames pictures come out of order, but a track's times must rise.
        if self._clock_second is not None and second <= self._clock_second:
            return
        # FFmpeg writes no late beginning of a track: it would move the whole track forward.
        begin = 0 if self._clock_second is None else ticks(offset_ns)
        self._clock_second = second
        moment = datetime.fromtimestamp(second, UTC)
        text = moment.strftime("%Y-%m-%d %H:%M:%S UTC").encode()
        packet = Packet(len(text).to_bytes(2, "big") + text)
        packet.stream = self._clock_track
        packet.time_base = TIME_BASE
        packet.pts = packet.dts = begin
        packet.duration = 90_000
        packet.is_keyframe = True
        self.mux(packet)

    def close(self) -> int:
        """Finish the file and force it onto the disk; returns its size in bytes.

        Raises StorageError; the file then stays as it is, playable up to the last fragment.
        """
        try:
            with storage_errors(self.path):
                self.container.close()
                self._stop_syncing()
                if self._sync_problem is not None:
                    # Linux reports a failed write once; syncing again would look successful.
                    raise self._sync_problem
                os.fdatasync(self._descriptor)
                return os.fstat(self._descriptor).st_size
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Let go of the file as it is; safe after any error and after `close`."""
        with contextlib.suppress(OSError, av.FFmpegError):
            self.container.close()
        self._stop_syncing()
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            close_left_open(descriptor)
            # On a disk that has failed even this may.
            with contextlib.suppress(OSError):
                os.close(descriptor)

    def _stop_syncing(self) -> None:
        self._closing.set()
        self._written.set()
        self._syncer.join()

    def _sync(self) -> None:
        pause_seconds = self._pause_seconds
        name_is_safe = False
        while not self._closing.wait(pause_seconds):
            pause_seconds = self._pause_seconds
            if not self._written.is_set():
                continue
            self._written.clear()
            began = time.monotonic()
            try:
                if not name_is_safe:
                    # POSIX: syncing a file need not bring its name onto the disk (fsync(2)).
                    sync_folder(self.path.parent)
                    name_is_safe = True
                os.fdatasync(self._descriptor)
            except (OSError, StorageError) as error:
                self._sync_problem = error
                return
            pause_seconds = pause_after_sync(self._pause_seconds, time.monotonic() - began)
