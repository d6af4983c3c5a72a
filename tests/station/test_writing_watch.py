from __future__ import annotations

from recorderd.core.model import RecordingId, nanoseconds
from recorderd.engine.messages import Heartbeat, RecordingProgress
from recorderd.station.writing_watch import WritingWatch

ID = RecordingId("01a208bd-8fc8-7069-84ae-0ec449e6d8f7")
BEAT = nanoseconds(0.2)


def beat(number: int, pictures: int, frames: int, dropped: int = 0) -> tuple[Heartbeat, int]:
    now = number * BEAT
    progress = RecordingProgress(ID, frames, dropped, now)
    return Heartbeat(now, pictures, 0, 0, 0, 0.0, 0, (progress,)), now


def test_a_writer_that_writes_is_left_alone() -> None:
    watch = WritingWatch()
    for number in range(100):
        heartbeat, now = beat(number, pictures=6 * number, frames=6 * number)
        watch.look(heartbeat, now)
        assert watch.problem(now, ID) is None
        assert not watch.hopeless(now)


def test_a_writer_that_stands_still_is_heard_within_two_seconds_and_then_replaced() -> None:
    watch = WritingWatch()
    watch.look(*beat(0, pictures=10, frames=10))
    heard = hopeless = None
    for number in range(1, 80):
        heartbeat, now = beat(number, pictures=10 + number, frames=10)
        watch.look(heartbeat, now)
        heard = heard or (now if watch.problem(now, ID) else None)
        hopeless = hopeless or (now if watch.hopeless(now) else None)
    assert heard is not None
    assert heard <= nanoseconds(2)
    assert hopeless is not None
    assert nanoseconds(10) < hopeless <= nanoseconds(10.5)


def test_a_camera_that_delivers_nothing_is_not_the_writers_fault() -> None:
    watch = WritingWatch()
    for number in range(100):
        heartbeat, now = beat(number, pictures=10, frames=10)
        watch.look(heartbeat, now)
        assert watch.problem(now, ID) is None
        assert not watch.hopeless(now)


def test_closing_and_the_first_picture_may_take_their_time() -> None:
    watch = WritingWatch()
    for number in range(45):
        heartbeat, now = beat(number, pictures=10 + number, frames=0)
        watch.look(heartbeat, now)
        assert watch.problem(now, ID) is None
    for number in range(45, 60):
        heartbeat, now = beat(number, pictures=10 + number, frames=5)
        watch.look(heartbeat, now)
        assert watch.problem(now, None) is None


def test_lost_pictures_are_heard_while_they_are_lost_and_five_seconds_more() -> None:
    watch = WritingWatch()
    for number in range(10):
        watch.look(*beat(number, pictures=number, frames=number, dropped=3))
        assert watch.problem(number * BEAT, ID) is None
    watch.look(*beat(10, pictures=10, frames=10, dropped=4))
    assert "lost" in (watch.problem(10 * BEAT, ID) or "")
    watch.look(*beat(11, pictures=11, frames=11, dropped=4))
    assert watch.problem(11 * BEAT, ID) is not None
    late = 10 * BEAT + nanoseconds(5)
    assert watch.problem(late, ID) is None
