"""What finished recordings still need, and the rows' change when it was done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from recorderd.core.model import Mode, RecordingId, RecordingState
from recorderd.store.catalogue import Catalogue
from recorderd.store.schema import Recording

MOST_AT_ONCE = 200
KEPT: Final = (RecordingState.SAVED, RecordingState.RECOVERED, RecordingState.DAMAGED)
"""States in which the video lies in its final place and nobody works on it."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A recording that is saved; `path` is relative to the footage folder."""

    id: RecordingId
    order_id: str
    path: str
    started_at: datetime


@dataclass(frozen=True, slots=True)
class Transcoded:
    """The file that has replaced a deferred recording's; `original_sha256` is what it was."""

    bytes: int
    codec: str
    encoder: str
    original_sha256: str


class Chores:
    """The finisher's view of the catalogue. Each method is one short transaction.

    Raises CatalogueError like the catalogue itself.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def latest(self) -> list[Finished]:
        """The newest finished recordings."""
        return self._finished()

    def without_fingerprint(self) -> list[Finished]:
        """Those whose file, as it is now, has no hash yet; damaged ones are kept, too."""
        row = self._catalogue.tables.recordings
        unknown = row.sha256.is_null() | row.crc32.is_null()
        return self._finished(unknown, states=KEPT)

    def deferred(self) -> list[Finished]:
        """Those that were only copied and wait to be encoded."""
        row = self._catalogue.tables.recordings
        return self._finished(row.mode == Mode.DEFER.value, row.transcoded_from.is_null())

    def damaged(self) -> list[Finished]:
        """Those whose file is kept but is not what it should be."""
        return self._finished(states=[RecordingState.DAMAGED])

    def fingerprinted(self, recording_id: RecordingId, sha256: str, crc32: int) -> None:
        self._catalogue.amend(recording_id, {"sha256": sha256, "crc32": crc32})

    def transcoded(self, recording_id: RecordingId, file: Transcoded) -> None:
        """The file is another one now: hash and seal of the one before no longer hold."""
        self._catalogue.amend(
            recording_id,
            {
                "sha256": None,
                "crc32": None,
                "sealed": None,
                "bytes": file.bytes,
                "codec": file.codec,
                "encoder": file.encoder,
                "transcoded_from": file.original_sha256,
            },
        )

    def _finished(
        self,
        *conditions: object,
        states: Sequence[RecordingState] = (RecordingState.SAVED, RecordingState.RECOVERED),
    ) -> list[Finished]:
        with self._catalogue.reading() as tables:
            row: type[Recording] = tables.recordings
            named = [state.value for state in states]
            query = row.select().where(row.state.in_(named), *conditions)
            return [
                Finished(RecordingId(found.id), found.order_id, found.path, found.started_at)
                for found in query.order_by(row.started_at.desc()).limit(MOST_AT_ONCE)
            ]
