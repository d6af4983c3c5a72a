"""What is handed on to prove an order: its videos, their seals, and all that checks them.

Nothing is signed here: a seal is signed when it is made. So the staff pages need no key.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import Any, Final

from recorderd.core.model import RecordingState
from recorderd.finisher.fingerprint import fingerprint
from recorderd.proof.seals import STILL, EvidenceError, Seal, seals_of, time_stamps_of
from recorderd.proof.stand_alone import (
    MANIFEST_FORMAT,
    Broken,
    canonical,
    key_in,
    pem_of,
    read_statement,
)
from recorderd.proof.summary import readme, summary
from recorderd.proof.zip_file import Entry
from recorderd.settings import Settings
from recorderd.store.chores import KEPT
from recorderd.store.footage import slug, still_path
from recorderd.store.reader import RecordingRow, reading, row_of

_SHORT: Final = 16
_GONE: Final = (RecordingState.DELETING, RecordingState.DELETED)


@dataclass(frozen=True, slots=True)
class CutPiece:
    """A part of a video, cut without encoding it anew, and the signed text that says so."""

    path: Path
    size: int
    crc32: int
    statement: str
    signature: str


@dataclass(frozen=True, slots=True)
class Exported:
    """A recording that is handed on. `facts` are those of its newest seal.

    `video` is None if it was deleted, or is handed on in `pieces`.
    """

    row: RecordingRow
    seals: tuple[Seal, ...]
    document: dict[str, Any]
    crc32: int
    size: int
    video: Path | None
    still: Path | None
    pieces: tuple[CutPiece, ...] = ()

    @property
    def facts(self) -> dict[str, Any]:
        facts: dict[str, Any] = self.document["facts"]
        return facts

    @property
    def name(self) -> str:
        """The beginning of its files' names; fit for every system."""
        part = f"-part-{self.row.part}" if self.row.part > 1 else ""
        return f"{slug(self.row.order_id)}-take-{self.row.take}{part}"

    @property
    def video_name(self) -> str:
        return f"videos/{self.name}.mp4"

    @property
    def still_name(self) -> str:
        return f"labels/{self.name}.jpg"

    def piece_name(self, index: int) -> str:
        return f"videos/{self.name}-piece-{index + 1}-of-{len(self.pieces)}.mp4"


@dataclass(frozen=True, slots=True)
class Package:
    """All there is of an order. `left_out`: recordings that are not handed on, and why.

    `warnings` say what is handed on although it is not as it was sealed.
    """

    order_id: str
    recordings: tuple[Exported, ...]
    left_out: tuple[tuple[RecordingRow, str], ...]
    time_stamps: dict[str, bytes] = field(default_factory=dict)
    warnings: tuple[str, ...] = field(default=())

    @property
    def moment(self) -> datetime:
        """When the newest of it was sealed: the same package is the same zip."""
        newest = max(each.document["sealed_at"] for each in self.recordings)
        return datetime.fromisoformat(newest).astimezone()

    @property
    def file_name(self) -> str:
        return f"{slug(self.order_id)}-proof.zip"


def gather(settings: Settings, order_id: str) -> Package:
    """Look up all takes and parts of an order; may wait for the disk.

    Raises EvidenceError if nothing of it can be handed on, CatalogueError.
    """
    with reading(settings.database_url) as tables:
        row = tables.recordings
        query = row.select().where(row.order_id == order_id).order_by(row.take, row.part)
        found = [(row_of(each), each.crc32, seals_of(tables, each.id)) for each in query]
        every_seal = [seal for _, _, seals in found for seal in seals]
        time_stamps = time_stamps_of(tables, every_seal)
    exported: list[Exported] = []
    left_out: list[tuple[RecordingRow, str]] = []
    for known, crc32, seals in found:
        recording, why = _exported(settings, known, crc32, seals)
        if recording is None:
            left_out.append((known, why))
        else:
            exported.append(recording)
    if not exported:
        reasons = "; ".join(dict.fromkeys(why for _, why in left_out))
        raise EvidenceError(
            f"Nothing of this order can be handed on: {reasons}"
            if left_out
            else f"There is no recording of the order {order_id}",
            "A recording is sealed soon after its end, while nothing is being recorded "
            "(recorderd finish)"
            if left_out
            else "Give the whole order id, as 'recorderd find' shows it",
        )
    return Package(order_id, tuple(exported), tuple(left_out), time_stamps)


def _exported(
    settings: Settings, row: RecordingRow, crc32: int | None, seals: Sequence[Seal]
) -> tuple[Exported | None, str]:
    if row.state in _GONE and seals:
        return _with_files(row, seals, 0, None, None)
    if row.state not in KEPT:
        words: dict[str, str] = {
            RecordingState.RECORDING: "it is being recorded",
            RecordingState.CAPTURED: "it is being checked",
            RecordingState.LOST: "nothing of it was left",
        }
        return None, words.get(row.state, "it was deleted before it was sealed")
    if not seals or row.sha256 is None or crc32 is None:
        return None, "it is not sealed yet"
    video = settings.footage_folder / row.path
    if not video.resolve().is_relative_to(settings.footage_folder.resolve()):
        return None, "its video is not in the footage folder"
    if not video.is_file():
        return None, "its video is not on this machine's disk"
    still = still_path(video)
    return _with_files(row, seals, crc32, video, still if still.is_file() else None)


