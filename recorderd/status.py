"""`recorderd status`: what the station published about itself, in a few plain lines."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recorderd.core.model import NANOSECONDS_PER_SECOND, Nanoseconds
from recorderd.errors import CatalogueError, StorageError
from recorderd.settings import Settings
from recorderd.store.identity import boot_id
from recorderd.store.set_aside import all_in
from recorderd.terminal import escaped

STALE_SECONDS = 5
"""The station publishes every second; after this long without it does not run."""

FINISHER_STALE_SECONDS = 15
"""The finisher publishes every second, too, but has to wait for everybody else."""

_JOBS = {"thumbnail": "drawing", "transcode": "encoding", "fingerprint": "hashing"}


@dataclass(frozen=True, slots=True)
class NotRunning:
    """There is no status of a living station, and why."""

    problem: str
    remedy: str


def run_status(settings: Settings, as_json: bool) -> int:
    """Print the station's state. Returns 0 if it runs without a fault, else 1."""
    status = status_now(settings)
    finisher = finisher_now(settings)
    spares = _set_aside(settings)
    if isinstance(status, NotRunning):
        if as_json:
            problem: dict[str, Any] = {
                "running": False,
                "problem": status.problem,
                "remedy": status.remedy,
            }
            problem["set_aside"] = spares
            problem["finisher"] = finisher
            print(json.dumps(problem, indent=2))
        else:
            print(f"The station is not running: {status.problem}.\n{status.remedy}.")
        return 1
    if as_json:
        document = {"running": True, **status, "set_aside": spares, "finisher": finisher}
        print(json.dumps(document, indent=2))
    else:
        room = _room_in_words(settings, status)
        lines = [*in_words(status, room), *finisher_in_words(finisher)]
        if spares:
            files = f"{spares} files" if spares > 1 else "1 file"
            lines.append(f"  set aside  {files} out of the way: recorderd fsck says why")
        print("\n".join(lines))
    return 1 if status.get("faults") else 0


def status_now(settings: Settings) -> dict[str, Any] | NotRunning:
    """What the station says about itself at this moment. May wait for the disk."""
    return read_status(settings.status_file, time.monotonic_ns(), boot_id())


def finisher_now(settings: Settings) -> dict[str, Any] | None:
    """What the finisher says about itself at this moment; None if none runs."""
    return read_finisher(settings.finisher_file, time.monotonic_ns(), boot_id())


def read_status(file: Path, now_ns: Nanoseconds, this_boot: str) -> dict[str, Any] | NotRunning:
    """The document in `file`, if the station of this very boot wrote it just now.

    `now_ns` is CLOCK_MONOTONIC, which unlike the time of day never jumps.
    """
    start = "Start it with: sudo systemctl start recorderd (for a try-out: recorderd run --all)"
    look = "See why with: journalctl -u recorderd -e"
    document: dict[str, Any]
    try:
        document = json.loads(file.read_bytes())
        age_ns = now_ns - document["monotonic_ns"]
        same_boot = document["boot_id"] == this_boot
    except FileNotFoundError:
        return NotRunning(f"{escaped(str(file))} does not exist", start)
    except OSError as error:
        return NotRunning(
            f"{escaped(str(file))} cannot be read ({error.strerror})",
            "Use sudo, or an account that may read this file",
        )
    except (ValueError, TypeError, KeyError, RecursionError):
        return NotRunning(
            f"{escaped(str(file))} is not a status of recorderd",
            "Check station.run_folder, then: sudo systemctl restart recorderd",
        )
    if not same_boot:
        return NotRunning("its last status is from before this machine was started", start)
    if age_ns > STALE_SECONDS * NANOSECONDS_PER_SECOND:
        seconds = age_ns / NANOSECONDS_PER_SECOND
        return NotRunning(f"its last status is {seconds:.0f} seconds old", look)
    return document


def _set_aside(settings: Settings) -> int | None:
    """How many files are set aside; None for whoever may not look."""
    try:
        return len(all_in(settings.set_aside_folder))
    except StorageError:
        return None


def free_bytes(status: Mapping[str, Any]) -> int | None:
    """What may still be written to the footage disk; None while the station does not know."""
    free = _mapping(status.get("disk")).get("free_bytes")
    return free if isinstance(free, int) else None


