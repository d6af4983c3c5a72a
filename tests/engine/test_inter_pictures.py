from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

import av
import pytest
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType

from recorderd.core.model import Nanoseconds
from recorderd.engine.inter_pictures import (
    LIVELY_FOR,
    MOST_TO_CATCH_UP,
    TOO_SLOW_FOR,
    InterPictures,
)
from recorderd.engine.packets import Packet, StreamDescription
from recorderd.engine.session import Session
from tests.engine.pictures import (
    HEIGHT,
    PERIOD,
    START,
    WIDTH,
    drawn,
    inter_stream,
    number_in,
    session_of,
)

GOP = 30
STILL, MOVING = 300, 60
"""Pictures: ten seconds in which nothing moves, then two in which something does."""


def stream_of(numbers: Sequence[int], gop: int = GOP) -> tuple[StreamDescription, list[Packet]]:
    """A camera that compresses by itself and sees these pictures, at 30 a second."""
    encoder = VideoCodecContext.create("libx264", "w")
    assert isinstance(encoder, VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, 30), Fraction(30)
    encoder.options = {
        "preset": "ultrafast",
        "tune": "zerolatency",
        "x264-params": f"keyint={gop}:min-keyint={gop}:scenecut=0",
    }
    compressed: list[Any] = []
    for place, number in enumerate(numbers):
        frame = drawn(number).reformat(format="yuv420p", dst_color_range="MPEG")
        frame.pict_type = PictureType.NONE
        frame.pts, frame.time_base = place, Fraction(1, 30)
        compressed += encoder.encode(frame)
    compressed += encoder.encode(None)
    packets = [
        Packet(place + 1, bytes(packet), moment, moment, packet.is_keyframe)
        for place, packet in enumerate(compressed)
        for moment in [START + place * PERIOD]
    ]
    description = StreamDescription("h264", WIDTH, HEIGHT, Fraction(30), "yuv420p", False)
    return description, packets


class Bench:
    """Somebody who looks at each picture as it comes, and counts what is decoded for that."""

    def __init__(self, description: StreamDescription, packets: Sequence[Packet]) -> None:
        self.session: Session = session_of(description, keep_ns=10**12)
        self.coming = list(packets)
        self.pictures = InterPictures(self.session, lambda: START)
        self.decoded = 0
        decode = self.pictures._decoded

        def counted(packet: Packet) -> tuple[Packet, av.VideoFrame] | None:
            self.decoded += 1
            return decode(packet)

        self.pictures._decoded = counted  # type: ignore[method-assign]

    def film(self, count: int) -> None:
        for _ in range(count):
            self.session.buffer.append(self.coming.pop(0))

    def look(self, count: int) -> list[tuple[int, int]]:
        """(place of the picture in the stream, number seen in it) of each look that saw one."""
        return [seen for _ in range(count) for seen in self.look_once(1)]

    def look_once(self, count: int) -> Iterator[tuple[int, int]]:
        self.film(count)
        found = self.pictures.next()
        if found is not None:
            packet, frame = found
            yield packet.sequence - 1, number_in(frame)

    @property
    def now(self) -> Nanoseconds:
        return START + (len(self.session.buffer._packets) - 1) * PERIOD


@pytest.fixture
def quiet() -> Bench:
    """After ten seconds in which nothing has moved."""
    numbers = [5] * STILL + list(range(100, 100 + MOVING)) + [5] * STILL
    bench = Bench(*stream_of(numbers))
    bench.look(STILL)
    return bench


def test_while_nothing_moves_only_keyframes_are_looked_at() -> None:
    bench = Bench(*stream_of([5] * 600))
    bench.look(300)
    bench.decoded = 0
    seen = bench.look(300)
    assert bench.decoded == 0
    assert seen == [(place, 5) for place in range(300, 600, GOP)]


@pytest.mark.parametrize("later", range(0, GOP, 7))
def test_what_moves_is_seen_in_its_second_picture_at_the_latest(later: int) -> None:
    """One picture stays in the decoder's second thread. Wherever in its group it begins."""
    begins = STILL + later
    bench = Bench(*stream_of([5] * begins + [100, *range(101, 161)]))
    bench.look(begins)
    seen = bench.look(60)
    moved = [(place, number) for place, number in seen if number >= 100]
    assert moved[0][0] <= begins + 2
    assert [number - 100 for _, number in moved] == [place - begins for place, _ in moved]
    assert len(moved) >= 55


def test_it_stays_lively_for_a_while_and_rests_again(quiet: Bench) -> None:
    quiet.look(MOVING)
    quiet.decoded = 0
    quiet.look(STILL)
    lively = round(LIVELY_FOR / PERIOD)
    assert lively - 5 <= quiet.decoded <= lively + GOP + 5


