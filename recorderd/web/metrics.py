"""Figures in the text format of Prometheus, version 0.0.4."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from recorderd import __version__
from recorderd.core.model import Fault
from recorderd.store.search import Totals

STATION_COUNTERS: Final = {
    "recordings": "Recordings that were saved and checked",
    "failures": "Recordings that could not be saved or checked",
    "refusals": "Labels and pedal presses that were answered with no",
    "engine_restarts": "Engines that ended and were replaced",
    "pictures": "Pictures that came from the camera",
    "damaged_pictures": "Pictures that came damaged from the camera",
    "scans": "Pictures that were given to the label scanner",
    "scanner_deaths": "Pictures with which the label scanner died or hung",
}
"""What the station counts since it started, or since its engine did."""

_ARCHIVE_QUEUE: Final = "archive"


@dataclass(slots=True)
class Traffic:
    """What this server has answered since it started; the event loop's own."""

    answers: Counter[int] = field(default_factory=Counter)
    running: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Web:
    """This server's own figures: `waiting` of at most `limit` questions to catalogue and disk."""

    traffic: Traffic
    waiting: int
    limit: int


def exposition(
    status: Mapping[str, Any] | None,
    totals: Totals | None,
    web: Web,
    finisher: Mapping[str, Any] | None = None,
) -> str:
    """All figures as text.

    `status` and `finisher` are what a running station and finisher have published, None if
    none runs; `totals` None if the catalogue cannot be read.
    """
    lines = (*_lines(status, totals, web), *_finisher(finisher))
    return "".join(f"{line}\n" for line in lines)


def _lines(status: Mapping[str, Any] | None, totals: Totals | None, web: Web) -> Iterator[str]:
    yield from _metric("build_info", "gauge", "The version", {_labels(version=__version__): 1})
    yield from _one("station_up", "gauge", "Whether the station runs", status is not None)
    if status is not None:
        yield from _station(status)
        yield from _camera_and_disk(status)
        yield from _scanning(_mapping(status.get("scanning")))
        yield from _buffer(_mapping(status.get("buffer")))
    yield from _queues(_mapping((status or {}).get("queues")), web)
    yield from _one(
        "catalogue_up", "gauge", "Whether the catalogue can be read", totals is not None
    )
    if totals is not None:
        yield from _metric(
            "recordings",
            "gauge",
            "Recordings in the catalogue; damaged and lost ones are failures",
            {_labels(state=state): count for state, count in totals.by_state.items()},
        )
        yield from _one(
            "dropped_frames_total",
            "counter",
            "Pictures missing in the recordings of the catalogue",
            totals.dropped_frames,
        )
    yield from _traffic(web.traffic)


def _station(status: Mapping[str, Any]) -> Iterator[str]:
    phase, faults = status.get("phase"), _mapping(status.get("faults"))
    yield from _one("recording", "gauge", "Whether it records", phase == "recording")
    yield from _metric(
        "fault",
        "gauge",
        "Whether this is wrong now",
        {_labels(fault=fault.value): fault.value in faults for fault in Fault},
    )
    unsaved = status.get("recordings") or []
    yield from _one("open_recordings", "gauge", "Recordings begun and not yet saved", len(unsaved))
    yield from _one(
        "open_dropped_frames",
        "gauge",
        "Pictures missing so far in the recordings that are being written",
        sum(each.get("dropped") or 0 for each in unsaved),
    )
    yield from _one(
        "open_waiting_frames",
        "gauge",
        "Pictures in memory that are still to be written",
        sum(each.get("waiting") or 0 for each in unsaved),
    )
    counters = _mapping(status.get("counters"))
    for name, explanation in STATION_COUNTERS.items():
        if name in counters:
            yield from _one(f"station_{name}_total", "counter", explanation, counters[name])
    yield from _metric(
        "station_stops_total",
        "counter",
        "Why parts of recordings ended",
        {_labels(reason=reason): n for reason, n in _mapping(status.get("stops")).items()},
    )


def _camera_and_disk(status: Mapping[str, Any]) -> Iterator[str]:
    faults = _mapping(status.get("faults"))
    camera_up = bool(status.get("camera")) and Fault.CAMERA.value not in faults
    yield from _one("camera_up", "gauge", "Whether pictures come", camera_up)
    mode = _mapping(status.get("mode"))
    if mode.get("mode"):
        labels = _labels(mode=mode["mode"], encoder=mode.get("encoder") or "")
        yield from _metric("encoder_info", "gauge", "How videos are made", {labels: 1})
    disk = _mapping(status.get("disk"))
    for name, explanation in (
        ("free_bytes", "Space on the footage disk"),
        ("minimum_bytes", "With less space than this no recording is begun"),
    ):
        if disk.get(name) is not None:
            yield from _one(f"disk_{name}", "gauge", explanation, disk[name])


