from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from typing import Any

import av
import pytest

from recorderd.core.events import FaultCleared, FaultRaised, FrameScanned
from recorderd.core.model import Code, Fault, Nanoseconds, Symbology
from recorderd.engine.locator import Luma
from recorderd.engine.packets import Packet, StreamDescription
from recorderd.engine.scan_feed import (
    DEATHS_THAT_ARE_A_FAULT,
    FRESH,
    ScanFeed,
)
from recorderd.engine.scanner import ScanResult
from recorderd.engine.session import Session
from recorderd.settings import LabelSettings
from tests.engine.pictures import (
    HEIGHT,
    PERIOD,
    START,
    WIDTH,
    at_rate,
    drawn,
    inter_stream,
    mjpeg_packets,
    mjpeg_stream,
    number_in_luma,
    session_of,
)

SECOND = 1_000_000_000
CODE = Code("ORDER-7", Symbology.QR)
SETTINGS = LabelSettings(scans_per_second=5.0)
NOTHING = ScanResult((), 1.0)
DEATH = ScanResult((), 1.0, "The label scanner died while it read a picture")


class World:
    """A camera, a scanner and a clock that only moves when somebody waits for it.

    Nothing runs beside the test: `run` is the scan feed's own loop.
    """

    def __init__(
        self,
        stream: tuple[StreamDescription, Sequence[Packet]] | None = None,
        answer: Callable[[int], ScanResult] = lambda _number: NOTHING,
        until: Nanoseconds | None = None,
        settings: LabelSettings = SETTINGS,
    ) -> None:
        description, packets = stream or (mjpeg_stream(), at_rest(mjpeg_packets(at_rate(90))))
        self.now = START
        self.session = self.new_session(description)
        self.coming = list(packets)
        self.answer = answer
        self.until = self.coming[-1].captured_ns if until is None else until
        self.on_picture: Callable[[Packet], None] = lambda _packet: None
        self.scan_ns = 8_000_000
        self.scanned: list[tuple[Nanoseconds, int]] = []
        self.log: list[Any] = []
        self.feed = ScanFeed(self, settings, self.log.append, clock=lambda: self.now)  # type: ignore[arg-type]
        self.feed._changed = SimulatedCondition(self)  # type: ignore[assignment]

    def new_session(self, description: StreamDescription) -> Session:
        session = session_of(description, keep_ns=60 * SECOND)
        session.buffer._changed = SimulatedCondition(self)  # type: ignore[assignment]
        return session

    def run(self) -> None:
        self.feed.watch(self.session)
        self.advance(0)
        self.feed._run()

    def advance(self, length: Nanoseconds) -> None:
        self.now += length
        while self.coming and self.coming[0].captured_ns <= self.now:
            packet = self.coming.pop(0)
            self.session.buffer.append(packet)
            self.on_picture(packet)
        if self.now >= self.until:
            self.feed._closing = True

    def scan(self, luma: Luma) -> ScanResult:
        number = number_in_luma(luma)
        self.scanned.append((self.now, number))
        self.advance(self.scan_ns)
        return self.answer(number)

    @property
    def gaps(self) -> list[float]:
        return [(later - earlier) / SECOND for (earlier, _), (later, _) in pairwise(self.scanned)]


class SimulatedCondition:
    """Waiting moves the world on, a millisecond at a time."""

    def __init__(self, world: World) -> None:
        self._world = world

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...

    def notify_all(self) -> None: ...

    def wait_for(self, predicate: Callable[[], bool], timeout: float | None = None) -> bool:
        left = round((3600 if timeout is None else timeout) * SECOND)
        while not predicate() and left > 0:
            self._world.advance(min(1_000_000, left))
            left -= 1_000_000
        return predicate()


def at_rest(packets: Sequence[Packet]) -> list[Packet]:
    """Pictures in which nothing seems to move: of one size, padded as some cameras do."""
    longest = max(len(packet.data) for packet in packets)
    return [replace(packet, data=packet.data.ljust(longest, b"\0")) for packet in packets]


def seen(number: int) -> ScanResult:
    return ScanResult((CODE,), 2.0)


def test_an_empty_bench_is_scanned_at_the_rate_that_was_set() -> None:
    world = World()
    world.run()
    assert world.gaps == pytest.approx([0.2] * len(world.gaps), abs=0.002)
    assert len(world.scanned) == 15
    assert world.feed.scans == 15
    assert world.feed.seconds == pytest.approx(0.015)


def test_the_time_from_capture_to_answer_is_counted() -> None:
    """Pictures that killed the scanner got no answer, however long that took."""
    world = World(answer=lambda number: DEATH if number < 30 else NOTHING)
    world.run()
    waits = [
        (moment + world.scan_ns - at_rate(90)[number]) / SECOND
        for moment, number in world.scanned
        if number >= 30
    ]
    latency = world.feed.latency
    assert (latency.count, latency.count + world.feed.deaths) == (len(waits), world.feed.scans)
    assert latency.seconds == pytest.approx(sum(waits))
    assert latency.within == tuple(sum(wait <= bound for wait in waits) for bound in latency.bounds)
    assert 0 < latency.within[0] <= latency.within[-1] == latency.count


