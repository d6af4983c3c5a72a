"""Figures of benchmarks: ratios of what was measured side by side, and tables for people."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Final

_UNKNOWN: Final = "-"


@dataclass(frozen=True, slots=True)
class Comparison:
    """One figure of both sides, measured in turn, round by round; `theirs` may be empty.

    `goal` is what the median of the rounds' ratios (ours / theirs) must reach; None is none.
    """

    name: str
    unit: str
    ours: tuple[float, ...]
    theirs: tuple[float, ...] = ()
    goal: float | None = None

    @property
    def ratios(self) -> list[float]:
        """Of each round in which both sides gave a figure."""
        pairs = zip(self.ours, self.theirs, strict=False)
        return [ours / theirs for ours, theirs in pairs if theirs]

    @property
    def ratio(self) -> float | None:
        return median(self.ratios) if self.ratios else None

    @property
    def missed(self) -> bool:
        """Whether the goal was measured and not reached."""
        return self.goal is not None and self.ratio is not None and self.ratio < self.goal

    def document(self) -> dict[str, Any]:
        """For programs: the medians beside all that was measured."""
        return asdict(self) | {
            "ours_median": median(self.ours),
            "theirs_median": median(self.theirs) if self.theirs else None,
            "ratio": self.ratio,
            "missed": self.missed,
        }

    def cells(self) -> tuple[str, ...]:
        """What a table shows of it: name, ours, theirs, ratio, its span, goal."""
        ratios = self.ratios
        span = f"{min(ratios):.2f} to {max(ratios):.2f}" if ratios else _UNKNOWN
        goal = _UNKNOWN if self.goal is None else f"{self.goal:g} or more"
        return (
            self.name,
            f"{number(median(self.ours))} {self.unit}",
            f"{number(median(self.theirs))} {self.unit}" if self.theirs else _UNKNOWN,
            _UNKNOWN if self.ratio is None else f"{self.ratio:.2f}",
            span,
            f"{goal}: missed" if self.missed else goal,
        )


def tell(benchmark: str, shown: str, *, as_json: bool, failed: bool, **measured: Any) -> int:
    """Print what was measured, for programs or for people; returns the exit code."""
    if as_json:
        print(json.dumps({"benchmark": benchmark, "machine": machine(), **measured}, indent=2))
    else:
        print(shown)
    return int(failed)


def unmet(*goals: tuple[str, bool]) -> list[str]:
    """The words of those goals that are not met."""
    return [words for words, is_met in goals if not is_met]


def goals_line(missed: Sequence[str]) -> str:
    """For people."""
    return f"Goals: missed: {'; '.join(missed)}" if missed else "Goals: all met"


def number(value: float) -> str:
    """Three digits that count, and no more."""
    if abs(value) >= 100:
        return f"{value:.0f}"
    return (
        f"{value:.1f}"
        if abs(value) >= 10
        else f"{value:.2f}"
        if abs(value) >= 1
        else f"{value:.3f}"
    )


def table(lines: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their widest cell; the first line is the heading."""
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def machine() -> dict[str, Any]:
    """On what the figures were measured."""
    return {
        "processors": len(os.sched_getaffinity(0)),
        "architecture": platform.machine(),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


def percentile(values: Sequence[float], percent: float) -> float:
    """The value that so many percent of all do not exceed; 0 of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))] if ordered else 0.0
