"""All that proves an order, as one zip that is made while it is sent."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime

import structlog
from aiohttp import web

from recorderd.proof.package import Package, entries_of, gather
from recorderd.proof.seals import EvidenceError
from recorderd.proof.zip_file import Piece, pieces_of
from recorderd.settings import Settings
from recorderd.web.archive import Archive
from recorderd.web.library import look_up, missing
from recorderd.web.media import Media
from recorderd.web.problems import ProblemError
from recorderd.web.ranges import Part, Validators
from recorderd.web.sending import OpenFile, Sender, Span

log = structlog.get_logger("web")


class Export:
    """Hands on what the finisher has sealed; signs nothing."""

    def __init__(self, settings: Settings, archive: Archive, sender: Sender, media: Media) -> None:
        self._settings = settings
        self._archive = archive
        self._sender = sender
        self._media = media

    async def order(self, request: web.Request) -> web.StreamResponse:
        """The zip of all takes and parts of a recording's order."""
        row, _ = await self._archive.ask(look_up, self._settings, request.match_info["id"])
        try:
            package = await self._archive.ask(gather, self._settings, row.order_id)
            pieces = await self._archive.fetch(_pieces, package)
        except EvidenceError as error:
            raise ProblemError(409, "This order cannot be handed on now", str(error)) from error
        except OSError as error:
            log.warning("an order cannot be exported", problem=str(error), recording_id=row.id)
            raise missing() from None
        for recording in package.recordings:
            if recording.video is not None:
                await self._media.note_visit(request, "export", recording.row)
        try:
            opened = await self._archive.fetch(OpenPieces, pieces)
        except OSError as error:
            log.warning("an order cannot be exported", problem=str(error), recording_id=row.id)
            raise missing() from None
        headers = {
            "Content-Type": "application/zip",
            "Content-Disposition": f'attachment; filename="{package.file_name}"',
        }
        return await self._sender.send_opened(request, opened, headers)


def _pieces(package: Package) -> list[Piece]:
    return pieces_of(entries_of(package), package.moment)


class OpenPieces:
    """Bytes and open files, one after another, to be sent as one file."""

    def __init__(self, pieces: Sequence[Piece]) -> None:
        """May wait for the disk. Raises OSError, also if a file has another size than expected."""
        self._pieces: list[bytes | OpenFile] = []
        self.size = 0
        version = hashlib.sha256()
        try:
            for piece in pieces:
                if isinstance(piece, bytes):
                    self._pieces.append(piece)
                    version.update(piece)
                    self.size += len(piece)
                    continue
                opened = OpenFile(piece.path)
                self._pieces.append(opened)
                if opened.size != piece.size:
                    raise FileNotFoundError(f"{piece.path} was replaced just now")
                version.update(opened.validators.etag.encode("ascii"))
                self.size += opened.size
        except OSError:
            self.close()
            raise
        self.validators = Validators(f'"{version.hexdigest()[:32]}"', datetime.now(UTC))

    def spans(self, part: Part) -> list[bytes | Span]:
        """What to send of it, in order."""
        found: list[bytes | Span] = []
        begin = 0
        for piece in self._pieces:
            size = len(piece) if isinstance(piece, bytes) else piece.size
            first, end = max(part.start - begin, 0), min(part.end + 1 - begin, size)
            begin += size
            if first >= end:
                continue
            if isinstance(piece, bytes):
                found.append(piece[first:end])
            else:
                found.extend(piece.spans(Part(first, end - 1)))
        return found

    def close(self) -> None:
        """Close all files."""
        for piece in self._pieces:
            if not isinstance(piece, bytes):
                piece.close()