def test_always_the_newest_picture_is_scanned() -> None:
    world = World()
    world.run()
    for moment, number in world.scanned:
        assert moment - at_rate(90)[number] <= PERIOD + 1_000_000
    assert [entry.captured_ns for entry in world.log] == [
        at_rate(90)[number] for _, number in world.scanned
    ]
    assert [entry.sequence for entry in world.log] == [number + 1 for _, number in world.scanned]


def test_a_code_in_view_is_looked_at_more_often_until_it_is_gone_for_a_second() -> None:
    world = World(answer=lambda number: seen(number) if 20 <= number < 30 else NOTHING)
    world.run()
    first = next(moment for moment, number in world.scanned if number >= 20)
    last = next(moment for moment, number in reversed(world.scanned) if number < 30)
    for (moment, _), gap in zip(world.scanned, world.gaps, strict=False):
        busy = first <= moment < last + SECOND
        assert gap == pytest.approx(1 / 15 if busy else 0.2, abs=0.04 if busy else 0.002)
    assert any(entry.codes == (CODE,) for entry in world.log)


def test_a_text_that_was_not_there_before_is_looked_at_again_in_the_next_picture() -> None:
    world = World(answer=lambda number: seen(number) if number >= 20 else NOTHING)
    world.run()
    first = next(place for place, (_, number) in enumerate(world.scanned) if number >= 20)
    numbers = [number for _, number in world.scanned]
    assert numbers[first + 1] == numbers[first] + 1
    assert numbers[first + 2] == numbers[first + 1] + 2


