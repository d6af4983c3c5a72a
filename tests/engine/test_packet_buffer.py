from __future__ import annotations

import threading
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from recorderd.engine.packet_buffer import PacketBuffer, PacketReader
from recorderd.engine.packets import Packet

MS = 1_000_000
PLENTY = 1_000_000


def picture(sequence: int, ms: int, keyframe: bool = True, size: int = 10) -> Packet:
    return Packet(sequence, bytes(size), ms * MS, ms * MS, keyframe)


def filled(count: int, *, keep_ms: int = 1000, gop: int = 1, largest: int = PLENTY) -> PacketBuffer:
    """Pictures 0, 1, 2 ... every 100 ms."""
    buffer = PacketBuffer(keep_ms * MS, largest)
    for sequence in range(count):
        buffer.append(picture(sequence, sequence * 100, sequence % gop == 0))
    return buffer


def is_finished(reader: PacketReader) -> bool:
    return reader.finished


def rest(reader: PacketReader) -> list[int]:
    numbers = []
    while (packet := reader.read(0)) is not None:
        numbers.append(packet.sequence)
    return numbers


def test_the_pre_roll_is_as_long_as_asked_for() -> None:
    buffer = filled(50, keep_ms=1000)
    assert rest(buffer.reader(0)) == list(range(39, 50))
    assert buffer.bytes == 11 * 10


def test_the_pre_roll_of_an_inter_codec_begins_with_a_keyframe_before_it() -> None:
    assert rest(filled(50, keep_ms=1000, gop=7).reader(0)) == list(range(35, 50))
    assert rest(filled(57, keep_ms=1000, gop=7).reader(0)) == list(range(42, 57))


def test_a_reader_begins_at_the_keyframe_at_or_before_its_moment() -> None:
    buffer = filled(40, keep_ms=10_000, gop=10)
    assert rest(buffer.reader(2000 * MS))[0] == 20
    assert rest(buffer.reader(2000 * MS - 1))[0] == 10
    assert rest(buffer.reader(99_000 * MS))[0] == 30
    assert rest(buffer.reader(-5))[0] == 0


def test_a_reader_from_the_first_missing_picture_gets_exactly_that_one() -> None:
    buffer = filled(30)
    first, second = buffer.reader(2000 * MS), buffer.reader(2600 * MS)
    assert [packet.sequence for _ in range(6) if (packet := first.read(0))] == list(range(20, 26))
    assert rest(second) == list(range(26, 30))


def test_what_a_reader_has_not_let_go_of_is_kept_even_when_it_was_read() -> None:
    buffer = filled(30, keep_ms=0)
    reader = buffer.reader(0)
    for sequence in range(30, 50):
        buffer.append(picture(sequence, sequence * 100))
    assert rest(reader) == list(range(29, 50))
    other = buffer.reader(3000 * MS)
    assert rest(other)[0] == 30
    other.close()
    reader.let_go(4000 * MS)
    buffer.append(picture(50, 5000))
    assert buffer.get(39) is None
    assert buffer.get(40) is not None
    reader.close()
    buffer.append(picture(51, 5100))
    assert rest(buffer.reader(0)) == [51]


def test_what_waits_for_a_reader_is_what_it_can_still_read() -> None:
    buffer = PacketBuffer(1000 * MS, 100)
    early = buffer.reader(0)
    assert (early.waiting, buffer.pictures) == (0, 0)
    for sequence in range(5):
        buffer.append(picture(sequence, sequence * 100))
    assert (early.waiting, buffer.pictures) == (5, 5)
    early.read(0)
    assert early.waiting == 4
    for sequence in range(5, 30):
        buffer.append(picture(sequence, sequence * 100))
    assert early.waiting == buffer.pictures == len(rest(early)) == 10
    assert early.waiting == 0


def test_a_reader_keeps_the_keyframe_that_its_oldest_picture_needs() -> None:
    buffer = filled(25, keep_ms=0, gop=10)
    buffer.reader(0).let_go(2400 * MS)
    for sequence in range(25, 40):
        buffer.append(picture(sequence, sequence * 100, sequence % 10 == 0))
    assert rest(buffer.reader(2400 * MS))[0] == 20


def test_the_memory_limit_holds_and_readers_hear_what_they_lost() -> None:
    buffer = PacketBuffer(1000 * MS, 100)
    buffer.append(picture(1, 0))
    reader = buffer.reader(0)
    for sequence in range(2, 31):
        buffer.append(picture(sequence, sequence * 100))
        assert buffer.bytes <= 100
    assert rest(reader) == list(range(21, 31))
    assert reader.lost == 20


def test_one_picture_larger_than_the_limit_still_passes() -> None:
    buffer = PacketBuffer(1000 * MS, 5)
    reader = buffer.reader(0)
    buffer.append(picture(7, 0, size=50))
    assert rest(reader) == [7]


def test_a_reader_of_an_empty_buffer_begins_with_the_first_picture_and_lost_none() -> None:
    buffer = PacketBuffer(1000 * MS, PLENTY)
    reader = buffer.reader(123)
    assert reader.read(0) is None
    buffer.append(picture(5000, 0))
    assert rest(reader) == [5000]
    assert reader.lost == 0


