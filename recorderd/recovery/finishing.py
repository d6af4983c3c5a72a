"""A recording that was not brought to its end, finished as the station itself does it at start."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from recorderd.core.model import NANOSECONDS_PER_SECOND, RecordingId, RecordingState
from recorderd.engine import verify
from recorderd.engine.messages import NothingLeft
from recorderd.engine.salvage import FileFacts, facts_of_torn, salvage
from recorderd.mp4.boxes import is_closed
from recorderd.recovery.mending import enter, mend
from recorderd.settings import Settings
from recorderd.station.ledger import entry_after_power_cut, why_lost
from recorderd.store.catalogue import Catalogue, Unfinished
from recorderd.store.footage import publish
from recorderd.store.set_aside import set_aside_all


@dataclass(frozen=True, slots=True)
class Around:
    """What is known of the disk that a file is looked for on.

    `videos_of` gives all videos whose name holds a recording's id. `absence` says why a file
    that is not found may be there all the same, None if it is proven that it is not.
    """

    videos_of: Callable[[str], Iterable[Path]]
    absence: Callable[[], str | None]


def finish(catalogue: Catalogue, row: Unfinished, settings: Settings, around: Around) -> str | None:
    """Bring an unfinished row to its end; returns what was done, None if that cannot be said yet.

    May be repeated after any interruption. Raises StorageError, OSError, CatalogueError.
    """
    if row.state is RecordingState.CAPTURED:
        return _check(catalogue, row, settings, around)
    entry = entry_after_power_cut(row, settings)
    files = entry.files
    if not files.video.exists() and not files.incoming_video.exists():
        bring_back(row.id, files.video, around)
    elif files.video.exists() and not files.incoming_video.exists():
        mend(files.video, settings)
    result = salvage(row.id, files)
    if isinstance(result, NothingLeft):
        found = files.video.exists() or files.incoming_video.exists()
        aside = set_aside_all(row.id, files, settings.set_aside_folder)
        if not found and not aside:
            return lose(catalogue, row.id, around)
        why = why_lost(result.problem, aside)
        catalogue.lost(row.id, why)
        return f"given up as lost: {why}"
    facts = entry.file_facts(result, settings)
    catalogue.captured(row.id, facts)
    problem = verify.problem_of(files.video, result.frames, result.duration_ns)
    if problem is not None:
        catalogue.damaged(row.id, problem)
        return f"kept, but {problem}"
    catalogue.saved(row.id)
    return f"saved: {facts.duration_ms / 1000:.1f} s play, {_missing(facts.missing_ms)}"


def _missing(missing_ms: int | None) -> str:
    if missing_ms is None:
        return "it is not known how much is missing at the end"
    return (
        f"at most {missing_ms / 1000:.1f} s are missing at the end" if missing_ms else "all of it"
    )


def _check(catalogue: Catalogue, row: Unfinished, settings: Settings, around: Around) -> str | None:
    """The file was put into its place, but not looked at."""
    path = settings.footage_folder / row.path
    if not path.exists() and not bring_back(row.id, path, around):
        return lose(catalogue, row.id, around)
    duration_ns = (row.duration_ms or 0) * NANOSECONDS_PER_SECOND // 1000
    problem = verify.problem_of(path, row.frames or 0, duration_ns)
    if problem is None:
        catalogue.saved(row.id)
        return "checked: it is whole"
    mended = None if is_closed(path) else mend(path, settings)
    known = catalogue.row(row.id)
    if mended is None or known is None:
        catalogue.damaged(row.id, problem)
        return f"kept, but {problem}"
    return enter(catalogue, known, mended, settings)


def bring_back(recording_id: RecordingId, path: Path, around: Around) -> bool:
    """Put the best other file of this recording where its row says it lies.

    Raises StorageError, also if another file lies there.
    """
    found = [
        (is_closed(each), facts.frames, each)
        for each in around.videos_of(recording_id)
        if each != path and each.exists() and (facts := _facts(each, recording_id)) is not None
    ]
    if not found:
        return False
    publish(max(found)[2], path)
    return True


def _facts(path: Path, recording_id: RecordingId) -> FileFacts | None:
    facts = facts_of_torn(path)
    named = None if facts is None else facts.tags.get("recording_id", recording_id)
    return facts if named == recording_id else None


def lose(catalogue: Catalogue, recording_id: RecordingId, around: Around) -> str | None:
    """Give up a recording whose file is nowhere, if that is proven."""
    if around.absence() is not None:
        return None
    problem = "its file was on this disk and is nowhere on it any more"
    catalogue.repaired(recording_id, RecordingState.LOST, {"problem": problem}, problem)
    return f"given up as lost: {problem}"