def larger(packets: Sequence[Packet], numbers: range) -> list[Packet]:
    """Something more is in view in these."""
    return [
        replace(packet, data=packet.data + bytes(len(packet.data) // 50))
        if number in numbers
        else packet
        for number, packet in enumerate(packets)
    ]


def test_a_picture_in_which_something_has_come_is_scanned_at_once() -> None:
    packets = larger(at_rest(mjpeg_packets(at_rate(90))), range(33, 60))
    world = World((mjpeg_stream(), packets))
    world.run()
    numbers = [number for _, number in world.scanned]
    assert 33 in numbers
    assert 60 in numbers
    assert len(numbers) <= 19


def test_what_moves_all_the_time_takes_half_of_a_core_at_most() -> None:
    packets = mjpeg_packets(at_rate(90))
    restless = [
        replace(packet, data=packet.data + bytes(packet.sequence % 2 * len(packet.data)))
        for packet in at_rest(packets)
    ]
    world = World((mjpeg_stream(), restless))
    world.scan_ns = 50_000_000
    world.run()
    assert min(world.gaps) >= 0.099


def test_a_slow_scanner_never_falls_behind() -> None:
    world = World()
    world.scan_ns = 500_000_000
    world.run()
    assert world.gaps == pytest.approx([0.5] * len(world.gaps), abs=0.002)
    for moment, number in world.scanned:
        assert moment - at_rate(90)[number] <= PERIOD + 1_000_000


def test_the_picture_with_the_code_is_kept_for_the_still() -> None:
    world = World(answer=lambda number: seen(number) if number == 0 else NOTHING)
    world.run()
    kept = world.session.stills.take(1)
    assert isinstance(kept, Packet)
    assert kept.sequence == 1
    assert world.session.stills.take(2) is None


# --- pictures that a recording decodes anyway


def offering(world: World, late_ns: Nanoseconds = 0) -> None:
    """A recording decodes every picture, so long after it was taken."""
    waiting: list[Packet] = []

    def on_picture(packet: Packet) -> None:
        waiting.append(packet)
        while waiting and world.now - waiting[0].captured_ns >= late_ns:
            taken = waiting.pop(0)
            # Shifted by 1000, to be told from what the feed decodes by itself.
            world.feed.offer(taken, drawn(1000 + taken.sequence - 1))

    world.on_picture = on_picture


def test_pictures_decoded_for_a_recording_are_used() -> None:
    times = at_rate(80, Fraction(27))
    world = World((mjpeg_stream(), at_rest(mjpeg_packets(times))))
    world.scan_ns = 40_000_000
    offering(world)
    world.run()
    assert [number >= 1000 for _, number in world.scanned].count(False) <= 1
    assert world.gaps[1:] == pytest.approx([0.2] * len(world.gaps[1:]), abs=0.04)
    for moment, number in world.scanned[1:]:
        assert moment - times[number - 1000] <= 2_000_000
    assert [entry.sequence for entry in world.log[1:]] == [
        number - 999 for _, number in world.scanned[1:]
    ]


def test_a_recording_that_shows_the_past_is_not_listened_to() -> None:
    world = World(settings=LabelSettings(scans_per_second=2.0))
    offering(world, late_ns=FRESH + PERIOD)
    world.run()
    assert len(world.scanned) > 4
    assert all(number < 1000 for _, number in world.scanned)
    assert world.gaps == pytest.approx([0.5] * len(world.gaps), abs=0.002)


def test_when_the_recording_ends_the_feed_decodes_again() -> None:
    world = World()
    offering(world)
    recording = world.on_picture
    world.on_picture = lambda packet: recording(packet) if packet.sequence < 45 else None
    world.run()
    own = [number for _, number in world.scanned if number < 1000]
    assert own[-5:] == sorted(own[-5:])
    assert min(own[-5:]) > 45
    assert max(world.gaps) < 0.35


# --- cameras with inter pictures


def test_an_inter_camera_is_decoded_throughout_and_the_newest_is_scanned() -> None:
    world = World(inter_stream(90))
    world.run()
    assert len(world.scanned) >= 13
    for moment, number in world.scanned[1:]:
        # One picture stays in the decoder's second thread.
        assert moment - at_rate(90)[number] <= 2 * PERIOD + 2_000_000
    assert [entry.sequence for entry in world.log] == [number + 1 for _, number in world.scanned]


def test_the_picture_of_an_inter_camera_is_kept_decoded() -> None:
    world = World(inter_stream(40), answer=seen)
    world.run()
    kept = world.session.stills.take(world.log[-1].sequence)
    assert isinstance(kept, av.VideoFrame)


def test_an_inter_camera_gives_its_memory_back() -> None:
    world = World(inter_stream(90))
    world.session.buffer._keep_ns = 0
    world.run()
    assert world.session.buffer.get(60) is None
    assert world.session.buffer.get(89) is not None
    assert not world.session.buffer._readers


def test_damaged_inter_pictures_do_not_end_it() -> None:
    description, packets = inter_stream(90)
    broken = [
        replace(packet, data=b"\0\0\0\1\x41broken") if 20 <= number < 25 else packet
        for number, packet in enumerate(packets)
    ]
    world = World((description, broken))
    world.run()
    assert world.scanned[-1][1] > 80


# --- trouble


def test_damaged_jpegs_are_passed_over() -> None:
    packets = [
        replace(packet, data=packet.data[:900]) if packet.sequence % 2 else packet
        for packet in mjpeg_packets(at_rate(90))
    ]
    world = World((mjpeg_stream(), packets))
    world.run()
    assert len(world.scanned) >= 10
    assert all(number % 2 for _, number in world.scanned)


def test_a_scanner_that_dies_again_and_again_is_a_fault_and_then_cleared() -> None:
    deaths = DEATHS_THAT_ARE_A_FAULT + 2
    answers = iter([NOTHING, DEATH, DEATH, NOTHING, *[DEATH] * deaths])
    world = World(answer=lambda _number: next(answers, NOTHING))
    world.run()
    kinds = [type(entry) for entry in world.log]
    assert kinds.count(FaultRaised) == 1
    assert kinds.count(FaultCleared) == 1
    assert kinds[:4] == [FrameScanned, FrameScanned, FaultRaised, FaultCleared]
    assert world.log[2] == FaultRaised(Fault.SCANNER, DEATH.problem or "")
    assert world.feed.deaths == deaths + 2


def test_pictures_that_cannot_be_decoded_at_all_are_a_fault_until_another_camera_comes() -> None:
    strange = StreamDescription("no-such-codec", WIDTH, HEIGHT, Fraction(30), "gray", False)
    world = World((strange, mjpeg_packets(at_rate(60))))
    good = world.new_session(mjpeg_stream())

    def another_camera(packet: Packet) -> None:
        if packet.sequence == 30:
            world.session = good
            world.feed.watch(good)

    world.on_picture = another_camera
    world.run()
    kinds = [type(entry) for entry in world.log]
    assert kinds[:2] == [FaultRaised, FaultCleared]
    assert FrameScanned in kinds


def test_after_the_camera_is_lost_the_feed_rests_until_the_next_one() -> None:
    world = World(until=at_rate(90)[60])
    looked = 0
    newest_after = world.session.buffer.newest_after

    def counted(sequence: int, timeout: float) -> Packet | None:
        nonlocal looked
        looked += 1
        return newest_after(sequence, timeout)

    world.session.buffer.newest_after = counted  # type: ignore[method-assign]
    world.on_picture = lambda packet: world.session.buffer.end() if packet.sequence == 10 else None
    world.coming = world.coming[:10]
    world.run()
    assert looked < 25


def test_real_threads_begin_and_end() -> None:
    class StillScanner:
        def scan(self, luma: Luma) -> ScanResult:
            scanned.set()
            return NOTHING

    scanned = threading.Event()
    feed = ScanFeed(StillScanner(), SETTINGS, lambda _event: None)  # type: ignore[arg-type]
    feed.start()
    session: Session = session_of(mjpeg_stream())
    feed.watch(session)
    session.buffer.append(mjpeg_packets([START])[0])
    assert scanned.wait(30)
    feed.close(30)
    assert not feed._thread.is_alive()
