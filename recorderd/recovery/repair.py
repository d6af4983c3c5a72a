"""`recorderd fsck --repair`: every half-done state is brought to an end, or left with a remedy."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from uuid import UUID

from recorderd.core.model import NANOSECONDS_PER_SECOND, Mode, RecordingId, RecordingState
from recorderd.engine import verify
from recorderd.engine.footage_file import storage_errors
from recorderd.engine.salvage import facts_of, facts_of_torn
from recorderd.errors import StorageError
from recorderd.mp4.boxes import is_closed
from recorderd.recovery import permissions
from recorderd.recovery.finishing import Around, bring_back, finish, lose
from recorderd.recovery.mending import Mended, enter, mend, was_put_together
from recorderd.settings import Settings
from recorderd.station import orphans
from recorderd.store.catalogue import Catalogue
from recorderd.store.chores import Chores, Transcoded
from recorderd.store.consistency import KEPT, Comparison, Finding, Kind
from recorderd.store.footage import (
    id_of_half_encoded,
    is_in_place,
    publish,
    still_path,
    stored_path,
    sync_folder,
    wrong_disk,
)
from recorderd.store.removal import Removal
from recorderd.store.schema import Recording
from recorderd.store.set_aside import set_aside

_MOST_ROUNDS: Final = 4
_ORDER: Final = (
    Kind.UNREADABLE,
    Kind.NOT_DELETED,
    Kind.MISSING,
    Kind.OTHER_SIZE,
    Kind.FOUND_AGAIN,
    Kind.NOT_FINISHED,
    Kind.LEFT_OVER,
    Kind.WITHOUT_ROW,
)
"""Rows that miss a file come before files that miss a row: they may belong together."""

_HALF_DONE: Final = (".salvaged", ".mended", ".without")
"""In the names of files that are made of others and not in their place yet."""


@dataclass(frozen=True, slots=True)
class Treated:
    """What became of a finding: what was `done`, None if nothing could be; then the remedy."""

    finding: Finding
    done: str | None
    remedy: str


class Repair:
    """Repairs what a comparison finds, looks again, and so on until nothing is left to do.

    Only while no station and no finisher works there. Nothing recorded is ever deleted, except
    what retention had begun to. Each step may be cut off at any instant; a new run goes on.
    """

    def __init__(self, settings: Settings, catalogue: Catalogue, comparison: Comparison) -> None:
        self._settings = settings
        self._catalogue = catalogue
        self._comparison = comparison
        self._footage_id = catalogue.footage_id
        self._around = Around(comparison.videos_of, self._why_absence_is_not_proven)
        self._handlers: dict[Kind, Callable[[Finding], str | None]] = {
            Kind.UNREADABLE: self._give_back,
            Kind.NOT_DELETED: self._delete,
            Kind.MISSING: self._find,
            Kind.OTHER_SIZE: self._mend,
            Kind.FOUND_AGAIN: self._mend,
            Kind.NOT_FINISHED: self._finish,
            Kind.LEFT_OVER: self._clear_up,
            Kind.WITHOUT_ROW: self._adopt,
        }

    def __iter__(self) -> Iterator[Treated]:
        """What was done first, then what is left. Raises CatalogueError, OSError."""
        for last in (*[False] * (_MOST_ROUNDS - 1), True):
            found = sorted(self._comparison, key=lambda each: _ORDER.index(each.kind))
            treated = [self._treat(each) for each in found]
            done = [each for each in treated if each.done is not None]
            yield from done
            if last or not done:
                yield from (each for each in treated if each.done is None)
                return

    def _treat(self, finding: Finding) -> Treated:
        try:
            done = self._handlers[finding.kind](finding)
            remedy = self._remedy(finding) if done is None else ""
        except StorageError as error:
            done, remedy = None, f"{error.problem}. {error.remedy}"
        except OSError as error:
            done, remedy = None, f"{error.filename or finding.path}: {error.strerror}"
        return Treated(finding, done, remedy)

    def _remedy(self, finding: Finding) -> str:
        match finding.kind:
            case Kind.UNREADABLE:
                return permissions.commands(finding.path, self._settings.footage_folder)
            case Kind.MISSING | Kind.NOT_FINISHED:
                return self._why_absence_is_not_proven() or finding.remedy
            case Kind.OTHER_SIZE:
                return (
                    "The file is whole but not the one that was recorded: put it back from a backup"
                )
            case Kind.LEFT_OVER | Kind.WITHOUT_ROW:
                return self._why_left_alone(finding.path)
            case _:
                return finding.remedy

    def _why_absence_is_not_proven(self) -> str | None:
        if self._footage_id is None:
            return "It is not known which disk it was recorded to: start the station once"
        wrong = wrong_disk(self._settings, self._footage_id)
        if wrong is not None:
            return f"{wrong.problem}. {wrong.remedy}"
        if self._comparison.closed_folders:
            return "It may lie in a folder that cannot be looked into: repair that first"
        return None

    # --- rows

    def _give_back(self, finding: Finding) -> str | None:
        if permissions.give_back(finding.path, self._settings.footage_folder):
            return "the service may read it again"
        return None

    def _delete(self, finding: Finding) -> str | None:
        """Finish what retention had begun."""
        removal = Removal(self._settings, self._catalogue, self._catalogue.footage_id or "")
        going = next((each for each in removal.begun() if each.id == _id(finding)), None)
        if going is None:
            return None
        with storage_errors(finding.path):
            if removal.can_be_kept(going):
                removal.keep(going)
                return "somebody holds it: it is kept"
            removal.finish(going)
        return "its deletion was brought to an end"

    def _find(self, finding: Finding) -> str | None:
        """Look everywhere for the video of a row that has none."""
        row, path = self._row(finding), finding.path
        if path.exists():
            return "it is there again"
        if not bring_back(_id(finding), path, self._around):
            return lose(self._catalogue, _id(finding), self._around)
        if row.bytes in (None, path.stat().st_size):
            return "put back into its place"
        done = self._mend(finding)
        return None if done is None else f"put back into its place; {done}"

    def _mend(self, finding: Finding) -> str | None:
        """A file that is not as its row says, or that has come back."""
        row, path = self._row(finding), finding.path
        facts = facts_of(path) if is_closed(path) else None
        if facts is None:
            return self._mend_torn(row, path)
        if row.bytes == path.stat().st_size and row.state == RecordingState.LOST:
            return self._restore(row, path)
        if was_put_together(facts):
            return enter(
                self._catalogue, row, Mended(facts, path.stat().st_size, None), self._settings
            )
        if row.mode == Mode.DEFER and "transcoded_from" in facts.tags:
            file = Transcoded(
                bytes=path.stat().st_size,
                codec=facts.codec,
                encoder=facts.tags.get("recorder_encoder", ""),
                width=facts.width,
                height=facts.height,
                original_sha256=facts.tags["transcoded_from"],
                frames=facts.frames,
            )
            Chores(self._catalogue).transcoded(RecordingId(row.id), file)
            return "its row knows now that it was transcoded"
        if row.state == RecordingState.LOST:
            return enter(
                self._catalogue, row, Mended(facts, path.stat().st_size, None), self._settings
            )
        return None

    def _restore(self, row: Recording, path: Path) -> str | None:
        """The file of a row that was given up has come back as it was."""
        duration_ns = (row.duration_ms or 0) * NANOSECONDS_PER_SECOND // 1000
        if verify.problem_of(path, row.frames or 0, duration_ns) is not None:
            return None
        state = RecordingState.RECOVERED if row.recovered else RecordingState.SAVED
        done = "its video is there again"
        self._catalogue.repaired(RecordingId(row.id), state, {"problem": None}, done)
        return done

    def _mend_torn(self, row: Recording, path: Path) -> str | None:
        copy = self._whole_copy(row, path)
        if copy is not None:
            kept = set_aside(path, self._settings.set_aside_folder)
            publish(copy, path)
            return f"a whole copy was put into its place; what was there is kept as {kept}"
        mended = mend(path, self._settings)
        if mended is not None:
            return enter(self._catalogue, row, mended, self._settings)
        if row.state == RecordingState.LOST:
            return self._set_aside(row, path)
        size = path.stat().st_size
        problem = f"it holds no readable picture ({size} bytes of {row.bytes})"
        self._catalogue.repaired(
            RecordingId(row.id),
            RecordingState.DAMAGED,
            {
                "problem": problem,
                "bytes": size,
                "missing_ms": row.duration_ms,
                "sha256": None,
                "crc32": None,
            },
            problem,
        )
        return f"kept, but {problem}"

    def _whole_copy(self, row: Recording, path: Path) -> Path | None:
        """Another file of this recording that is as large as the row says, and closed."""
        for each in self._comparison.videos_of(row.id):
            with contextlib.suppress(FileNotFoundError):
                if each != path and each.stat().st_size == row.bytes and is_closed(each):
                    return each
        return None

    def _finish(self, finding: Finding) -> str | None:
        for row in self._catalogue.unfinished():
            if row.id == finding.recording_id:
                return finish(self._catalogue, row, self._settings, self._around)
        return "it was finished"

    # --- files

    def _clear_up(self, finding: Finding) -> str | None:
        """A file in the incoming folder that no unfinished recording claims."""
        path = finding.path
        if not path.exists():
            return "it has found its place"
        recording_id, half_done = _named(path)
        if recording_id is None or id_of_half_encoded(path.name) is not None:
            return None
        row = self._catalogue.row(recording_id)
        if row is None:
            return self._adopt(finding) if path.suffix == ".mp4" and not half_done else None
        video = self._settings.footage_folder / row.path
        if half_done:
            # It was made of the video that the row has, or is to have.
            if row.state not in KEPT or not video.exists() or not is_closed(video):
                return None
        elif path.suffix in (".mp4", ".jpg"):
            final = video if path.suffix == ".mp4" else still_path(video)
            if path.suffix == ".jpg" and row.state == RecordingState.LOST and not video.exists():
                return self._set_aside(row, path)
            if path.suffix == ".jpg" or (row.state in KEPT and final.exists()):
                if final.exists() and not final.samefile(path):
                    return None
                publish(path, final)
                return "put into its place"
            if path.stat().st_size or row.state != RecordingState.LOST:
                return self._recover_lost(finding, row) if path.suffix == ".mp4" else None
        with storage_errors(path):
            path.unlink()
            sync_folder(path.parent)
        return "taken away: it was half made" if half_done else "taken away: it was empty"

    def _recover_lost(self, finding: Finding, row: Recording) -> str | None:
        """A file came back to the incoming folder after its row was given up."""
        if row.state != RecordingState.LOST:
            return None
        if facts_of_torn(finding.path) is None:
            return self._set_aside(row, finding.path)
        video = self._settings.footage_folder / row.path
        publish(finding.path, video)
        lost = Finding(Kind.FOUND_AGAIN, video, row.id, row.order_id)
        return self._mend(lost)

    def _set_aside(self, row: Recording, path: Path) -> str:
        """Nothing in it plays, and its row says that the recording is lost."""
        target = set_aside(path, self._settings.set_aside_folder)
        self._catalogue.note("file set aside", target.name, RecordingId(row.id), datetime.now(UTC))
        return f"nothing in it plays: it is set aside as {target}"

    def _adopt(self, finding: Finding) -> str | None:
        """A video without a row gets the one that its tags tell of."""
        path = finding.path
        recording_id, half_done = _named(path)
        if not path.exists():
            return "it has found its place"
        if recording_id is None or half_done or path.suffix != ".mp4":
            return None
        row = self._catalogue.row(recording_id)
        if row is not None:
            return self._finish_move(row, path)
        in_footage = finding.kind is Kind.WITHOUT_ROW
        if in_footage and not is_closed(path):
            mend(path, self._settings)
        facts = facts_of_torn(path)
        new = orphans.row_for(recording_id, facts.tags if facts else {}, self._settings)
        if facts is None or new is None:
            return None
        stored = stored_path(self._settings, path.absolute()) if in_footage else None
        self._catalogue.register(orphans.lying_at(new, stored))
        self._catalogue.note(
            "recording found without a row", new.order.order_id, recording_id, datetime.now(UTC)
        )
        done = self._finish(Finding(Kind.NOT_FINISHED, path, recording_id))
        return None if done is None else f"its row was made anew from its tags; {done}"

    def _finish_move(self, row: Recording, path: Path) -> str | None:
        """A file that has two names was on its way to the second one."""
        final = self._settings.footage_folder / row.path
        if not final.exists() or not final.samefile(path):
            return None
        if is_in_place(path, final):
            return "it has found its place"
        publish(path, final)
        return "it has one name again"

    def _why_left_alone(self, path: Path) -> str:
        recording_id, half_done = _named(path)
        row = None if recording_id is None else self._catalogue.row(recording_id)
        if row is not None and id_of_half_encoded(path.name) is not None:
            if row.state == RecordingState.LOST:
                return "It was made of a video that is lost: it may hold a part of that"
            return "The helpers (recorderd finish) go on with it and take it away"
        if row is not None and half_done:
            return "It was made of a video that is not in its place: look at both"
        if row is not None and row.state == RecordingState.DELETED:
            return "This recording was deleted: move the file away"
        if row is not None and path.suffix == ".mp4" and facts_of_torn(path) is None:
            return "It holds no readable picture: move it away"
        if row is not None:
            return f"Order {row.order_id} has its file elsewhere: compare both, move one away"
        return "It is no recording that tells of itself: move it to another place"

    def _row(self, finding: Finding) -> Recording:
        row = self._catalogue.row(_id(finding))
        assert row is not None  # noqa: S101
        return row


def _id(finding: Finding) -> RecordingId:
    return RecordingId(finding.recording_id or "")


def _named(path: Path) -> tuple[RecordingId | None, bool]:
    """The recording that a file's name tells of, and whether it is one in the making."""
    stem = path.stem
    half_done = any(part in path.suffixes for part in _HALF_DONE)
    for part in (*_HALF_DONE, ".thumb"):
        stem = stem.removesuffix(part)
    name = id_of_half_encoded(path.name) or stem.rpartition("_")[2]
    try:
        return (RecordingId(name), half_done) if str(UUID(name)) == name else (None, half_done)
    except ValueError:
        return None, half_done
