"""`recorderd bench saving`: how soon after the stop a recording is saved, and the station ready.

The station records a 4K camera, played from a video file, for ten seconds, two minutes and ten
minutes. It takes so long, too: nothing about it can be hurried.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from recorderd.bench import clips, processes
from recorderd.bench.report import number, table, tell
from recorderd.bench.trials import before_a_clip, one_after_another
from recorderd.bench.try_out import TryOut
from recorderd.core.model import Mode
from recorderd.core.signals import Signal
from recorderd.errors import DeviceError

RATE: Final = 30
LENGTHS: Final = (10.0, 120.0, 600.0)
"""Seconds of the recordings."""
SAVED_GOAL: Final = 1.0
READY_GOAL: Final = 3.0
_PATIENCE_SECONDS: Final = 60.0
_LOOK_SECONDS: Final = 0.05
_CLIP_SECONDS: Final = 12.0
_LABEL: Final = (1.0, 2.5)
ORDER: Final = "BENCH-1"


@dataclass(frozen=True, slots=True)
class Camera:
    """What it sends, and how that is recorded."""

    name: str
    codec: str
    mode: Mode


CAMERAS: Final = (
    Camera("H.264, copied", "libx264", Mode.COPY),
    Camera("MJPEG, kept for later", "mjpeg", Mode.DEFER),
)


@dataclass(frozen=True, slots=True)
class Moment:
    """Seconds that something took, and how many it may take."""

    name: str
    seconds: float
    goal: float

    @property
    def missed(self) -> bool:
        return self.seconds > self.goal


def run(as_json: bool) -> int:
    """Measure and print; takes half an hour.

    Returns 0, or 1 if a goal was missed. Raises DeviceError, StorageError.
    """
    processes.end_with_what_was_started()
    found = [moment for moments in one_after_another(CAMERAS, measure) for moment in moments]
    return tell(
        "saving",
        shown(found),
        as_json=as_json,
        failed=any(moment.missed for moment in found),
        moments=[asdict(moment) | {"missed": moment.missed} for moment in found],
    )


def measure(camera: Camera, folder: Path, *, lengths: Sequence[float] = LENGTHS) -> list[Moment]:
    """Start a station, let it record for so long, and stop it with the pedal."""
    clip = folder / "clip.mp4"
    clips.write(clips.Clip(_CLIP_SECONDS, RATE, clips.showing(ORDER, *_LABEL), camera.codec), clip)
    # The label is seen again with each round of the video; only the pedal stops.
    labels = {"on_same_label": "ignore"}
    station = before_a_clip(
        folder, clip, RATE, {"mode": camera.mode.value}, labels=labels, loop=True
    )
    found = []
    try:
        began = time.monotonic()
        station.start()
        ready = _heard(station, Signal.READY, began)
        found.append(Moment(f"{camera.name}: start to ready", ready - began, READY_GOAL))
        for length in lengths:
            started = _heard(station, Signal.RECORDING, time.monotonic() - _LOOK_SECONDS)
            time.sleep(max(0.0, started + length - time.monotonic()))
            station.press()
            pressed = station.presses[-1]
            saved = _heard(station, Signal.SAVED, pressed)
            name = f"{camera.name}: stop to saved after {length:g} s"
            found.append(Moment(name, saved - pressed, SAVED_GOAL))
    finally:
        station.close()
    return found


def _heard(station: TryOut, wanted: Signal, since: float) -> float:
    """When this signal came, of those after `since`. Raises DeviceError if it does not come."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        for signal, at in station.signals():
            if signal is wanted and at >= since:
                return at
        time.sleep(_LOOK_SECONDS)
    raise DeviceError(f"The station did not signal '{wanted}'", f"Read why in {station.log}")


def shown(moments: Sequence[Moment]) -> str:
    """For people."""
    lines = [("", "took", "goal")]
    for moment in moments:
        goal = f"{moment.goal:g} s or less"
        lines.append(
            (
                moment.name,
                f"{number(moment.seconds)} s",
                f"{goal}: missed" if moment.missed else goal,
            )
        )
    return f"4K, {RATE} pictures a second.\n\n{table(lines)}"
