"""`recorderd status`: what the station published about itself, in a few plain lines."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recorderd.core.model import NANOSECONDS_PER_SECOND, Nanoseconds
from recorderd.errors import CatalogueError
from recorderd.settings import Settings
from recorderd.store.identity import boot_id
from recorderd.terminal import escaped

STALE_SECONDS = 5
"""The station publishes every second; after this long without it does not run."""


@dataclass(frozen=True, slots=True)
class NotRunning:
    """There is no status of a living station, and why."""

    problem: str
    remedy: str


def run_status(settings: Settings, as_json: bool) -> int:
    """Print the station's state. Returns 0 if it runs without a fault, else 1."""
    status = read_status(settings.status_file, time.monotonic_ns(), boot_id())
    if isinstance(status, NotRunning):
        if as_json:
            problem = {"running": False, "problem": status.problem, "remedy": status.remedy}
            print(json.dumps(problem, indent=2))
        else:
            print(f"The station is not running: {status.problem}.\n{status.remedy}.")
        return 1
    if as_json:
        print(json.dumps({"running": True, **status}, indent=2))
    else:
        print("\n".join(in_words(status, _room_in_words(settings, status))))
    return 1 if status.get("faults") else 0


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


def orders_left(
    settings: Settings, status: Mapping[str, Any], typical_bytes: int | None
) -> int | None:
    """For how many more orders there is room, if they are as large as the newest ones.

    `typical_bytes` is their usual size. None while either is not known.
    """
    free = _mapping(status.get("disk")).get("free_bytes")
    if not isinstance(free, int) or not typical_bytes:
        return None
    usable = free - settings.storage.minimum_free_gigabytes * 1e9
    return max(0, int(usable // typical_bytes))


def about(count: int) -> str:
    """A number of things, rounded down to what an estimate deserves: 1,840."""
    step = 10 ** max(0, len(str(count)) - 3)
    return f"{count // step * step:,}"


def _room_in_words(settings: Settings, status: Mapping[str, Any]) -> str:
    """What `recorderd status` says of the room left; empty if the catalogue cannot tell."""
    from recorderd.store.search import typical_bytes

    try:
        left = orders_left(settings, status, typical_bytes(settings.database_url))
    except CatalogueError:
        return ""
    if left is None:
        return ""
    then = ", then the oldest videos make room" if settings.retention.free_gigabytes else ""
    return f"room for about {about(left)} more orders{then}"


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
    free_bytes = _mapping(status.get("disk")).get("free_bytes")
    if isinstance(free_bytes, int):
        add("disk", ": ".join(filter(None, (f"{free_bytes / 1e9:.1f} GB free", room))))
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
