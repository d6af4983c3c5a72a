"""From a recording's id to its row and its files, or to the reason why there is none."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path
from typing import Final
from urllib.parse import quote

from recorderd.settings import Settings
from recorderd.store.footage import slug
from recorderd.store.reader import RecordingRow
from recorderd.store.search import recording_and_siblings
from recorderd.web.problems import ProblemError

_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_LONGEST_NAME: Final = 80
AGAIN_SECONDS: Final = 2
"""When to ask again for what is being recorded."""
_NOT_PLAYED: Final = frozenset({"mjpeg"})
"""Codecs that no browser plays."""


def look_up(settings: Settings, recording_id: str) -> tuple[RecordingRow, list[RecordingRow]]:
    """The recording and all takes and parts of its order. May wait for the disk.

    Raises ProblemError if there is no such recording, CatalogueError.
    """
    found = None
    if _ID.fullmatch(recording_id):
        found = recording_and_siblings(settings.database_url, recording_id)
    if found is None:
        raise ProblemError(
            404,
            "There is no such recording",
            "The address is not complete, or belongs to another station. Search for the order.",
        )
    return found


def video_file(settings: Settings, row: RecordingRow) -> Path:
    """Where the recording's video should lie. Raises ProblemError if it cannot lie anywhere."""
    match row.state:
        case "recording":
            raise packed_right_now("The video can be kept a moment after the recording has ended.")
        case "deleting" | "deleted":
            raise ProblemError(
                410,
                "This video was deleted",
                "Its time was over, or the disk needed room. What is known of it is kept.",
            )
        case "lost":
            raise ProblemError(
                404, "Of this recording nothing was left", "The recording's page says why."
            )
    return footage_path(settings, row)


def footage_path(settings: Settings, row: RecordingRow) -> Path:
    """Where the catalogue says that the video lies for good. Raises ProblemError."""
    path = settings.footage_folder / row.path
    if not path.resolve().is_relative_to(settings.footage_folder.resolve()):
        # The catalogue refuses such a path; somebody else has written there.
        raise missing()
    return path


def packed_right_now(detail: str) -> ProblemError:
    """The answer for what is there only when the recording has ended, or got further."""
    return ProblemError(
        409, "This order is being packed right now", detail, {"Retry-After": str(AGAIN_SECONDS)}
    )


def missing() -> ProblemError:
    """The answer for a video that should be there."""
    return ProblemError(
        404,
        "The video is not on this machine's disk",
        "It lies on another station's disk, or the file is missing. "
        "Tell the technician: on the station's computer, 'recorderd fsck' says what is wrong.",
    )


def plays_in_browsers(row: RecordingRow) -> bool:
    """Whether the file is one that browsers play; others can be downloaded."""
    return row.codec not in _NOT_PLAYED


def download_name(row: RecordingRow) -> str:
    """A file name for people: order, take, part and day, fit for every system."""
    order = "".join(
        "_" if character in '\\/:*?"<>|' or unicodedata.category(character)[0] == "C" else character
        for character in unicodedata.normalize("NFC", row.order_id)
    )
    order = order.strip(" .")[:_LONGEST_NAME] or "order"
    return f"{order}{_rest_of_name(row)}"


def content_disposition(row: RecordingRow) -> str:
    """The header that names a download (RFC 6266): in ASCII, and exactly."""
    plain = f"{slug(row.order_id)}{_rest_of_name(row)}"
    exact = quote(download_name(row), safe="")
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{exact}"


def _rest_of_name(row: RecordingRow) -> str:
    part = f" part {row.part}" if row.part > 1 else ""
    return f" take {row.take}{part} {row.started_at.astimezone():%Y-%m-%d}.mp4"
