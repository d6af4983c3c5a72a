from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import pairwise

import pytest

from recorderd.core.events import FaultRaised, SourceEnded
from recorderd.core.model import Fault, Nanoseconds
from recorderd.engine.capture import Capture
from recorderd.engine.packet_buffer import PacketBuffer
from recorderd.engine.packets import Packet, SourcePacket, StreamDescription
from recorderd.errors import DeviceError
from recorderd.settings import CameraSettings
from tests.engine.pictures import FakeSource, at_rate, jpeg

SECOND = 1_000_000_000
TIMES = at_rate(60)
GONE = DeviceError("The camera was unplugged", "Plug it in")
SETTINGS = CameraSettings(source="v4l2:auto", silence_seconds=1.5, frozen_seconds=5.0)


def shot(time: Nanoseconds, number: int = 0, decode_ns: Nanoseconds | None = None) -> SourcePacket:
    return SourcePacket(jpeg(number), time, time if decode_ns is None else decode_ns, True)


def shots(times: Iterable[Nanoseconds]) -> list[SourcePacket]:
    return [shot(time, number) for number, time in enumerate(times)]


class Waits:
    """Stands in for the event that ends the capture: nobody really waits."""

    def __init__(self, sessions: int) -> None:
        self._left = sessions
        self.seconds: list[float] = []
        self._set = False

    def is_set(self) -> bool:
        return self._set

    def set(self) -> None:
        self._set = True

    def wait(self, seconds: float) -> bool:
        self.seconds.append(seconds)
        self._left -= 1
        self._set = self._set or self._left <= 0
        return self._set


class Station:
    """Captures from scripted cameras, one after another, and notes what is reported."""

    def __init__(
        self, *sources: FakeSource | Exception, settings: CameraSettings = SETTINGS
    ) -> None:
        self.sources = list(sources)
        self.buffers: list[PacketBuffer] = []
        self.log: list[str | FaultRaised | SourceEnded] = []
        self.now = TIMES[-1] + SECOND
        self.stream_error: Exception | None = None
        self._next = iter(sources)
        self.capture = Capture(
            settings, self._make, self._opened, self.log.append, clock=lambda: self.now
        )
        self.waits = Waits(len(sources))
        self.capture._closing = self.waits  # type: ignore[assignment]

    def _make(self) -> FakeSource:
        source = next(self._next)
        if isinstance(source, Exception):
            raise source
        return source

    def _opened(self, description: StreamDescription) -> PacketBuffer:
        if self.stream_error is not None:
            raise self.stream_error
        buffer = PacketBuffer(1000 * SECOND, 100_000_000)
        end = buffer.end

        def note_and_end() -> None:
            self.log.append("buffer ended")
            end()

        buffer.end = note_and_end  # type: ignore[method-assign]
        self.buffers.append(buffer)
        return buffer

    def run(self) -> None:
        self.capture.start()
        self.capture._thread.join(30)
        assert not self.capture._thread.is_alive()

    def pictures(self, session: int = 0) -> list[Packet]:
        reader = self.buffers[session].reader(0)
        return list(iter(lambda: reader.read(0), None))

    @property
    def faults(self) -> list[str]:
        return [entry.problem for entry in self.log if isinstance(entry, FaultRaised)]


@pytest.fixture(autouse=True)
def crashes(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[BaseException | None]]:
    """What threads died of; a test that expects something empties the list."""
    found: list[BaseException | None] = []
    monkeypatch.setattr(threading, "excepthook", lambda hook: found.append(hook.exc_value))
    yield found
    assert not found


def test_pictures_come_in_order_numbered_and_with_their_times() -> None:
    station = Station(FakeSource(shots(TIMES)))
    station.run()
    pictures = station.pictures()
    assert [picture.captured_ns for picture in pictures] == TIMES
    assert [picture.decode_ns for picture in pictures] == TIMES
    assert [picture.sequence for picture in pictures] == list(range(1, 61))
    assert [picture.data for picture in pictures] == [jpeg(number) for number in range(60)]
    assert station.capture.counters.pictures == 60
    assert station.log == [SourceEnded(), "buffer ended"]
    assert station.sources[0].closed == 1  # type: ignore[union-attr]
    assert station.waits.seconds == []


def test_damaged_pictures_are_left_out_and_counted() -> None:
    script = shots(TIMES[:6])
    script[1] = SourcePacket(b"", TIMES[1], TIMES[1], False)
    script[3] = SourcePacket(jpeg(3)[:-500], TIMES[3], TIMES[3], True)
    station = Station(FakeSource(script))
    station.run()
    pictures = station.pictures()
    assert [picture.captured_ns for picture in pictures] == [TIMES[n] for n in (0, 2, 4, 5)]
    assert [picture.sequence for picture in pictures] == [1, 2, 3, 4]
    assert [picture.missed for picture in pictures] == [0, 1, 1, 0]
    assert [picture.missed_before_ns for picture in pictures] == [0, TIMES[2], TIMES[4], 0]
    assert (station.capture.counters.pictures, station.capture.counters.damaged) == (4, 2)


