"""What the API answers, described for programs (OpenAPI 3.1), made from the code itself."""

from __future__ import annotations

import dataclasses
import types
import typing
from datetime import datetime
from typing import Any, Final

from recorderd import __version__
from recorderd.core.model import RecordingState
from recorderd.mp4.snapshot import Snapshot
from recorderd.store.reader import RecordingRow
from recorderd.web.encoding import STATES
from recorderd.web.questions import CURSOR_PATTERN, LONGEST_TEXT, MOST_ROWS, YES
from recorderd.web.so_far import plays_so_far

LINKS: Final = ("page", "video", "download", "label", "thumbnail")
_TYPES: Final[dict[type, dict[str, Any]]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    bool: {"type": "boolean"},
    datetime: {"type": "string", "format": "date-time"},
}
_TEXT: Final = {"type": "string", "maxLength": LONGEST_TEXT}
_MOMENT: Final = {
    "anyOf": [
        {"type": "string", "format": "date"},
        {"type": "string", "format": "date-time"},
        # As forms send what was left empty.
        {"const": ""},
    ]
}
_CURSOR: Final = {"type": "string", "pattern": f"^{CURSOR_PATTERN}$"}
_ID: Final = {
    "name": "id",
    "in": "path",
    "required": True,
    "description": "The recording's id, a UUIDv7",
    "schema": {"type": "string", "format": "uuid"},
}


def row_document(row: RecordingRow, prefix: str) -> dict[str, Any]:
    """A recording as the API shows it: times in RFC 3339, links to all that belongs to it."""
    base = f"{prefix}/recordings/{row.id}"
    document = {
        key: value.isoformat() if isinstance(value, datetime) else value
        for key, value in dataclasses.asdict(row).items()
    }
    links = (base, f"{base}/video", f"{base}/video?download", f"{base}/label.jpg")
    return document | {"links": dict(zip(LINKS, (*links, f"{base}/thumb.jpg"), strict=True))}


def so_far_document(row: RecordingRow, snapshot: Snapshot, prefix: str) -> dict[str, Any]:
    """What there is by now of a recording that runs, as the API shows it."""
    return {
        "seconds": round(snapshot.seconds, 3),
        "plays": plays_so_far(snapshot),
        "video": f"{prefix}/recordings/{row.id}/video?until={snapshot.end}",
    }


def description(prefix: str) -> dict[str, Any]:
    """The OpenAPI document."""
    recordings = {
        "type": "object",
        "required": ["recordings", "next_cursor"],
        "properties": {
            "recordings": {"type": "array", "items": _reference("Recording")},
            "next_cursor": {"type": ["string", "null"]},
        },
    }
    with_siblings = {
        "allOf": [
            _reference("Recording"),
            {
                "type": "object",
                "required": ["order_recordings", "so_far", "encoding"],
                "properties": {
                    "order_recordings": {"type": "array", "items": _reference("Recording")},
                    "so_far": {
                        "type": ["object", "null"],
                        "description": "What there is by now, while it is being recorded",
                        "required": ["seconds", "plays", "video"],
                        "properties": {
                            "seconds": {"type": "number"},
                            "plays": {"type": "boolean"},
                            "video": {"type": "string"},
                        },
                    },
                    "encoding": {
                        "type": ["object", "null"],
                        "description": "How far it is, while browsers cannot play it yet",
                        "required": ["state", "percent", "text"],
                        "properties": {
                            "state": {"enum": list(STATES)},
                            "percent": {"type": ["integer", "null"]},
                            "text": {"type": "string"},
                        },
                    },
                },
            },
        ]
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "recorderd",
            "version": __version__,
            "description": "Find, watch and download the videos of packed orders. Read only.",
        },
        "servers": [{"url": prefix or "/"}],
        "paths": {
            "/api/recordings": _get(
                "Search recordings, newest first",
                _json(recordings),
                parameters=[
                    _query("q", "A fragment of an order id or a label, in any case", _TEXT),
                    _query("order", "A whole order id, exactly", _TEXT),
                    _query("from", "Started on this day or at this moment, or later", _MOMENT),
                    _query(
                        "to", "Started on this day at the latest, or before this moment", _MOMENT
                    ),
                    _query("station", "Made by this station", _TEXT),
                    _query("flagged", "1: marked to be looked at", {"enum": list(YES)}),
                    _query(
                        "state", "In this state", {"enum": [*(s.value for s in RecordingState), ""]}
                    ),
                    _query(
                        "limit",
                        "At most so many",
                        {"type": "integer", "minimum": 1, "maximum": MOST_ROWS},
                    ),
                    _query("cursor", "`next_cursor` of the page before", _CURSOR),
                ],
                problems=("400",),
            ),
            "/api/recordings/{id}": _get(
                "One recording, and all takes and parts of its order",
                _json(with_siblings),
                parameters=[_ID],
                problems=("404",),
            ),
            "/api/status": _get("What the station and its finisher do now", _json(_status())),
            "/recordings/{id}/video": _get(
                "The video; with ?download a file named after the order. Knows Range and If-Range",
                {
                    "200": _content("video/mp4"),
                    "206": _content("video/mp4"),
                    "307": {"description": "It is being recorded: this is what there is by now"},
                },
                parameters=[
                    _ID,
                    _query("download", "As a file to keep, whatever it says", {"type": "string"}),
                    _query(
                        "until",
                        "While it is recorded: up to this place, as `so_far.video` gives it",
                        {"type": "integer", "minimum": 0, "maximum": 10**18 - 1},
                    ),
                ],
                problems=("400", "404", "409", "410", "416"),
            ),
            "/recordings/{id}/label.jpg": _get(
                "The picture in which the label was read",
                {"200": _content("image/jpeg")},
                parameters=[_ID],
                problems=("404", "409", "410"),
            ),
            "/recordings/{id}/thumb.jpg": _get(
                "A small picture for lists",
                {"200": _content("image/jpeg")},
                parameters=[_ID],
                problems=("404", "409", "410"),
            ),
            "/recordings/{id}/export": _get(
                "A zip that proves the order: all its videos, their seals, and a verifier",
                {"200": _content("application/zip"), "206": _content("application/zip")},
                parameters=[_ID],
                problems=("404", "409", "416"),
            ),
            "/healthz": _get("Whether the pages work", {"200": _content("text/plain")}),
            "/metrics": _get("Figures for Prometheus", {"200": _content("text/plain")}),
        },
        "components": {"schemas": {"Recording": _recording(), "Problem": _problem()}},
    }


