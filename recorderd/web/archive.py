"""Asking the catalogue and the footage disk without ever holding up the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Final, ParamSpec, TypeVar

from recorderd.web.problems import ProblemError, busy

ASKER: Final[ContextVar[str]] = ContextVar("asker", default="")
"""For whom the request that is being answered was made: nobody may take all threads."""
MOST_WAITING: Final = 256
MOST_WAITING_OF_ONE: Final = 48
LONGEST_WAIT_SECONDS: Final = 8.0
"""A disk that does not answer by then has gone, or is asleep for good."""
_THREADS: Final = 4
_THREADS_OF_ONE: Final = 2

_P = ParamSpec("_P")
_T = TypeVar("_T")


@dataclass(slots=True)
class _Asker:
    waiting: int = 0
    turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_THREADS_OF_ONE))


class Lane:
    """A few threads that wait in the event loop's place, shared fairly among all who ask."""

    def __init__(self, name: str) -> None:
        self.waiting = 0
        """How many questions are being asked, or wait for a thread."""
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix=name)
        self._askers: dict[str, _Asker] = {}

    async def run(self, question: Callable[[], _T]) -> _T:
        """The answer. Raises what the question raises, ProblemError if there are too many."""
        name = ASKER.get()
        asker = self._askers.setdefault(name, _Asker())
        if self.waiting >= MOST_WAITING or asker.waiting >= MOST_WAITING_OF_ONE:
            raise busy()
        asker.waiting += 1
        self.waiting += 1
        try:
            async with asker.turns:
                return await asyncio.get_running_loop().run_in_executor(self._threads, question)
        finally:
            self.waiting -= 1
            asker.waiting -= 1
            if not asker.waiting:
                self._askers.pop(name, None)

    def close(self) -> None:
        """Forget what waits. A thread that waits for a dead disk is left behind."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class Archive:
    """Two lanes, so that a footage disk that hangs does not keep anybody from searching."""

    def __init__(self) -> None:
        self._catalogue = Lane("catalogue")
        self._footage = Lane("footage")

    @property
    def waiting(self) -> int:
        """How many questions are being asked, or wait for a thread."""
        return self._catalogue.waiting + self._footage.waiting

    async def ask(self, question: Callable[_P, _T], *arguments: _P.args, **named: _P.kwargs) -> _T:
        """The answer of the catalogue, or of other files in the state and run folders.

        Raises what the question raises, ProblemError if there are too many.
        """
        return await self._catalogue.run(lambda: question(*arguments, **named))

    async def fetch(
        self, question: Callable[_P, _T], *arguments: _P.args, **named: _P.kwargs
    ) -> _T:
        """The answer of the footage disk. Raises ProblemError also if it does not answer."""
        try:
            async with asyncio.timeout(LONGEST_WAIT_SECONDS):
                return await self._footage.run(lambda: question(*arguments, **named))
        except TimeoutError:
            raise ProblemError(
                503,
                "The disk with the videos does not answer",
                "Wait a moment and try again. If it stays, tell the technician: the disk or its "
                "cable may be failing.",
                {"Retry-After": "10"},
            ) from None

    def close(self) -> None:
        self._catalogue.close()
        self._footage.close()
