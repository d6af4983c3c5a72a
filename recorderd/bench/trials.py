"""Trials of a whole station: each in a folder of its own, some with a video as their camera."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol, TypeVar

from recorderd.bench.large_file import PARENT
from recorderd.bench.servers import free_port
from recorderd.bench.try_out import TryOut


class Named(Protocol):
    """One of several things to measure."""

    @property
    def name(self) -> str: ...


Thing = TypeVar("Thing", bound=Named)
Result = TypeVar("Result")


def one_after_another(
    things: Iterable[Thing], measure: Callable[[Thing, Path], Result]
) -> list[Result]:
    """Measure each in a folder of its own on a real disk; says which one it is at."""
    results = []
    for thing in things:
        print(f"{thing.name} ...", file=sys.stderr, flush=True)
        with TemporaryDirectory(prefix="recorderd-bench-", dir=PARENT) as folder:
            results.append(measure(thing, Path(folder)))
    return results


def before_a_clip(
    folder: Path,
    clip: Path,
    rate: float,
    recording: Mapping[str, Any],
    *,
    labels: Mapping[str, Any] | None = None,
    loop: bool = False,
) -> TryOut:
    """A station whose camera is a video file, with these settings of the sections [recording]
    and [labels]."""
    return TryOut(
        folder,
        {
            "station": {"name": "bench"},
            "camera": {"source": f"file:{clip}", "loop": loop, "rate": float(rate)},
            "recording": recording,
            "labels": labels or {},
            "storage": {"minimum_free_gigabytes": 1.0},
            "web": {"address": "127.0.0.1", "port": free_port()},
        },
    )