def _scanning(scanning: Mapping[str, Any]) -> Iterator[str]:
    if not scanning:
        return
    latency = scanning["latency"]
    within = {str(float(bound)): number for bound, number in latency["within"]}
    within["+Inf"] = latency["count"]
    yield from _head(
        "scan_seconds", "histogram", "From the capture of a picture to the label scanner's answer"
    )
    for bound, number in within.items():
        yield _sample("scan_seconds_bucket", _labels(le=bound), number)
    yield _sample("scan_seconds_sum", "", latency["seconds"])
    yield _sample("scan_seconds_count", "", latency["count"])
    yield from _one(
        "scanner_busy_seconds_total",
        "counter",
        "Time the label scanner has worked",
        scanning["seconds"],
    )


def _buffer(buffer: Mapping[str, Any]) -> Iterator[str]:
    for name, explanation in (
        ("pictures", "Pictures in memory: the pre-roll, and what is still to be written"),
        ("bytes", "Memory these pictures take"),
        ("limit_bytes", "With more than this the oldest pictures are dropped"),
    ):
        if name in buffer:
            yield from _one(f"buffer_{name}", "gauge", explanation, buffer[name])


def _queues(queues: Mapping[str, Any], web: Web) -> Iterator[str]:
    waiting = {name: queue["waiting"] for name, queue in queues.items()}
    limits = {name: queue["limit"] for name, queue in queues.items()}
    waiting[_ARCHIVE_QUEUE], limits[_ARCHIVE_QUEUE] = web.waiting, web.limit
    for name, explanation, values in (
        ("queue_depth", "How many wait", waiting),
        ("queue_limit", "How many may wait", limits),
    ):
        labelled = {_labels(queue=queue): number for queue, number in values.items()}
        yield from _metric(name, "gauge", explanation, labelled)


def _finisher(finisher: Mapping[str, Any] | None) -> Iterator[str]:
    yield from _one("finisher_up", "gauge", "Whether the finisher runs", finisher is not None)
    if finisher is None:
        return
    for name, kind, explanation, counts in (
        ("waiting", "gauge", "Recordings that wait for this job", finisher.get("waiting")),
        ("done_total", "counter", "Jobs done since the finisher started", finisher.get("done")),
    ):
        values = {_labels(job=job): count for job, count in _mapping(counts).items()}
        yield from _metric(f"finisher_{name}", kind, explanation, values)
    yield from _one(
        "finisher_failing",
        "gauge",
        "Jobs that failed and were not done since; in a pause, or given up",
        finisher.get("failing") or 0,
    )
    doing = _mapping(finisher.get("doing"))
    if doing:
        yield from _metric(
            "finisher_progress_ratio",
            "gauge",
            "How much of the job at hand is done",
            {_labels(job=doing.get("job")): (doing.get("percent") or 0) / 100},
        )
        yield from _metric(
            "finisher_job_seconds",
            "gauge",
            "How long the job at hand has taken so far",
            {_labels(job=doing.get("job")): doing.get("seconds") or 0},
        )


def _traffic(traffic: Traffic) -> Iterator[str]:
    yield from _metric(
        "web_answers_total",
        "counter",
        "Answers of the staff pages",
        {_labels(status=status): count for status, count in sorted(traffic.answers.items())},
    )
    yield from _one("web_running", "gauge", "Requests being answered", traffic.running)
    seconds = round(traffic.seconds, 3)
    yield from _one("web_seconds_total", "counter", "Time spent answering", seconds)


def _one(name: str, kind: str, explanation: str, value: float) -> Iterator[str]:
    yield from _metric(name, kind, explanation, {"": value})


def _metric(name: str, kind: str, explanation: str, values: Mapping[str, float]) -> Iterator[str]:
    yield from _head(name, kind, explanation)
    for labels, value in values.items():
        yield _sample(name, labels, value)


def _head(name: str, kind: str, explanation: str) -> Iterator[str]:
    yield f"# HELP recorderd_{name} {explanation}"
    yield f"# TYPE recorderd_{name} {kind}"


def _sample(name: str, labels: str, value: float) -> str:
    return f"recorderd_{name}{labels} {int(value) if isinstance(value, bool) else value}"


def _labels(**labels: object) -> str:
    """Names and values in braces, escaped."""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: object) -> str:
    return str(value).replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