def test_after_a_rest_the_right_picture_is_seen(quiet: Bench) -> None:
    """What came meanwhile is decoded, too: else the picture would be made of others."""
    for place, number in quiet.look(MOVING):
        assert number == (5 if place < STILL else 100 + place - STILL)


def test_a_camera_with_long_groups_is_decoded_throughout() -> None:
    gop = 2 * MOST_TO_CATCH_UP
    bench = Bench(*stream_of([5] * 600, gop))
    bench.look(300)
    bench.decoded = 0
    assert len(bench.look(300)) == 300
    assert bench.decoded == 300


def test_a_camera_whose_sizes_tell_nothing_is_decoded_throughout() -> None:
    """One that holds a bit rate pads its pictures."""
    description, packets = stream_of([5] * STILL + [number // 20 for number in range(900)])
    longest = max(len(packet.data) for packet in packets)
    padded = [
        Packet(p.sequence, p.data.ljust(longest, b"\0"), p.captured_ns, p.decode_ns, p.keyframe)
        for p in packets
    ]
    bench = Bench(description, padded)
    bench.look(STILL + 750)
    bench.decoded = 0
    assert len(bench.look(100)) == 100
    assert bench.decoded == 100


def test_a_computer_that_is_too_slow_looks_at_keyframes() -> None:
    """All pictures of two seconds come while it decodes one second's."""
    numbers = [number % 1000 for number in range(1200)]
    bench = Bench(*stream_of(numbers))
    for _ in range(6):
        list(bench.look_once(2 * GOP))
    bench.decoded = 0
    seen = [each for _ in range(8) for each in bench.look_once(2 * GOP)]
    assert bench.decoded == 0
    assert [place % GOP for place, _ in seen] == [0] * len(seen)
    assert [number for _, number in seen] == [place for place, _ in seen]
    assert len(seen) == 8
    assert TOO_SLOW_FOR > 14 * GOP * PERIOD


def test_while_one_is_decoded_another_comes_and_a_picture_is_given_all_the_same() -> None:
    """A computer that is just fast enough for the camera, or just not."""
    bench = Bench(*stream_of([number % 1000 for number in range(900)]))
    decode = bench.pictures._decoded

    def slowly(packet: Packet) -> tuple[Packet, av.VideoFrame] | None:
        bench.film(1)
        return decode(packet)

    bench.pictures._decoded = slowly  # type: ignore[method-assign]
    bench.film(3)
    looks = 0
    while len(bench.coming) > 10:
        before = len(bench.coming)
        assert bench.pictures.next() is not None
        looks += 1
        assert before - len(bench.coming) <= 4
    assert looks > 200


def test_a_group_that_becomes_long_while_nothing_moves_does_not_blind_it() -> None:
    numbers = [5] * STILL + [5] * 150 + list(range(100, 160)) + [5] * 60
    description, short = stream_of(numbers[:STILL])
    packets = short + [
        Packet(p.sequence, p.data, p.captured_ns, p.decode_ns, p.keyframe and p.sequence == 1)
        for p in stream_of([5, *numbers[STILL:]], gop=1000)[1]
    ]
    packets = [
        Packet(place + 1, p.data, START + place * PERIOD, START + place * PERIOD, p.keyframe)
        for place, p in enumerate(packets)
    ]
    bench = Bench(description, packets)
    bench.look(STILL + 151)
    seen = [number for _, number in bench.look(60) if number >= 100]
    assert len(seen) >= 55


def test_a_single_delay_is_made_up_for_at_the_next_keyframe() -> None:
    bench = Bench(*stream_of(list(range(400))))
    bench.look(40)
    list(bench.look_once(75))
    seen = bench.look(60)
    assert len(seen) >= 55
    assert all(place == number for place, number in seen)


def test_damaged_keyframes_are_passed_over_while_nothing_moves() -> None:
    description, packets = stream_of([5] * 600)
    broken = [
        Packet(p.sequence, p.data[:40], p.captured_ns, p.decode_ns, True)
        if p.keyframe and 300 <= p.sequence < 420
        else p
        for p in packets
    ]
    bench = Bench(description, broken)
    seen = bench.look(600)
    assert seen[-1] == (570, 5)


def test_remembered_packets_do_not_pile_up() -> None:
    description, packets = inter_stream(90)
    session = session_of(description, keep_ns=10**12)
    pictures = InterPictures(session, lambda: START)
    for packet in packets[:25]:
        session.buffer.append(packet)
    assert pictures.next() is not None
    for packet in packets[25:]:
        session.buffer.append(packet)
        pictures.next()
    assert len(pictures._packets) <= 33
    pictures.close()
    assert not session.buffer._readers
