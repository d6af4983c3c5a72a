"""Downloads leave the machine to the recorder while it records."""

from __future__ import annotations

import asyncio

import pytest

from recorderd.web.pacing import Pace


def always() -> bool:
    return True


class Scene:
    """A clock that moves only when somebody sleeps."""

    def __init__(self, bytes_per_second: float, *, recording: bool = True) -> None:
        self.now = 100.0
        self.recording = recording
        self.asked = 0
        self.pace = Pace(
            bytes_per_second, self._is_recording, clock=lambda: self.now, sleep=self._sleep
        )

    async def _is_recording(self) -> bool:
        self.asked += 1
        return self.recording

    async def _sleep(self, seconds: float) -> None:
        self.now += seconds

    async def download(self, size: int) -> float:
        began, left = self.now, size
        while left:
            left -= await self.pace.wait(min(4 << 20, left), always)
        return self.now - began


def test_as_fast_as_it_goes_while_nothing_is_recorded() -> None:
    scene = Scene(1e6, recording=False)
    assert asyncio.run(scene.download(1_000_000_000)) == 0


def test_no_limit_is_no_limit() -> None:
    scene = Scene(0)
    assert asyncio.run(scene.download(1_000_000_000)) == 0
    assert scene.asked == 0


def test_not_faster_than_allowed_while_an_order_is_recorded() -> None:
    scene = Scene(100e6)
    assert asyncio.run(scene.download(1_000_000_000)) == pytest.approx(10, rel=0.02)


def test_many_share_it_evenly() -> None:
    scene = Scene(100e6)
    sent = [0] * 20

    async def client(number: int) -> None:
        for _ in range(50):
            sent[number] += await scene.pace.wait(4 << 20, always)

    async def all_at_once() -> None:
        await asyncio.gather(*(client(number) for number in range(20)))

    began = scene.now
    asyncio.run(all_at_once())
    assert max(sent) == min(sent)
    assert sum(sent) / (scene.now - began) == pytest.approx(100e6, rel=0.02)


def test_who_has_left_takes_nothing_from_the_others() -> None:
    scene = Scene(1e6)

    async def all_at_once() -> float:
        leavers = [asyncio.create_task(scene.pace.wait(4 << 20, lambda: False)) for _ in range(50)]
        began = scene.now
        await scene.pace.wait(65_536, always)
        await scene.pace.wait(65_536, always)
        assert [await leaver for leaver in leavers] == [0] * 50
        return scene.now - began

    assert asyncio.run(all_at_once()) < 0.2


def test_it_looks_once_a_second_whether_an_order_is_recorded() -> None:
    scene = Scene(1e6, recording=False)

    async def ask(times: int) -> None:
        for _ in range(times):
            await scene.pace.wait(1000, always)

    asyncio.run(ask(50))
    assert scene.asked == 1
    scene.now += 1.0
    scene.recording = True
    asyncio.run(ask(50))
    assert scene.now > 101
