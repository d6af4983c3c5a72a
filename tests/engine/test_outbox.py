from __future__ import annotations

import multiprocessing
import threading
from multiprocessing.connection import Connection
from typing import Any

from recorderd.core.events import FrameScanned, SourceEnded
from recorderd.core.model import RecordingId
from recorderd.engine.messages import Heartbeat, NothingLeft
from recorderd.engine.outbox import LARGEST_BACKLOG, Outbox

BEAT = Heartbeat(0, 0, 0, 0, 0, 0.0, 0, ())


class DeafConnection:
    """A station that takes one report and then no other, until it is told to."""

    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.sending = threading.Event()
        self.listens = threading.Event()

    def send(self, report: Any) -> None:
        self.sending.set()
        assert self.listens.wait(30)
        self.sent.append(report)


def outbox_to(connection: DeafConnection | Connection) -> Outbox:
    return Outbox(connection)  # type: ignore[arg-type]


def lost(number: int) -> NothingLeft:
    return NothingLeft(RecordingId(str(number)), "test")


def test_reports_arrive_in_order_and_all_before_closing() -> None:
    ours, theirs = multiprocessing.Pipe()
    outbox = outbox_to(ours)
    for number in range(100):
        outbox.put(lost(number))
    outbox.close(30)
    assert [theirs.recv() for _ in range(100)] == [lost(number) for number in range(100)]
    assert not theirs.poll(0)


def test_nobody_waits_for_a_deaf_station_and_only_the_repeatable_is_left_out() -> None:
    station = DeafConnection()
    outbox = outbox_to(station)
    outbox.put(BEAT)
    assert station.sending.wait(30)
    for _ in range(3 * LARGEST_BACKLOG):
        outbox.put(BEAT)
        outbox.put(FrameScanned(0, 0, ()))
    for number in range(50):
        outbox.put(lost(number))
    outbox.put(SourceEnded())
    assert outbox.waiting == LARGEST_BACKLOG + 52
    station.listens.set()
    outbox.close(30)
    assert outbox.waiting == 0
    kept = [report for report in station.sent if not isinstance(report, Heartbeat | FrameScanned)]
    assert kept == [*(lost(number) for number in range(50)), SourceEnded()]
    assert len(station.sent) <= LARGEST_BACKLOG + 55


def test_a_station_that_is_gone_does_not_matter() -> None:
    ours, theirs = multiprocessing.Pipe()
    outbox = outbox_to(ours)
    theirs.close()
    for number in range(10):
        outbox.put(lost(number))
    outbox.close(30)
    assert not outbox._thread.is_alive()
