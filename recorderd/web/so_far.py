"""Watching a recording that still runs: its file as it is by now, served as a whole video."""

from __future__ import annotations

import os
import zlib
from collections import OrderedDict
from contextlib import suppress
from typing import Final

from recorderd.core.model import RecordingState
from recorderd.mp4.fragments import UnreadableError
from recorderd.mp4.snapshot import Snapshot, take_snapshot
from recorderd.settings import Settings
from recorderd.store.reader import RecordingRow
from recorderd.web.archive import Archive
from recorderd.web.library import footage_path, missing, packed_right_now
from recorderd.web.ranges import Validators
from recorderd.web.sending import OpenFile

_REMEMBERED: Final = 16
"""Snapshots kept for the next Range request: some 100 kB each for a long recording."""
_CLOSING_CHANGES: Final = 64
"""Closing a file writes only so many of its first bytes anew."""
_INDEX_BYTES: Final = 1024
_JUST_BEGUN: Final = "The recording has only just begun: it can be watched in a moment."
_PLAYED: Final = frozenset({"avc1", "avc3", "hvc1", "hev1", "av01"})


class SoFar:
    """Opens what was recorded so far; used by the event loop only."""

    def __init__(self, settings: Settings, archive: Archive) -> None:
        self._settings = settings
        self._archive = archive
        self._known: OrderedDict[tuple[int, int], Snapshot] = OrderedDict()

    async def look(self, row: RecordingRow) -> Snapshot:
        """What the recording's file holds by now. Raises ProblemError."""
        opened, snapshot = await self._open(row, None)
        opened.close()
        if snapshot is None:
            raise packed_right_now(_JUST_BEGUN)
        return snapshot

    async def open(self, row: RecordingRow, until: int) -> OpenFile | None:
        """The video up to the `end` of a look, for good the same.

        None if the file is another one now. Raises ProblemError.
        """
        opened, snapshot = await self._open(row, until)
        if snapshot is None:
            opened.close()
            if row.state != RecordingState.RECORDING:
                return None
            raise packed_right_now(_JUST_BEGUN)
        opened.head, opened.begin, opened.size = snapshot.head, snapshot.begin, snapshot.size
        # The file's own date changes while it grows, the snapshot does not.
        modified = row.started_at.replace(microsecond=0)
        version = zlib.crc32(snapshot.head)
        opened.validators = Validators(f'"{version:x}-so-far-{snapshot.end:x}"', modified)
        return opened

    async def _open(self, row: RecordingRow, until: int | None) -> tuple[OpenFile, Snapshot | None]:
        opened, version = await self._archive.fetch(self._open_somewhere, row)
        try:
            return opened, await self._snapshot(opened, version, until)
        except BaseException as error:
            opened.close()
            if isinstance(error, OSError):
                raise missing() from None
            raise

    async def _snapshot(self, opened: OpenFile, version: int, until: int | None) -> Snapshot | None:
        # While nothing was added to the file, its newest snapshot is known.
        asked = version, opened.size if until is None else until
        snapshot = self._known.get(asked)
        if snapshot is None:
            try:
                snapshot = await self._archive.fetch(take_snapshot, opened.file, until)
            except UnreadableError:
                return None
        for key in (asked, (version, snapshot.end)):
            self._known[key] = snapshot
            self._known.move_to_end(key)
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return snapshot

    def _open_somewhere(self, row: RecordingRow) -> tuple[OpenFile, int]:
        """Open the file where it is written, or where it lies for good: it may move just now.

        With it comes what tells it from a file that takes its place, perhaps with its inode: its
        first index, which stays where it is when the file grows or is closed.
        """
        incoming = self._settings.incoming_folder / f"{row.id}.mp4"
        for path in (incoming, footage_path(self._settings, row)):
            with suppress(OSError):
                opened = OpenFile(path)
                first_index = os.pread(opened.file.fileno(), _INDEX_BYTES, _CLOSING_CHANGES)
                return opened, zlib.crc32(first_index)
        if row.state == RecordingState.RECORDING:
            # The row is made first, the file a moment later.
            raise packed_right_now(_JUST_BEGUN)
        raise missing()


def plays_so_far(snapshot: Snapshot) -> bool:
    """Whether browsers play it."""
    return snapshot.codec in _PLAYED
