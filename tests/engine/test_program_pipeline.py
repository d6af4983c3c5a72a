from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import av
import pytest
from av.container import OutputContainer
from av.stream import Stream

from recorderd.engine import program_pipeline
from recorderd.engine.copied_stream import add_copied_stream
from recorderd.engine.encoder_kinds import EncodeRequest
from recorderd.engine.encoder_program import EncodedPicture, EncoderProgram
from recorderd.engine.footage_file import FootageFile, ticks
from recorderd.engine.packets import Packet
from recorderd.engine.program_pipeline import ProgramPipeline
from recorderd.errors import DeviceError, StorageError
from tests.engine.pictures import (
    PERIOD,
    SETTINGS,
    START,
    X264_BESIDE,
    at_rate,
    inter_stream,
    jpeg,
    mjpeg_packets,
    mjpeg_stream,
    numbers_in,
)

TIMES = at_rate(60)
WALL_OFFSET_NS = 1_783_166_400_000_000_000
PATIENCE = 3_000_000_000


class Fake:
    """Gives out a second later what it was given, but for those of `damaged` numbers."""

    HOLDS = 30

    def __init__(self, damaged: Sequence[int] = (), off_by: int = 0) -> None:
        self.stream, packets = inter_stream(60, gop=1)
        self.encoded = [packet.data for packet in packets]
        self.damaged = damaged
        self.off_by = off_by
        self.given: list[int] = []
        self.out = 0
        self.closed = False

    def give(self, data: bytes, pts: int) -> None:
        self.given.append(pts)

    def ready(self) -> list[EncodedPicture]:
        return self._until(len(self.given) - self.HOLDS)

    def finish(self) -> list[EncodedPicture]:
        return self._until(len(self.given))

    def close(self) -> None:
        self.closed = True

    def add_stream(self, container: OutputContainer) -> Stream:
        return add_copied_stream(container, self.stream)

    def _until(self, end: int) -> list[EncodedPicture]:
        numbers = range(self.out, max(self.out, end))
        self.out = max(self.out, end)
        return [
            (self.given[number] + self.off_by, self.encoded[number], True)
            for number in numbers
            if number not in self.damaged
        ]


@pytest.fixture
def file(tmp_path: Path) -> Iterator[FootageFile]:
    made = FootageFile(tmp_path / "one.mp4", {}, 1.0)
    yield made
    made.abandon()


def times_in(path: Path) -> list[int]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return [
            round(packet.pts * packet.time_base * 90_000)
            for packet in container.demux(stream)
            if packet.pts is not None
        ]


def write(pipeline: ProgramPipeline, packets: Sequence[Packet]) -> None:
    for packet in packets:
        pipeline.write(packet)


@pytest.mark.parametrize("off_by", [-1, 0, 1])
def test_times_are_the_cameras_whatever_rounding_they_went_through(
    file: FootageFile, off_by: int
) -> None:
    pipeline = ProgramPipeline(
        file, Fake(off_by=off_by), START, WALL_OFFSET_NS, patience_ns=PATIENCE
    )
    write(pipeline, mjpeg_packets(TIMES))
    assert (pipeline.frames, pipeline.resume_ns) == (30, TIMES[30])
    pipeline.finish()
    file.close()
    assert times_in(file.path) == [ticks(moment - START) for moment in TIMES]
    assert (pipeline.frames, pipeline.left_out) == (60, 0)
    assert (pipeline.first_ns, pipeline.written_ns) == (START, TIMES[-1])
    assert pipeline.resume_ns == TIMES[-1] + 1


@pytest.mark.parametrize("damaged", [[0, 1], [20, 21, 40], [58, 59]])
def test_what_does_not_come_back_is_left_out_and_counted(
    file: FootageFile, damaged: list[int]
) -> None:
    pipeline = ProgramPipeline(file, Fake(damaged), START, WALL_OFFSET_NS, patience_ns=PATIENCE)
    write(pipeline, mjpeg_packets(TIMES))
    pipeline.finish()
    file.close()
    whole = [moment for number, moment in enumerate(TIMES) if number not in damaged]
    assert times_in(file.path) == [ticks(moment - whole[0]) for moment in whole]
    assert (pipeline.frames, pipeline.left_out) == (len(whole), len(damaged))
    assert (pipeline.first_ns, pipeline.written_ns) == (whole[0], whole[-1])


