"""A long encoding in sections: what is finished of it outlives a power cut.

Each section is a video of its own in the incoming folder until all are there; then they are joined
without being encoded again.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from av.video.stream import VideoStream

from recorderd.core.model import (
    NANOSECONDS_PER_SECOND,
    Nanoseconds,
    RecordingId,
    RecordingState,
)
from recorderd.engine.footage_file import (
    BEGINNING_TAG,
    TIME_BASE,
    FootageFile,
    storage_errors,
    ticks,
)
from recorderd.engine.remux import is_whole, opened
from recorderd.engine.salvage import facts_of
from recorderd.errors import DeviceError
from recorderd.settings import Settings
from recorderd.store.catalogue import Catalogue
from recorderd.store.footage import (
    delete_half_encoded,
    half_encoded,
    half_encoded_path,
    id_of_half_encoded,
    sync_folder,
)

SECTION_TAG: Final = "recorder_section_of"


@dataclass(frozen=True, slots=True)
class Section:
    """A finished one; its first and last picture by the monotonic clock of the recording."""

    path: Path
    frames: int
    first_ns: Nanoseconds
    last_ns: Nanoseconds


class Sections:
    """Those of one recording. Used by one thread; what is damaged or made otherwise is not there.

    `made_of` says what they are made of and how: all that decides what is in them.
    """

    def __init__(self, settings: Settings, recording_id: RecordingId, made_of: str) -> None:
        self._settings = settings
        self._recording_id = recording_id
        digest = hashlib.sha256(made_of.encode()).hexdigest()
        self.tags: Final = {SECTION_TAG: digest}
        """What each section file has to say of itself."""
        self.joined: Final = half_encoded_path(settings, recording_id)
        """Where all of them are to be joined."""

    def finished(self, number: int, frames: int) -> Section | None:
        """The section of that number, counted from 0, if it holds so many pictures.

        Raises StorageError.
        """
        path = self._path(number)
        facts = facts_of(path) if path.exists() else None
        if facts is None or facts.frames != frames:
            return None
        if facts.tags.get(SECTION_TAG) != self.tags[SECTION_TAG]:
            return None
        beginning = facts.tags.get(BEGINNING_TAG, "")
        if not beginning.isdecimal():
            return None
        first_ns = int(beginning)
        return Section(path, facts.frames, first_ns, first_ns + facts.duration_ns)

    def begin(self, number: int) -> Path:
        """Where that section is to be written; nothing is there. Raises StorageError."""
        self.drop(number)
        return self._unfinished(number)

    def finish(self, number: int) -> None:
        """It is closed and on the disk: from now on it counts. Raises StorageError."""
        path = self._path(number)
        with storage_errors(path):
            os.replace(self._unfinished(number), path)  # noqa: PTH105
            sync_folder(path.parent)

    def drop(self, number: int) -> None:
        """Take away what was written of a section that was not finished. Raises StorageError."""
        path = self._unfinished(number)
        with storage_errors(path):
            path.unlink(missing_ok=True)

    def take_away(self) -> None:
        """All of them. Raises StorageError."""
        delete_half_encoded(self._settings, self._recording_id)

    def _path(self, number: int) -> Path:
        return half_encoded_path(self._settings, self._recording_id, f".{number:04}")

    def _unfinished(self, number: int) -> Path:
        return half_encoded_path(self._settings, self._recording_id, f".{number:04}.new")


def join(
    sections: Sequence[Section],
    file: FootageFile,
    wall_offset_ns: Nanoseconds,
    next_picture: Callable[[], None],
) -> None:
    """Write all sections' pictures into one file, at their times; calls back before each.

    `wall_offset_ns` brings the monotonic clock to UTC. Raises StorageError, DeviceError if the
    sections do not fit together, av.FFmpegError if one cannot be read.
    """
    first_ns = sections[0].first_ns
    file.tag_beginning(first_ns)
    stream: VideoStream | None = None
    header: bytes | None = None
    for section in sections:
        with opened(section.path) as source:
            video = source.streams.video[0]
            if stream is None:
                stream = file.container.add_stream_from_template(video, opaque=True)
                stream.time_base = TIME_BASE
                header = video.codec_context.extradata
                file.add_clock_track()
            elif video.codec_context.extradata != header:
                raise DeviceError(
                    "The encoder has changed while a recording was encoded",
                    "It is encoded once more from its beginning",
                )
            for packet in source.demux(video):
                if packet.pts is None or not is_whole(packet):
                    continue
                next_picture()
                offset_ns = round(packet.pts * packet.time_base * NANOSECONDS_PER_SECOND)
                captured_ns = section.first_ns + offset_ns
                file.show_clock(captured_ns - first_ns, captured_ns + wall_offset_ns)
                packet.pts = packet.dts = ticks(captured_ns - first_ns)
                packet.time_base = TIME_BASE
                packet.stream = stream
                file.mux(packet)


def take_away_unneeded(settings: Settings, catalogue: Catalogue) -> None:
    """What was encoded of recordings that nobody knows, that are deleted, or encoded by now.

    That of a lost recording stays: it may be all there is. Call while nothing is encoded. Raises
    CatalogueError, OSError.
    """
    for path in half_encoded(settings):
        row = catalogue.row(RecordingId(id_of_half_encoded(path.name) or ""))
        if (
            row is None
            or row.state in (RecordingState.DELETING, RecordingState.DELETED)
            or row.transcoded_from is not None
        ):
            path.unlink(missing_ok=True)
