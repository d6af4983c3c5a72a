"""Figures in the text format of Prometheus."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from recorderd.core.model import Fault
from recorderd.store.search import Totals


@dataclass(slots=True)
class Traffic:
    """What this server has answered since it started; the event loop's own."""

    answers: Counter[int] = field(default_factory=Counter)
    running: int = 0
    seconds: float = 0.0


def exposition(live: Mapping[str, Any], totals: Totals | None, traffic: Traffic) -> str:
    """All figures. `live` is what the API shows of the station."""
    return "".join(f"{line}\n" for line in _lines(live, totals, traffic))


def _lines(live: Mapping[str, Any], totals: Totals | None, traffic: Traffic) -> Iterator[str]:
    running = bool(live.get("running"))
    yield from _metric("station_up", "gauge", "Whether the station runs", {"": running})
    if running:
        phase = live.get("phase")
        yield from _metric("recording", "gauge", "Whether it records", {"": phase == "recording"})
        faults = live.get("faults") or {}
        yield from _metric(
            "fault",
            "gauge",
            "Whether this is wrong now",
            {f'{{fault="{fault.value}"}}': fault.value in faults for fault in Fault},
        )
        camera_up = live.get("camera") is not None and Fault.CAMERA.value not in faults
        yield from _metric("camera_up", "gauge", "Whether pictures come", {"": camera_up})
        mode = live.get("mode") or {}
        if mode.get("mode"):
            labels = f'{{mode="{_label(mode["mode"])}",encoder="{_label(mode.get("encoder"))}"}}'
            yield from _metric("encoder_info", "gauge", "How videos are made", {labels: 1})
        free = (live.get("disk") or {}).get("free_bytes")
        if isinstance(free, int):
            yield from _metric("disk_free_bytes", "gauge", "Space on the footage disk", {"": free})
        open_recordings = live.get("recordings") or []
        yield from _metric(
            "open_recordings", "gauge", "Begun and not yet saved", {"": len(open_recordings)}
        )
        for name, value in sorted((live.get("counters") or {}).items()):
            if isinstance(value, int | float):
                kind = "gauge" if name.endswith("_bytes") else "counter"
                suffix = "" if kind == "gauge" else "_total"
                yield from _metric(
                    f"station_{name}{suffix}",
                    kind,
                    f"Station: {name.replace('_', ' ')}",
                    {"": value},
                )
    if totals is not None:
        yield from _metric(
            "recordings",
            "gauge",
            "Recordings in the catalogue",
            {f'{{state="{state}"}}': count for state, count in totals.by_state.items()},
        )
        yield from _metric(
            "dropped_frames_total", "counter", "Pictures missing", {"": totals.dropped_frames}
        )
    yield from _metric(
        "web_answers_total",
        "counter",
        "Answers of the staff pages",
        {f'{{status="{status}"}}': count for status, count in sorted(traffic.answers.items())},
    )
    yield from _metric("web_running", "gauge", "Requests being answered", {"": traffic.running})
    yield from _metric(
        "web_seconds_total", "counter", "Time spent answering", {"": round(traffic.seconds, 3)}
    )


def _metric(name: str, kind: str, explanation: str, values: Mapping[str, float]) -> Iterator[str]:
    yield f"# HELP recorderd_{name} {explanation}"
    yield f"# TYPE recorderd_{name} {kind}"
    for labels, value in values.items():
        number = int(value) if isinstance(value, bool) else value
        yield f"recorderd_{name}{labels} {number}"


def _label(value: object) -> str:
    text = "" if value is None else str(value)
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
