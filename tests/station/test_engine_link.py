"""The link to the engine, tried with real processes that misbehave in every way."""

from __future__ import annotations

import os
import queue
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import TypeAlias

import pytest

from recorderd.core.events import FaultRaised
from recorderd.core.model import RecordingId, nanoseconds
from recorderd.engine.messages import Hello, Stop
from recorderd.settings import Settings
from recorderd.station import engine_link
from recorderd.station.engine_link import EngineGone, EngineLink, EngineStarted, LinkReport
from tests.station.fake_engine import fake_engine

HELLO = Hello(Settings(), 0, {})


class Listener:
    """Collects what a link reports; heartbeats and scans are not kept."""

    def __init__(self) -> None:
        self._heard: queue.SimpleQueue[tuple[float, LinkReport]] = queue.SimpleQueue()

    def __call__(self, report: LinkReport) -> None:
        if isinstance(report, EngineStarted | EngineGone | FaultRaised):
            self._heard.put((time.monotonic(), report))

    def started(self) -> int:
        report = self._heard.get(timeout=10)[1]
        assert isinstance(report, EngineStarted)
        return report.process_id

    def gone(self) -> str:
        report = self._heard.get(timeout=10)[1]
        assert isinstance(report, EngineGone)
        return report.problem

    def said(self) -> str:
        report = self._heard.get(timeout=10)[1]
        assert isinstance(report, FaultRaised)
        return report.problem

    def nothing_more(self) -> bool:
        return self._heard.empty()


MakeLink: TypeAlias = Callable[[Callable[[int], list[str]]], EngineLink]


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture
def make_link(listener: Listener, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeLink]:
    """Starts links that are less patient than usual; closes them however a test ends."""
    monkeypatch.setattr(engine_link, "SILENCE_LIMIT", nanoseconds(0.5))
    monkeypatch.setattr(engine_link, "_LEAVE_SECONDS", 0.5)
    links: list[EngineLink] = []

    def make(command: Callable[[int], list[str]]) -> EngineLink:
        links.append(EngineLink(HELLO, listener, command=command))
        links[-1].start()
        return links[-1]

    yield make
    for link in links:
        link.close()


def _wait_for_death(process_id: int) -> None:
    """Until a killed process is gone, or waits to be reaped (state Z, proc(5))."""
    deadline = time.monotonic() + 5
    stat = Path(f"/proc/{process_id}/stat")
    while stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z":
        assert time.monotonic() < deadline, "it is still alive"
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("behaviour", "problem"),
    [
        ("dies", "it ended with exit code 7"),
        ("is killed", "it was ended by signal 34"),
        ("stops itself", "it was stopped from outside"),
        ("goes silent", "it gave no sign of life"),
        ("floods", "it gave no sign of life"),
        ("talks nonsense", "it said str, which means nothing"),
    ],
)
def test_bad_engine_is_replaced(
    behaviour: str, problem: str, listener: Listener, make_link: MakeLink
) -> None:
    link = make_link(fake_engine(behaviour))
    first = listener.started()
    assert problem in listener.gone()
    assert listener.started() != first
    link.close()
    _wait_for_death(first)


def test_commands_reach_the_engine_they_are_meant_for(
    listener: Listener, make_link: MakeLink
) -> None:
    link = make_link(fake_engine("lives"))
    stop = Stop(RecordingId("r1"), 5)
    engine = listener.started()
    link.send(engine + 1, stop)
    link.send(engine, stop)
    assert "r1" in listener.said()
    began = time.monotonic()
    link.close()
    assert time.monotonic() - began < 0.4, "it leaves when it is asked to"
    link.send(engine, stop)
    assert listener.nothing_more(), "a wanted end is no fault, and the other was not obeyed"


def test_engine_that_never_leaves_is_killed(listener: Listener, make_link: MakeLink) -> None:
    link = make_link(fake_engine("never leaves"))
    engine = listener.started()
    began = time.monotonic()
    link.close()
    assert 0.5 <= time.monotonic() - began < 5
    _wait_for_death(engine)
    assert listener.nothing_more()


def test_engine_that_is_gone_before_it_was_greeted(listener: Listener, make_link: MakeLink) -> None:
    """The hello then has nobody to go to; that must not end the link."""
    link = make_link(lambda _: ["/bin/true"])
    for _ in range(2):
        listener.started()
        assert listener.gone() == "it ended with exit code 0"
    link.close()


def test_pauses_between_short_lives_grow(
    listener: Listener, make_link: MakeLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first successor comes soon; an engine that keeps dying does not eat the machine."""
    monkeypatch.setattr(engine_link, "_PAUSES_AFTER_SHORT_LIVES", (0.0, 0.1, 0.4))
    make_link(lambda _: ["/nowhere/engine"])
    gone = []
    for _ in range(4):
        assert listener.gone() == "it cannot be started: No such file or directory"
        gone.append(time.monotonic())
    pauses = [later - earlier for earlier, later in pairwise(gone)]
    assert pauses == pytest.approx([0.1, 0.4, 0.4], abs=0.09)


def test_no_descriptors_are_left(listener: Listener, make_link: MakeLink) -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for _ in range(3):
        link = make_link(fake_engine("lives"))
        listener.started()
        link.close()
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