def orders_left(
    settings: Settings, free_bytes: int | None, typical_bytes: int | None
) -> int | None:
    """For how many more orders there is room, if they are as large as the newest ones.

    `typical_bytes` is their usual size. None while either is not known.
    """
    if free_bytes is None or not typical_bytes:
        return None
    usable = free_bytes - settings.storage.minimum_free_gigabytes * 1e9
    return max(0, int(usable // typical_bytes))


def about(count: int) -> str:
    """A number of things, rounded down to what an estimate deserves: 1,840."""
    step = 10 ** max(0, len(str(count)) - 3)
    return f"{count // step * step:,}"


def _room_in_words(settings: Settings, status: Mapping[str, Any]) -> str:
    """What `recorderd status` says of the room left; empty if the catalogue cannot tell."""
    from recorderd.store.search import typical_bytes

    try:
        left = orders_left(settings, free_bytes(status), typical_bytes(settings.database_url))
    except CatalogueError:
        return ""
    if left is None:
        return ""
    then = ", then the oldest videos make room" if settings.retention.free_gigabytes else ""
    return f"room for about {about(left)} more orders{then}"


def read_finisher(file: Path, now_ns: Nanoseconds, this_boot: str) -> dict[str, Any] | None:
    """What the finisher of this very boot published just now; None if none runs."""
    try:
        document: dict[str, Any] = json.loads(file.read_bytes())
        age_ns = now_ns - document["monotonic_ns"]
        fresh = age_ns <= FINISHER_STALE_SECONDS * NANOSECONDS_PER_SECOND
        return document if fresh and document["boot_id"] == this_boot else None
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


def finisher_in_words(document: Mapping[str, Any] | None) -> list[str]:
    """What the finisher does, as lines below those of the station."""
    if document is None:
        return ["  finisher   does not run (recorderd finish): videos wait for their encoding"]
    lines = [work_in_words(document) or "nothing to do"]
    if document.get("hindrance"):
        lines.append(_word(document["hindrance"]))
    failing, failure = document.get("failing"), _mapping(document.get("last_failure"))
    if failing and failure:
        again = failure.get("retry_at")
        lines += [
            f"{_word(failing)} failed; the last: {_word(failure.get('job'))} of "
            f"{_word(failure.get('recording_id'))}, try {_word(failure.get('tries'))}",
            f"{_word(failure.get('problem'))}. {_word(failure.get('remedy'))}.",
            f"It is tried again at {_word(again)}"
            if again
            else "It was given up. To try all again: recorderd finish --try-again",
        ]
    return [
        f"  {'' if number else 'finisher':<11}{line}" for number, line in enumerate(lines) if line
    ]


def work_in_words(document: Mapping[str, Any]) -> str:
    """The job at hand and what waits: encoding SO-1, 45 %, 3 wait. Empty if there is nothing.

    Recordings are counted, not jobs: each may wait for several.
    """
    doing = _mapping(document.get("doing"))
    counts = _mapping(document.get("waiting")).values()
    waiting = max((count for count in counts if isinstance(count, int)), default=0)
    parts = []
    if doing:
        job = _word(doing.get("job"))
        parts.append(f"{_JOBS.get(job, job)} {_word(doing.get('order'))}")
        if doing.get("percent") is not None:
            parts.append(f"{_word(doing['percent'])} %")
        if document.get("resting"):
            parts.append("rests while an order is recorded")
        waiting -= 1
    if waiting > 0:
        parts.append(f"{waiting} wait" if waiting > 1 else "1 waits")
    return ", ".join(parts)


def in_words(status: Mapping[str, Any], room: str = "") -> list[str]:
    """The status as lines for a person; what is not known is left out.

    `room` says how many orders still fit onto the disk.
    """
    doing = " ".join(_word(status.get(key)) for key in ("phase", "order") if status.get(key))
    lines = [f"{_word(status.get('station', 'station'))}: {doing or 'unknown'}"]

    def add(heading: str, text: str) -> None:
        if text:
            lines.append(f"  {heading:<11}{text}")

    add("signal", _word(status.get("signal")))
    add("camera", _pairs(status.get("camera")))
    mode = _mapping(status.get("mode"))
    add("mode", " ".join(_word(mode[key]) for key in ("mode", "encoder") if mode.get(key)))
    add("", _word(mode.get("reason")))
    free = free_bytes(status)
    if free is not None:
        add("disk", ": ".join(filter(None, (f"{free / 1e9:.1f} GB free", room))))
    if status.get("clock") == "unsynchronised":
        add("clock", "not set: times are put right once the network sets it (timedatectl)")
    recordings = status.get("recordings")
    for recording in recordings if isinstance(recordings, list) else []:
        add("recording", _pairs(recording))
    add("counters", _pairs(status.get("counters")))
    for fault, problem in _mapping(status.get("faults")).items():
        add("FAULT", f"{_word(fault)}: {_word(problem)}")
    return lines


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _pairs(value: object) -> str:
    if not isinstance(value, dict):
        return _word(value)
    known = {key: item for key, item in value.items() if item not in (None, "")}
    return ", ".join(f"{_word(key).replace('_', ' ')} {_word(item)}" for key, item in known.items())


def _word(value: object) -> str:
    return "" if value is None else escaped(str(value))