def test_pictures_before_its_beginning_are_not_given(file: FootageFile) -> None:
    fake = Fake()
    pipeline = ProgramPipeline(file, fake, TIMES[7], WALL_OFFSET_NS, patience_ns=PATIENCE)
    write(pipeline, mjpeg_packets(TIMES))
    pipeline.finish()
    assert len(fake.given) == 53
    assert pipeline.first_ns == TIMES[7]


def test_two_pictures_at_one_time_are_two(file: FootageFile) -> None:
    pipeline = ProgramPipeline(file, Fake(), START, WALL_OFFSET_NS, patience_ns=PATIENCE)
    write(pipeline, mjpeg_packets([START + number // 2 * PERIOD for number in range(20)]))
    pipeline.finish()
    assert pipeline.frames == 20


def test_a_program_that_gives_nothing_out_is_given_up(
    file: FootageFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program_pipeline, "MOST_IN_PROGRAM", 20)
    pipeline = ProgramPipeline(file, Fake(), START, WALL_OFFSET_NS, patience_ns=PATIENCE)
    with pytest.raises(DeviceError, match="keeps 21 pictures"):
        write(pipeline, mjpeg_packets(TIMES))
    assert pipeline.resume_ns == START


@pytest.mark.parametrize(("frames_before", "seconds"), [(0, 6), (10, 3)])
def test_a_program_that_stands_still_is_given_up_in_time(
    file: FootageFile, frames_before: int, seconds: int
) -> None:
    """The station replaces an engine that has written nothing for ten seconds."""
    now = [START]
    pipeline = ProgramPipeline(
        file, Fake(), START, WALL_OFFSET_NS, patience_ns=PATIENCE, clock=lambda: now[0]
    )
    packets = mjpeg_packets(TIMES)
    write(pipeline, packets[: Fake.HOLDS + frames_before])
    assert pipeline.frames == frames_before
    holds = Fake.HOLDS
    Fake.HOLDS = 1000
    try:
        for packet in packets[40 : 41 + 2 * seconds]:
            pipeline.write(packet)
            now[0] += 500_000_000
        now[0] += 1
        with pytest.raises(DeviceError, match="gives none out"):
            pipeline.write(packets[55])
    finally:
        Fake.HOLDS = holds
    assert pipeline.resume_ns == TIMES[frames_before]


def test_while_nothing_is_given_nothing_need_come_out(file: FootageFile) -> None:
    """A camera that stalls, a finisher that waits for the station."""
    now = [START]
    pipeline = ProgramPipeline(
        file, Fake(), START, WALL_OFFSET_NS, patience_ns=PATIENCE, clock=lambda: now[0]
    )
    for packet in mjpeg_packets(TIMES[:20]):
        pipeline.write(packet)
        now[0] += 60_000_000_000
    pipeline.finish()
    assert pipeline.frames == 20


def test_a_picture_that_was_not_given_is_refused(file: FootageFile) -> None:
    pipeline = ProgramPipeline(file, Fake(off_by=1500), START, WALL_OFFSET_NS, patience_ns=PATIENCE)
    with pytest.raises(DeviceError, match="not given"):
        write(pipeline, mjpeg_packets(TIMES))


def test_what_could_not_be_written_is_recorded_again(
    file: FootageFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = ProgramPipeline(file, Fake(), START, WALL_OFFSET_NS, patience_ns=PATIENCE)
    packets = mjpeg_packets(TIMES)
    write(pipeline, packets[:40])

    def full(_packet: object) -> None:
        raise StorageError("full", "make room")

    monkeypatch.setattr(file, "mux", full)
    with pytest.raises(StorageError):
        pipeline.write(packets[40])
    assert pipeline.resume_ns == TIMES[10]


def test_with_the_real_program(file: FootageFile) -> None:
    request = EncodeRequest.for_stream(mjpeg_stream(), SETTINGS)
    pipeline = ProgramPipeline(
        file, EncoderProgram(X264_BESIDE, request), START, WALL_OFFSET_NS, patience_ns=PATIENCE
    )
    packets = mjpeg_packets(TIMES)
    packets[30] = Packet(31, jpeg(30)[:700], TIMES[30], TIMES[30], keyframe=True)
    try:
        write(pipeline, packets)
        assert pipeline.encoding_ns > 0
        pipeline.finish()
    finally:
        pipeline.close()
    file.close()
    assert numbers_in(file.path) == [number for number in range(60) if number != 30]
    assert pipeline.left_out == 1
