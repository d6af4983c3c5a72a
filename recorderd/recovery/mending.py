"""A published video that is cut off is replaced by an ordinary one of all that still plays."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from recorderd.core.model import RecordingId, RecordingState
from recorderd.engine import verify
from recorderd.engine.footage_file import storage_errors
from recorderd.engine.salvage import UNWRITTEN_TAG, FileFacts, facts_of, put_together, unwritten
from recorderd.mp4.boxes import is_closed
from recorderd.settings import Settings
from recorderd.station.ledger import missing_ms
from recorderd.store.catalogue import Catalogue
from recorderd.store.footage import sync_folder
from recorderd.store.schema import Recording
from recorderd.store.set_aside import set_aside


@dataclass(frozen=True, slots=True)
class Mended:
    """An ordinary file lies where the torn one lay. `kept` is where the torn one went, if it
    could hold more than what was made of it."""

    facts: FileFacts
    bytes: int
    kept: Path | None


def was_put_together(facts: FileFacts) -> bool:
    """Whether this file was made of a torn one."""
    return UNWRITTEN_TAG in facts.tags


def is_half_mended(path: Path) -> bool:
    """Whether a damaged file is torn, or was put together and its row does not say so yet.

    Raises OSError.
    """
    if not is_closed(path):
        return True
    facts = facts_of(path)
    return facts is not None and was_put_together(facts)


def mend(path: Path, settings: Settings) -> Mended | None:
    """Replace a torn video by an ordinary one of all that still plays; None if nothing does.

    The new file is complete, checked and on the disk before one rename puts it into place, so
    that it may be repeated after any interruption; a file that is whole is only looked at.
    Raises StorageError (no room, most likely), OSError; the torn file is then kept as it is.
    """
    if is_closed(path):
        facts = facts_of(path)
        return None if facts is None else Mended(facts, path.stat().st_size, None)
    whole = settings.incoming_folder / f"{path.stem}.mended.mp4"
    made = put_together(path, whole)
    if made is None:
        return None
    kept = None if made.complete else set_aside(path, settings.set_aside_folder, stays=True)
    with storage_errors(path):
        os.replace(whole, path)  # noqa: PTH105
        sync_folder(path.parent)
        sync_folder(whole.parent)
    return Mended(made.facts, path.stat().st_size, kept)


def enter(catalogue: Catalogue, row: Recording, mended: Mended, settings: Settings) -> str:
    """Say in the row what its file holds now; returns what was done, in words."""
    path = settings.footage_folder / row.path
    found_ms = round(mended.facts.duration_ns / 1e6)
    missing: int | None
    if row.duration_ms is None:
        missing = missing_ms(unwritten(mended.facts, path), settings.recording.sync_seconds)
    elif row.recovered and row.missing_ms is None:
        missing = None
    else:
        # What was lost before this is missing, too.
        missing = (row.missing_ms or 0) + max(0, row.duration_ms - found_ms)
    problem = verify.problem_of(path, mended.facts.frames, mended.facts.duration_ns)
    columns: dict[str, Any] = {
        "bytes": mended.bytes,
        "frames": mended.facts.frames,
        "duration_ms": found_ms,
        "ended_at": row.started_at + timedelta(milliseconds=found_ms),
        "codec": mended.facts.codec,
        "width": mended.facts.width,
        "height": mended.facts.height,
        "mode": row.mode or mended.facts.tags.get("recorder_mode"),
        "encoder": row.encoder or mended.facts.tags.get("recorder_encoder"),
        "recovered": True,
        "missing_ms": missing,
        "problem": problem,
        "sha256": None,
        "crc32": None,
    }
    state = RecordingState.RECOVERED if problem is None else RecordingState.DAMAGED
    done = f"{found_ms / 1000:.1f} s play"
    if missing:
        done += f", at most {missing / 1000:.1f} s are missing at the end"
    if mended.kept is not None:
        done += f"; the original is kept as {mended.kept}"
    if problem is not None:
        done += f"; {problem}"
    if row.sha256 is not None:
        done += f"; its SHA-256 was {row.sha256}"
    catalogue.repaired(RecordingId(row.id), state, columns, done)
    return done