def test_a_reader_of_a_buffer_without_a_keyframe_begins_with_what_comes() -> None:
    buffer = PacketBuffer(1000 * MS, PLENTY)
    buffer.append(picture(1, 0, keyframe=False))
    reader = buffer.reader(0)
    buffer.append(picture(2, 100))
    assert rest(reader) == [2]


def test_it_is_known_how_much_memory_waits_and_how_much_is_free() -> None:
    buffer = filled(0, largest=200)
    early = buffer.reader(0)
    assert (early.waiting_bytes, buffer.free_bytes) == (0, 200)
    for number in range(10):
        buffer.append(picture(number, number * 100))
    assert (early.waiting_bytes, buffer.free_bytes) == (100, 100)
    early.read(0)
    assert (early.waiting_bytes, buffer.free_bytes) == (90, 100)
    for number in range(10, 40):
        buffer.append(picture(number, number * 100))
    assert (early.waiting_bytes, buffer.free_bytes) == (200, 0)


def test_the_end_wakes_a_waiting_reader_and_what_is_there_can_still_be_read() -> None:
    buffer = filled(3)
    reader = buffer.reader(0)
    assert rest(reader) == [0, 1, 2]
    assert not is_finished(reader)
    got: list[Packet | None] = []
    waiting = threading.Thread(target=lambda: got.append(reader.read(30)))
    waiting.start()
    late = buffer.reader(200 * MS)
    buffer.end()
    waiting.join(10)
    assert got == [None]
    assert is_finished(reader)
    assert not is_finished(late)
    assert rest(late) == [2]
    assert is_finished(late)


def test_a_reader_that_lost_pictures_is_not_finished_while_others_remain() -> None:
    buffer = PacketBuffer(0, 20)
    buffer.append(picture(1, 0))
    reader = buffer.reader(0)
    for sequence in range(2, 9):
        buffer.append(picture(sequence, sequence * 100))
    buffer.end()
    assert not is_finished(reader)
    assert rest(reader) == [7, 8]
    assert is_finished(reader)


def test_pictures_are_found_by_number_while_they_are_here() -> None:
    buffer = filled(50, keep_ms=1000)
    found = buffer.get(45)
    assert found is not None
    assert found.sequence == 45
    assert buffer.get(38) is None
    assert buffer.get(50) is None
    assert PacketBuffer(0, 0).get(1) is None


def test_the_newest_picture_is_given_once() -> None:
    buffer = filled(5)
    newest = buffer.newest_after(2, 0)
    assert newest is not None
    assert newest.sequence == 4
    assert buffer.newest_after(4, 0) is None
    buffer.end()
    assert buffer.newest_after(4, 30) is None


steps = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.booleans(), st.integers(1, 200)),
        st.tuples(st.just("reader"), st.integers(0, 2000)),
        st.tuples(st.just("read"), st.integers(0, 3)),
        st.tuples(st.just("let go"), st.integers(0, 3)),
        st.tuples(st.just("close"), st.integers(0, 3)),
    ),
    max_size=80,
)


@settings(deadline=None)
@given(steps, st.sampled_from([100, 100_000]))
def test_readers_see_what_a_list_of_everything_says(
    steps: list[tuple[Any, ...]], largest: int
) -> None:
    """Against a list that forgets nothing: order, completeness, the count of losses."""
    buffer = PacketBuffer(300 * MS, largest)
    everything: list[Packet] = []
    readers: list[PacketReader] = []
    expected: dict[PacketReader, int] = {}
    for step in steps:
        if step[0] == "append":
            now = everything[-1].captured_ns // MS + step[2] if everything else 0
            everything.append(picture(len(everything), now, step[1] or not everything))
            buffer.append(everything[-1])
        elif step[0] == "reader" and len(readers) < 4:
            reader = buffer.reader(step[1] * MS)
            keys = [
                packet
                for packet in everything
                if packet.keyframe and buffer.get(packet.sequence) is not None
            ]
            reached = [packet for packet in keys if packet.captured_ns <= step[1] * MS] or keys[:1]
            readers.append(reader)
            expected[reader] = reached[-1].sequence if reached else len(everything)
        elif step[0] in ("read", "let go", "close") and step[1] < len(readers):
            reader = readers[step[1]]
            if step[0] == "close":
                reader.close()
                del readers[step[1]]
                continue
            lost_before = reader.lost
            packet = reader.read(0)
            if packet is None:
                assert expected[reader] == len(everything)
                continue
            if largest == 100_000:
                assert packet.sequence == expected[reader]
            assert packet is everything[packet.sequence]
            assert packet.sequence - expected[reader] == reader.lost - lost_before
            expected[reader] = packet.sequence + 1
            if step[0] == "let go":
                reader.let_go(packet.captured_ns)
    if everything and largest == 100_000:
        horizon = everything[-1].captured_ns - 300 * MS
        oldest = rest(buffer.reader(0))[:1]
        if everything[0].captured_ns <= horizon and oldest:
            assert everything[oldest[0]].captured_ns <= horizon
