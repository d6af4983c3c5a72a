"""Asking the catalogue and the disk without ever holding up the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, ParamSpec, TypeVar

from recorderd.web.problems import busy

_THREADS: Final = 4
MOST_WAITING: Final = 64

_P = ParamSpec("_P")
_T = TypeVar("_T")


class Archive:
    """Runs questions that wait for a disk on a few threads; too many at once are refused."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="archive")
        self._waiting = 0

    @property
    def waiting(self) -> int:
        """How many questions are being asked, or wait for a thread."""
        return self._waiting

    async def ask(self, question: Callable[_P, _T], *arguments: _P.args, **named: _P.kwargs) -> _T:
        """The answer to a question. Raises what the question raises, ProblemError if busy."""
        if self._waiting >= MOST_WAITING:
            raise busy()
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._threads, lambda: question(*arguments, **named)
            )
        finally:
            self._waiting -= 1

    def close(self) -> None:
        self._threads.shutdown()