def test_what_the_source_knows_to_be_missing_is_passed_on() -> None:
    script = [
        replace(shot, missed=number, missed_before_ns=number)
        for number, shot in enumerate(shots(TIMES[:4]))
    ]
    script[2] = replace(script[2], data=b"")
    station = Station(FakeSource(script))
    station.run()
    pictures = station.pictures()
    assert [picture.missed for picture in pictures] == [0, 1, 2 + 1 + 3]
    assert [picture.missed_before_ns for picture in pictures] == [0, 1, TIMES[3]]


@pytest.mark.parametrize("jump", [0, -1, -SECOND, -3600 * SECOND])
def test_times_that_stand_still_or_jump_back_are_mended(jump: int) -> None:
    times = TIMES[:5] + [TIMES[4] + jump + n * 33_333_333 for n in range(3)] + [TIMES[20]]
    station = Station(FakeSource(shots(times)))
    station.run()
    captured = [picture.captured_ns for picture in station.pictures()]
    assert captured[:5] == TIMES[:5]
    assert captured[-1] == TIMES[20]
    assert all(later - earlier > 11_111 for earlier, later in pairwise(captured))
    assert 1 <= station.capture.counters.repaired_times <= 3


def test_a_time_in_the_future_is_brought_back() -> None:
    station = Station(FakeSource(shots([TIMES[0], TIMES[1] + 3600 * SECOND, TIMES[2]])))
    station.now = TIMES[1]
    station.run()
    captured = [picture.captured_ns for picture in station.pictures()]
    assert captured[:2] == [TIMES[0], TIMES[1]]
    assert captured[2] == TIMES[2]
    assert station.capture.counters.repaired_times == 1


def test_with_b_frames_only_the_order_of_decoding_has_to_rise() -> None:
    script = [
        shot(TIMES[2], 0, TIMES[0]),
        shot(TIMES[5], 1, TIMES[1]),
        shot(TIMES[3], 2, TIMES[2]),
        shot(TIMES[4], 3, TIMES[2] - 5),
    ]
    station = Station(FakeSource(script))
    station.run()
    pictures = station.pictures()
    assert [p.captured_ns for p in pictures[:3]] == [TIMES[2], TIMES[5], TIMES[3]]
    assert pictures[3].decode_ns > pictures[2].decode_ns
    # The place in decoding and the moment move together.
    assert pictures[3].captured_ns - pictures[3].decode_ns == TIMES[4] - (TIMES[2] - 5)
    assert station.capture.counters.repaired_times == 1


def test_a_lost_camera_is_reported_before_the_recordings_learn_of_it() -> None:
    station = Station(FakeSource([*shots(TIMES[:3]), GONE]))
    station.run()
    assert station.log == [FaultRaised(Fault.CAMERA, str(GONE)), "buffer ended"]
    assert station.buffers[0].ended
    assert station.sources[0].closed == 1  # type: ignore[union-attr]


def test_a_camera_is_opened_again_with_growing_patience() -> None:
    absent = [FakeSource([], failure=GONE) for _ in range(5)]
    station = Station(*absent)
    station.run()
    assert station.waits.seconds == [0.25, 0.5, 1.0, 2.0, 2.0]
    assert station.faults == [str(GONE)] * 5
    assert [source.closed for source in absent] == [1] * 5


def test_patience_begins_anew_after_pictures_came_and_numbers_go_on() -> None:
    station = Station(
        FakeSource([], failure=GONE),
        FakeSource([], failure=GONE),
        FakeSource([*shots(TIMES[:3]), GONE]),
        FakeSource([GONE]),
        FakeSource([*shots(TIMES[10:12]), GONE]),
    )
    station.run()
    assert station.waits.seconds == [0.25, 0.5, 0.25, 0.5, 0.25]
    assert [len(station.pictures(session)) for session in range(3)] == [3, 0, 2]
    assert [picture.sequence for picture in station.pictures(2)] == [4, 5]


def test_a_source_that_cannot_even_be_made_is_a_fault_like_others() -> None:
    station = Station(GONE, FakeSource(shots(TIMES[:2])))
    station.run()
    assert station.faults == [str(GONE)]
    assert station.log[-2:] == [SourceEnded(), "buffer ended"]


def test_a_stream_that_cannot_be_recorded_is_a_fault() -> None:
    station = Station(FakeSource(shots(TIMES)))
    station.stream_error = DeviceError("No encoder works here", "Run doctor")
    station.run()
    assert station.faults == [str(station.stream_error)]
    assert station.sources[0].closed == 1  # type: ignore[union-attr]
    assert station.capture.silent_for == 0


def test_a_bug_is_not_hushed_up(crashes: list[BaseException | None]) -> None:
    station = Station(FakeSource(shots(TIMES)))
    station.stream_error = ZeroDivisionError()
    station.run()
    assert crashes == [station.stream_error]
    crashes.clear()
    assert station.sources[0].closed == 1  # type: ignore[union-attr]


