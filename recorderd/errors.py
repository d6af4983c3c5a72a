"""Every error recorderd raises on purpose, each with a remedy in plain words.

Adapters (camera, encoder, catalogue, panel ...) translate the exceptions of the
libraries they wrap into these. Whatever else escapes is a bug and may crash the
process: the supervisor above it restarts it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class RecorderdError(Exception):
    """Base of all deliberate errors.

    `problem` says what is wrong, `remedy` what a technician can do about it. Both
    are complete sentences' worth of plain words without a trailing full stop.
    """

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(f"{problem}. {remedy}.")
        self.problem = problem
        self.remedy = remedy


def parted(text: str) -> tuple[str, str]:
    """(problem, remedy) of an error that was written out by `str`; no remedy if it has none."""
    problem, _, remedy = text.removesuffix(".").partition(". ")
    return problem, remedy


class DeviceError(RecorderdError):
    """A camera, lamp, pedal or encoder is missing or misbehaves. Transient: try again."""


class StorageError(RecorderdError):
    """The footage folder cannot be used: missing, full, read-only, or not the right disk."""


class CatalogueError(RecorderdError):
    """The database cannot be read or written."""


class InvariantViolationError(RecorderdError):
    """A promise of the design was broken: a bug. The process must stop."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem, "This is a bug in recorderd: please report it with the journal")


@dataclass(frozen=True, slots=True)
class ConfigProblem:
    """One mistake in the configuration: where it stands, what it is, what was expected."""

    origin: str
    key: str
    value: str
    expected: str

    def __str__(self) -> str:
        return f"{self.origin}: {self.key} = {self.value}: expected {self.expected}"


class ConfigError(RecorderdError):
    """The configuration has mistakes; `problems` holds all of them, not only the first."""

    def __init__(self, problems: Sequence[ConfigProblem]) -> None:
        self.problems = tuple(problems)
        listed = "\n".join(f"  - {problem}" for problem in self.problems)
        count = len(self.problems)
        super().__init__(
            f"The configuration has {count} mistake{'s' if count != 1 else ''}:\n{listed}\n",
            "Correct each line above and run 'recorderd check-config' again",
        )
