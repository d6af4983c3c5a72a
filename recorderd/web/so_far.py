"""Watching a recording that still runs: its file as it is by now, served as a whole video."""

from __future__ import annotations

from collections import OrderedDict
from contextlib import ExitStack, suppress
from typing import Final

from recorderd.mp4.fragments import UnreadableError
from recorderd.mp4.snapshot import Snapshot, take_snapshot
from recorderd.settings import Settings
from recorderd.store.reader import RecordingRow
from recorderd.web.archive import Archive
from recorderd.web.library import footage_path, missing, packed_right_now
from recorderd.web.ranges import Validators
from recorderd.web.sending import OpenFile

_REMEMBERED: Final = 8
"""Snapshots kept for the next Range request: some 100 kB each for a long recording."""
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
        opened.file.close()
        return snapshot

    async def open(self, row: RecordingRow, until: int) -> OpenFile:
        """The video up to the `end` of a look, for good the same. Raises ProblemError."""
        opened, snapshot = await self._open(row, until)
        opened.head, opened.begin, opened.size = snapshot.head, snapshot.begin, snapshot.size
        # The file's own date changes while it grows, the snapshot does not.
        modified = row.started_at.replace(microsecond=0)
        opened.validators = Validators(f'"{opened.inode:x}-so-far-{snapshot.end:x}"', modified)
        return opened

    async def _open(self, row: RecordingRow, until: int | None) -> tuple[OpenFile, Snapshot]:
        opened = await self._archive.ask(self._open_somewhere, row)
        with ExitStack() as on_failure:
            on_failure.callback(opened.file.close)
            snapshot = self._known.get((opened.inode, until or 0))
            try:
                if snapshot is None:
                    snapshot = await self._archive.ask(take_snapshot, opened.file, until)
            except UnreadableError:
                raise packed_right_now(_JUST_BEGUN) from None
            except OSError:
                raise missing() from None
            on_failure.pop_all()
        self._known[opened.inode, snapshot.end] = snapshot
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return opened, snapshot

    def _open_somewhere(self, row: RecordingRow) -> OpenFile:
        """Open the file where it is written, or where it lies for good: it may move just now."""
        incoming = self._settings.incoming_folder / f"{row.id}.mp4"
        for path in (incoming, footage_path(self._settings, row)):
            with suppress(OSError):
                return OpenFile(path)
        if row.state == "recording":
            # The row is made first, the file a moment later.
            raise packed_right_now(_JUST_BEGUN)
        raise missing()


def plays_so_far(snapshot: Snapshot) -> bool:
    """Whether browsers play it."""
    return snapshot.codec in _PLAYED