# --- silence


def test_silence_is_told_from_the_last_whole_picture_on() -> None:
    silences: list[Nanoseconds] = []
    station: Station

    def at(seconds: float, packet: SourcePacket) -> Callable[[], SourcePacket]:
        def read() -> SourcePacket:
            station.now = TIMES[-1] + round(seconds * SECOND)
            silences.append(station.capture.silent_for)
            return packet

        return read

    station = Station(
        FakeSource(
            [
                at(1, shot(TIMES[0], 0)),
                at(3, SourcePacket(b"", TIMES[1], TIMES[1], False)),
                at(4, SourcePacket(jpeg(1)[:-500], TIMES[1], TIMES[1], True)),
                at(5, shot(TIMES[2], 2)),
                at(7, shot(TIMES[3], 3)),
            ]
        )
    )
    station.now = TIMES[-1]
    station.run()
    assert silences == [1 * SECOND, 2 * SECOND, 3 * SECOND, 4 * SECOND, 2 * SECOND]
    assert station.capture.silent_for == 0


def test_giving_up_on_a_silent_camera_ends_its_session() -> None:
    station: Station

    def silent() -> SourcePacket:
        station.capture.give_up_on_camera()
        assert source.interrupted.is_set()
        raise DeviceError("Waiting was given up", "Nothing")

    source = FakeSource([*shots(TIMES[:2]), silent])
    station = Station(source, FakeSource(shots(TIMES[5:7])))
    station.run()
    (fault,) = station.faults
    assert "No picture came for 1.5 seconds" in fault
    assert len(station.pictures(0)) == 2
    assert len(station.pictures(1)) == 2


def test_a_picture_that_comes_when_the_camera_was_given_up_does_not_revive_it() -> None:
    station: Station

    def late() -> SourcePacket:
        station.capture.give_up_on_camera()
        return shot(TIMES[2], 2)

    station = Station(FakeSource([*shots(TIMES[:2]), late, shot(TIMES[3], 3)]))
    station.run()
    assert len(station.faults) == 1
    assert station.capture.counters.pictures == 3


# --- frozen


def frozen(
    count: int, step: Nanoseconds, station: Callable[[], Station]
) -> list[Callable[[], SourcePacket]]:
    def read(number: int) -> SourcePacket:
        station().now = TIMES[0] + number * step
        return shot(TIMES[0] + number * step, 7)

    return [lambda number=number: read(number) for number in range(count)]  # type: ignore[misc]


@pytest.mark.parametrize(
    ("source", "limit", "expected"),
    [("v4l2:auto", 5.0, 5), ("v4l2:auto", 0.0, 20), ("file:bench.mp4", 5.0, 20)],
)
def test_a_frozen_picture_is_a_fault_of_a_living_camera(
    source: str, limit: float, expected: int
) -> None:
    settings = CameraSettings(source=source, frozen_seconds=limit)
    station: Station
    station = Station(FakeSource(frozen(20, SECOND, lambda: station)), settings=settings)
    station.run()
    assert station.capture.counters.pictures == expected
    assert [("same picture" in fault) for fault in station.faults] == [True] * (expected < 20)


# --- closing


def test_closing_wakes_a_waiting_camera_and_reports_nothing() -> None:
    reading = threading.Event()

    def waits() -> SourcePacket:
        reading.set()
        assert source.interrupted.wait(30)
        raise GONE

    source = FakeSource([*shots(TIMES[:2]), waits])
    station = Station(source)
    station.capture.start()
    assert reading.wait(30)
    assert station.capture.close(timeout=30)
    assert station.log == ["buffer ended"]
    assert source.closed == 1


def test_closing_says_when_the_driver_does_not_let_go() -> None:
    reading, release = threading.Event(), threading.Event()

    def hangs() -> None:
        reading.set()
        assert release.wait(30)

    source = FakeSource([hangs])
    station = Station(source)
    station.capture.start()
    assert reading.wait(30)
    assert not station.capture.close(timeout=0.01)
    release.set()
    station.capture._thread.join(30)
    assert station.log == ["buffer ended"]


def test_closing_between_two_sessions_opens_no_camera() -> None:
    station: Station
    source = FakeSource(shots(TIMES))

    def make() -> FakeSource:
        station.capture._closing.set()  # as if `close` came just before there was a source
        return source

    station = Station(source)
    station.capture._make_source = make
    station.run()
    assert station.buffers == []
    assert source.closed == 1


def test_a_driver_that_takes_its_time_to_open_is_noticed() -> None:
    stuck: list[Nanoseconds] = []
    station: Station

    class Slow(FakeSource):
        def open(self) -> StreamDescription:
            station.now += 7 * SECOND
            stuck.append(station.capture.stuck_for)
            return super().open()

    station = Station(Slow(shots(TIMES[:2])))
    station.run()
    assert stuck == [7 * SECOND]
    assert station.capture.stuck_for == 0
