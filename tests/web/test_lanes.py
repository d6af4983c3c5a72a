"""Threads are shared fairly, and a disk that hangs holds up only those who ask for it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from recorderd.web import archive as archive_module
from recorderd.web.archive import ASKER, MOST_WAITING_OF_ONE, Archive
from recorderd.web.problems import ProblemError


def as_client(name: str, question: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    async def asked() -> Any:
        ASKER.set(name)
        return await question

    return asyncio.create_task(asked())


async def settle(condition: Callable[[], bool]) -> None:
    """Let the event loop go on until something is so."""
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0)


def test_one_client_cannot_take_all_threads() -> None:
    async def scene() -> None:
        archive, release = Archive(), threading.Event()
        slow = [as_client("greedy", archive.ask(release.wait)) for _ in range(30)]
        await settle(lambda: archive.waiting == 30)
        assert await as_client("other", archive.ask(lambda: "answer")) == "answer"
        assert not any(task.done() for task in slow)
        release.set()
        await asyncio.gather(*slow)
        archive.close()

    asyncio.run(scene())


def test_one_client_may_not_wait_without_end() -> None:
    async def scene() -> None:
        archive, release = Archive(), threading.Event()
        waiting = [
            as_client("greedy", archive.ask(release.wait)) for _ in range(MOST_WAITING_OF_ONE)
        ]
        await settle(lambda: archive.waiting == MOST_WAITING_OF_ONE)
        with pytest.raises(ProblemError) as refused:
            await as_client("greedy", archive.ask(lambda: None))
        assert refused.value.status == 503
        assert await as_client("other", archive.ask(lambda: "answer")) == "answer"
        release.set()
        await asyncio.gather(*waiting)
        assert archive.waiting == 0
        archive.close()

    asyncio.run(scene())


def test_a_footage_disk_that_hangs_keeps_nobody_from_searching(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(archive_module, "LONGEST_WAIT_SECONDS", 0.01)

    async def scene() -> None:
        archive, dead_disk = Archive(), threading.Event()
        videos = [as_client(str(n), archive.fetch(dead_disk.wait)) for n in range(10)]
        outcomes = await asyncio.gather(*videos, return_exceptions=True)
        assert [getattr(each, "status", None) for each in outcomes] == [503] * 10
        assert await archive.ask(lambda: "answer") == "answer"
        archive.close()
        dead_disk.set()

    asyncio.run(scene())