def _with_files(
    row: RecordingRow, seals: Sequence[Seal], crc32: int, video: Path | None, still: Path | None
) -> tuple[Exported | None, str]:
    try:
        document = read_statement(seals[-1].statement)
        key_in(document)
    except Broken as error:
        return None, f"its seal cannot be used: {error}"
    if video is not None and document["facts"].get("sha256") != row.sha256:
        return None, "its new file is not sealed yet"
    if document["facts"].get(STILL) is None:
        still = None
    size = document["facts"].get("bytes") or 0
    return Exported(row, tuple(seals), document, crc32, size, video, still), ""


def checked(package: Package) -> Package:
    """Read each video, so that what is not as it was sealed is said in `warnings`.

    Raises OSError.
    """
    warnings = list(package.warnings)
    recordings = []
    for recording in package.recordings:
        if recording.video is not None:
            found = fingerprint(recording.video, _on)
            if found is not None:
                size = recording.video.stat().st_size
                recording = replace(recording, crc32=found.crc32, size=size)
                if found.sha256 != recording.facts["sha256"]:
                    warnings.append(f"{recording.video} is not the video that was sealed")
        recordings.append(recording)
    return replace(package, recordings=tuple(recordings), warnings=tuple(warnings))


def entries_of(package: Package) -> list[Entry]:
    """The files of the zip; pictures are read, videos only looked at.

    Raises EvidenceError if a video was not checked and has another size than it was sealed with,
    OSError.
    """
    keys = dict.fromkeys(
        key_in(read_statement(seal.statement))
        for recording in package.recordings
        for seal in recording.seals
    )
    newest = key_in(package.recordings[-1].document)
    entries = [
        Entry.of("README.txt", readme(package).encode("utf-8")),
        Entry.of("summary.html", summary(package).encode("utf-8")),
        Entry.of("manifest.json", manifest(package).encode("ascii")),
        Entry.of("verify.py", _verifier()),
    ]
    for key in keys:
        name = "station-key" if key == newest else f"station-key-{key.hex()[:_SHORT]}"
        entries.append(Entry.of(f"{name}.pem", pem_of(key).encode("ascii")))
    for recording in package.recordings:
        for seal in recording.seals:
            name = f"seals/{seal.number}"
            entries.append(Entry.of(f"{name}.json", seal.statement.encode("ascii")))
            entries.append(Entry.of(f"{name}.sig", bytes.fromhex(seal.signature)))
            if seal.seal in package.time_stamps:
                entries.append(Entry.of(f"{name}.tsr", package.time_stamps[seal.seal]))
        entries.extend(_files(recording))
    return entries


def _files(recording: Exported) -> list[Entry]:
    files = []
    if recording.video is not None:
        size = recording.video.stat().st_size
        if size != recording.size:
            raise EvidenceError(
                f"The video of take {recording.row.take} has another size than it was sealed with",
                "Run 'recorderd verify' for this order; the video itself can be downloaded",
            )
        files.append(Entry(recording.video_name, recording.video, size, recording.crc32))
    for index, piece in enumerate(recording.pieces):
        name = recording.piece_name(index)
        files.append(Entry(name, piece.path, piece.size, piece.crc32))
    if recording.still is not None:
        found = fingerprint(recording.still, _on)
        if found is not None:
            size = recording.still.stat().st_size
            files.append(Entry(recording.still_name, recording.still, size, found.crc32))
    return files


def manifest(package: Package) -> str:
    """What the verifier reads: every seal, and which file it belongs to."""
    return canonical(
        {
            "format": MANIFEST_FORMAT,
            "order_id": package.order_id,
            "recordings": [
                {
                    "id": recording.row.id,
                    "video": None if recording.video is None else recording.video_name,
                    "still": None if recording.still is None else recording.still_name,
                    "seals": [
                        {
                            "statement": seal.statement,
                            "seal": seal.seal,
                            "signature": seal.signature,
                        }
                        for seal in recording.seals
                    ],
                    "pieces": [
                        {
                            "file": recording.piece_name(index),
                            "statement": piece.statement,
                            "signature": piece.signature,
                        }
                        for index, piece in enumerate(recording.pieces)
                    ],
                }
                for recording in package.recordings
            ],
            "left_out": [{"id": row.id, "why": why} for row, why in package.left_out],
        }
    )


def _verifier() -> bytes:
    return resources.files("recorderd.proof").joinpath("stand_alone.py").read_bytes()


def _on() -> bool:
    return False