def _status() -> dict[str, Any]:
    """The station's own part is as `recorderd status --json` has it, without what is secret."""
    count = {"type": "object", "additionalProperties": {"type": "integer"}}
    doing = {
        "job": {"type": "string"},
        "recording_id": {"type": "string"},
        "order": {"type": "string"},
        "percent": {"type": ["integer", "null"]},
        "since": {"type": "string", "format": "date-time"},
        "seconds": {"type": "number"},
    }
    failure = {
        "job": {"type": "string"},
        "recording_id": {"type": "string"},
        "at": {"type": "string", "format": "date-time"},
        "tries": {"type": "integer"},
        "retry_at": {
            "type": ["string", "null"],
            "format": "date-time",
            "description": "null: it was given up",
        },
        "problem": {"type": "string"},
        "remedy": {"type": "string"},
    }
    finisher = {
        "doing": {"type": ["object", "null"], "required": list(doing), "properties": doing},
        "resting": {"type": "boolean", "description": "It waits until nothing is recorded"},
        "waiting": count | {"description": "Recordings that wait, by job"},
        "done": count | {"description": "Jobs done since it started"},
        "failing": {"type": "integer", "description": "Jobs that failed and were not done since"},
        "last_failure": {
            "type": ["object", "null"],
            "required": list(failure),
            "properties": failure,
        },
        "hindrance": {"type": ["string", "null"]},
    }
    return {
        "type": "object",
        "required": ["running", "station", "finisher", "words"],
        "properties": {
            "running": {"type": "boolean"},
            "station": {"type": "string"},
            "finisher": {
                "type": ["object", "null"],
                "description": "What is done in the background; null if the finisher does not run",
                "required": list(finisher),
                "properties": finisher,
            },
            "words": {"type": "object"},
        },
    }


def _recording() -> dict[str, Any]:
    hints = typing.get_type_hints(RecordingRow)
    properties = {name: _type(hint) for name, hint in hints.items()}
    properties["links"] = {
        "type": "object",
        "required": list(LINKS),
        "properties": {name: {"type": "string"} for name in LINKS},
    }
    return {"type": "object", "required": list(properties), "properties": properties}


def _type(hint: Any) -> dict[str, Any]:
    if isinstance(hint, types.UnionType):
        known = next(each for each in typing.get_args(hint) if each is not types.NoneType)
        return _TYPES[known] | {"type": [_TYPES[known]["type"], "null"]}
    return _TYPES[getattr(hint, "__supertype__", hint)]


def _problem() -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
        },
    }


def _get(
    summary: str,
    answers: dict[str, Any],
    parameters: list[dict[str, Any]] | None = None,
    problems: tuple[str, ...] = (),
) -> dict[str, Any]:
    problem = {
        "description": "A problem in words (RFC 9457)",
        "content": {
            "application/problem+json": {"schema": _reference("Problem")},
            # Browsers, and whoever does not ask for JSON outside of /api, get a page.
            "text/html": {},
        },
    }
    refused = dict.fromkeys((*problems, "403", "414", "421", "429", "503"), problem)
    return {
        "get": {
            "summary": summary,
            "parameters": parameters or [],
            "responses": {**answers, **refused},
        }
    }


def _query(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": description, "schema": schema}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"200": {"description": "Found", "content": {"application/json": {"schema": schema}}}}


def _content(media_type: str) -> dict[str, Any]:
    return {"description": "The contents", "content": {media_type: {}}}


def _reference(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}
