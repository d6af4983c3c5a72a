from __future__ import annotations

import contextlib
import errno
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import av
import pytest
from av.container import OutputContainer

from recorderd.core.events import RecordingInterrupted
from recorderd.core.model import Mode, Nanoseconds, RecordingId, StopReason
from recorderd.engine import encoding, verify
from recorderd.engine.encoder_kinds import EncodeRequest, EncoderKind
from recorderd.engine.encoder_program import EncodedPicture, EncoderProgram
from recorderd.engine.encoders import VideoEncoder, VideoPacket
from recorderd.engine.encoding import make_video_encoder
from recorderd.engine.footage_file import FootageFile
from recorderd.engine.messages import Captured, NothingLeft, Report, SalvagePostponed, Start
from recorderd.engine.mode import Choice
from recorderd.engine.packets import Packet, StreamDescription
from recorderd.engine.pipelines import CopyPipeline, FrameEncoder, MakeEncoder
from recorderd.engine.recording import Recording, write_new_file
from recorderd.engine.session import Session
from recorderd.errors import DeviceError, StorageError
from tests.engine.pictures import (
    PERIOD,
    SETTINGS,
    START,
    X264_BESIDE,
    at_rate,
    files_in,
    inter_stream,
    jpeg,
    mjpeg_packets,
    mjpeg_stream,
    numbers_in,
    packets_of,
    session_of,
)

TIMES = at_rate(60)
AFTER = TIMES[-1] + 1
FOREVER = TIMES[-1] + 10_000_000_000


benches: list[Bench] = []

WALL_OFFSET_NS = 1_783_166_400_000_000_000


class Bench:
    """A camera session, and recordings made from it one picture at a time."""

    def __init__(
        self,
        folder: Path,
        mode: Mode = Mode.COPY,
        stream: tuple[StreamDescription, Sequence[Packet]] | None = None,
        make_encoder: MakeEncoder = make_video_encoder,
        keep_ns: Nanoseconds = 3_000_000_000,
        largest_bytes: int = 100_000_000,
    ) -> None:
        self.folder = folder
        description, packets = stream or (mjpeg_stream(), mjpeg_packets(TIMES))
        self.session = session_of(description, mode, keep_ns=keep_ns, largest_bytes=largest_bytes)
        self.packets = list(packets)
        self.reports: list[Report] = []
        self.verdicts: list[tuple[str, str] | tuple[str, float]] = []
        self.make_encoder = make_encoder
        self.now = FOREVER
        self.when_all_is_filmed: Callable[[], None] = lambda: None
        self.recordings: list[Recording] = []
        benches.append(self)

    def failed(self, encoder: str, reason: str) -> None:
        self.verdicts.append((encoder, reason))

    def fell_behind(self, encoder: str, pictures_per_second: float) -> None:
        self.verdicts.append((encoder, pictures_per_second))

    def kept_up(self, encoder: str) -> None:
        self.verdicts.append((encoder, "kept up"))

    def film(self, count: int | None = None) -> None:
        """The camera takes the next pictures."""
        taken, self.packets = self.packets[:count], self.packets[count or len(self.packets) :]
        for packet in taken:
            self.session.buffer.append(packet)
        if not self.packets:
            self.when_all_is_filmed()

    def record(self, name: str, from_ns: Nanoseconds, label: int | None = None) -> Recording:
        recording = Recording(
            Start(
                RecordingId(name),
                files_in(self.folder, name),
                {"order_id": "7"},
                from_ns,
                label,
                WALL_OFFSET_NS,
            ),
            self.session,
            SETTINGS,
            self.reports.append,
            self,
            make_encoder=self.make_encoder,
            clock=lambda: self.now,
        )
        self.recordings.append(recording)
        return recording

    def video(self, name: str) -> Path:
        return files_in(self.folder, name).video

    @property
    def incoming(self) -> list[str]:
        return sorted(path.name for path in (self.folder / "incoming").iterdir())

    def only(self, kind: type[Any]) -> Any:
        (found,) = [report for report in self.reports if isinstance(report, kind)]
        return found


@pytest.fixture(autouse=True)
def crashes(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[BaseException | None]]:
    """What threads died of; a test that expects something empties the list."""
    found: list[BaseException | None] = []
    monkeypatch.setattr(threading, "excepthook", lambda hook: found.append(hook.exc_value))
    yield found
    for bench in benches:
        bench.session.buffer.end()
        for recording in bench.recordings:
            with contextlib.suppress(RuntimeError):  # it was never started
                recording.join(10)
    benches.clear()
    assert not found


def run(recording: Recording) -> None:
    recording.start()
    recording.join(30)
    assert not recording.alive


def test_without_a_station_the_file_is_closed_where_the_next_one_looks(tmp_path: Path) -> None:
    """A station that was killed may not have written the row: nobody would look elsewhere."""
    bench = Bench(tmp_path)
    bench.film()
    recording = bench.record("one", TIMES[5])
    recording.stay_incoming()
    recording.stop(TIMES[40])
    run(recording)
    assert bench.incoming == ["one.mp4"]
    assert not bench.video("one").exists()
    assert numbers_in(tmp_path / "incoming" / "one.mp4") == list(range(5, 40))


@pytest.mark.parametrize("mode", [Mode.COPY, Mode.DEFER, Mode.ENCODE])
def test_a_recording_ends_with_the_last_picture_before_the_stop(tmp_path: Path, mode: Mode) -> None:
    bench = Bench(tmp_path, mode)
    bench.film()
    recording = bench.record("one", TIMES[5])
    recording.stop(TIMES[40])
    recording.stop(TIMES[50])
    run(recording)
    assert numbers_in(bench.video("one")) == list(range(5, 40))
    captured = bench.only(Captured)
    assert captured == Captured(
        recording_id=RecordingId("one"),
        bytes=bench.video("one").stat().st_size,
        frames=35,
        dropped=0,
        first_ns=TIMES[5],
        duration_ns=TIMES[39] - TIMES[5],
        codec="h264" if mode is Mode.ENCODE else "mjpeg",
        encoder="libx264" if mode is Mode.ENCODE else "",
        mode=mode.value,
        width=160,
        height=120,
        recovered=False,
    )
    assert len(bench.reports) == 1
    assert bench.incoming == []
    assert verify.problem_of(bench.video("one"), 35, captured.duration_ns) is None
    with av.open(str(bench.video("one"))) as container:
        tags = container.metadata
    assert tags["monotonic_ns"] == str(TIMES[5])
    assert (tags["order_id"], tags["recorder_mode"]) == ("7", mode.value)
    assert recording.progress.frames == 35
    assert recording.progress.written_ns == TIMES[39]
    assert recording.progress.waiting == 0, "what came after the stop is not waited for"


def test_it_is_known_how_many_pictures_wait_to_be_written(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.film(40)
    recording = bench.record("one", TIMES[5])
    assert recording.progress.waiting == 35
    bench.film()
    recording.stop(AFTER)
    run(recording)
    assert recording.progress.waiting == 0


def test_pictures_are_waited_for_until_the_stop(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.film(10)
    recording = bench.record("one", TIMES[0])
    bench.now = START
    recording.start()
    bench.film(20)
    recording.stop(TIMES[30])
    bench.film()
    recording.join(30)
    assert numbers_in(bench.video("one")) == list(range(30))


def test_a_late_picture_is_not_waited_for_without_end(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.film(10)
    recording = bench.record("one", TIMES[0])
    bench.now = TIMES[20] + 600_000_000
    recording.stop(TIMES[20])
    run(recording)
    assert bench.only(Captured).frames == 10


@pytest.mark.parametrize("b_frames", [0, 2])
@pytest.mark.parametrize("mode", [Mode.COPY, Mode.ENCODE])
def test_inter_pictures_none_is_missing_at_either_end(
    tmp_path: Path, mode: Mode, b_frames: int
) -> None:
    bench = Bench(tmp_path, mode, inter_stream(60, b_frames=b_frames))
    bench.film()
    recording = bench.record("one", TIMES[25] - 1000)
    recording.stop(TIMES[45])
    run(recording)
    shown = numbers_in(bench.video("one"))
    wanted = list(range(20 if mode is Mode.COPY else 25, 45))
    assert shown[: len(wanted)] == wanted
    # Pictures that others are made from are sent, and kept, before those.
    assert len(shown) - len(wanted) <= b_frames
    captured = bench.only(Captured)
    assert captured.first_ns == TIMES[shown[0]]
    assert verify.problem_of(bench.video("one"), captured.frames, captured.duration_ns) is None


@pytest.mark.parametrize("mode", [Mode.COPY, Mode.ENCODE])
def test_a_switch_loses_no_picture_between_two_orders(tmp_path: Path, mode: Mode) -> None:
    bench = Bench(tmp_path, mode)
    bench.film(30)
    first = bench.record("one", TIMES[0])
    first.start()
    switch, pre_roll = TIMES[30] - 1, 8 * PERIOD + 10
    first.stop(switch)
    second = bench.record("two", switch - pre_roll)
    second.start()
    bench.film()
    second.stop(AFTER)
    bench.session.buffer.end()
    first.join(30)
    second.join(30)
    one, two = numbers_in(bench.video("one")), numbers_in(bench.video("two"))
    assert one == list(range(30))
    assert two == list(range(22, 60))


def test_the_camera_may_end_in_the_middle(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.film(20)
    recording = bench.record("one", TIMES[0])
    recording.start()
    bench.session.buffer.end()
    recording.join(30)
    assert bench.only(Captured).frames == 20
    assert len(bench.reports) == 1


def test_a_recording_stopped_before_any_picture_leaves_nothing(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    recording = bench.record("one", START)
    recording.stop(START)
    bench.now = START + 1_000_000_000
    run(recording)
    assert "no picture" in bench.only(NothingLeft).problem
    assert bench.incoming == []


def test_pictures_lost_to_the_memory_limit_are_counted(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.session.buffer._largest_bytes = 12 * len(jpeg(0))
    bench.film(5)
    recording = bench.record("one", START)
    bench.film()
    recording.stop(AFTER)
    run(recording)
    captured = bench.only(Captured)
    assert captured.frames + captured.dropped == 60
    assert captured.dropped > 40
    assert recording.progress.dropped == captured.dropped


def test_pictures_that_the_camera_did_not_deliver_are_told_and_are_no_alarm(tmp_path: Path) -> None:
    packets = [
        replace(packet, missed=int(number in (9, 30)), missed_before_ns=TIMES[max(0, number - 1)])
        for number, packet in enumerate(mjpeg_packets(TIMES))
    ]
    bench = Bench(tmp_path, stream=(mjpeg_stream(), packets))
    bench.film()
    recording = bench.record("one", START)
    recording.stop(AFTER)
    run(recording)
    assert bench.only(Captured).dropped == 2
    assert recording.progress.dropped == 0


@pytest.mark.parametrize("told_with", [0, 1, 3])
def test_what_was_missing_before_a_recording_is_not_missing_in_it(
    tmp_path: Path, told_with: int
) -> None:
    packets = mjpeg_packets(TIMES)
    first = next(number for number, time in enumerate(TIMES) if time >= START)
    told = replace(packets[first + told_with], missed=35, missed_before_ns=TIMES[first])
    bench = Bench(
        tmp_path,
        stream=(
            mjpeg_stream(),
            [*packets[: first + told_with], told, *packets[first + told_with + 1 :]],
        ),
    )
    bench.film()
    recording = bench.record("one", START)
    recording.stop(AFTER)
    run(recording)
    assert bench.only(Captured).dropped == 0


def test_only_damaged_pictures_leave_nothing(tmp_path: Path) -> None:
    cut = [
        Packet(p.sequence, p.data[:900] + b"\xff\xd9", p.captured_ns, p.decode_ns, True)
        for p in mjpeg_packets(TIMES[:10])
    ]
    bench = Bench(tmp_path, Mode.ENCODE, (mjpeg_stream(), cut))
    bench.film()
    recording = bench.record("one", START)
    recording.stop(AFTER)
    run(recording)
    assert "no picture could be decoded" in bench.only(NothingLeft).problem
    assert len(bench.reports) == 1
    assert bench.incoming == []


# --- stills


def test_the_picture_with_the_label_lies_beside_the_video(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.film(20)
    recording = bench.record("one", START, label=7)
    recording.stop(TIMES[20])
    bench.film()
    run(recording)
    assert files_in(tmp_path, "one").still.read_bytes() == jpeg(6)
    assert bench.incoming == []


def test_a_still_that_cannot_be_made_does_not_hurt_the_video(tmp_path: Path) -> None:
    bench = Bench(tmp_path, stream=inter_stream(30))
    bench.film()
    recording = bench.record("one", START, label=7)
    recording.stop(TIMES[20])
    run(recording)
    assert bench.only(Captured).frames == 20
    assert not files_in(tmp_path, "one").still.exists()


def test_a_file_is_written_whole_and_never_over_another(tmp_path: Path) -> None:
    write_new_file(tmp_path / "a.jpg", b"abc")
    assert (tmp_path / "a.jpg").read_bytes() == b"abc"
    with pytest.raises(StorageError):
        write_new_file(tmp_path / "a.jpg", b"xyz")
    assert (tmp_path / "a.jpg").read_bytes() == b"abc"


# --- encoders that fail


class Mortal:
    """Encodes so many pictures, then fails."""

    def __init__(self, encoder: FrameEncoder, lives: int, meanwhile: Callable[[], None]) -> None:
        self._encoder = encoder
        self._lives = lives
        self._meanwhile = meanwhile

    def encode(self, frame: av.VideoFrame, pts: int) -> list[VideoPacket]:
        self._meanwhile()
        self._lives -= 1
        if self._lives < 0:
            raise DeviceError("The encoder is gone", "Test")
        return self._encoder.encode(frame, pts)

    def flush(self) -> list[VideoPacket]:
        if self._lives < 0:
            raise DeviceError("The encoder is gone", "Test")
        return self._encoder.flush()


def mortal_encoder(lives: int, meanwhile: Callable[[], None]) -> MakeEncoder:
    """The first encoder lives for that number of pictures; later ones do well.

    `meanwhile` is what happens while it encodes a picture.
    """
    left = [lives]

    def make(container: OutputContainer, kind: EncoderKind, request: EncodeRequest) -> FrameEncoder:
        encoder = VideoEncoder(container, kind, request)
        return Mortal(encoder, left.pop(), meanwhile) if left else encoder

    return make


@pytest.mark.parametrize("lives", [0, 1, 9, 23])
@pytest.mark.parametrize("keep_ns", [0, 3_000_000_000], ids=["no pre-roll", "pre-roll"])
@pytest.mark.parametrize("codec", ["mjpeg", "h264"])
def test_after_a_failing_encoder_the_next_part_has_exactly_the_missing_pictures(
    tmp_path: Path, lives: int, keep_ns: int, codec: str
) -> None:
    stream = inter_stream(60) if codec == "h264" else None
    bench = Bench(tmp_path, Mode.ENCODE, stream, keep_ns=keep_ns)
    bench.make_encoder = mortal_encoder(lives, lambda: bench.film(1))
    bench.film(1)
    first = bench.record("one", START)
    bench.film(24)
    run(first)
    interrupted = bench.only(RecordingInterrupted)
    assert interrupted.reason is StopReason.ENCODER_FAILED
    assert "The encoder is gone" in interrupted.problem
    assert bench.verdicts == [("libx264", "The encoder is gone")]
    bench.film(15)  # the station takes its time
    second = bench.record("two", interrupted.resume_ns)
    second.start()
    bench.session.release()
    bench.film()
    second.stop(AFTER)
    second.join(30)
    ending = bench.reports[1]
    first_part = numbers_in(bench.video("one")) if isinstance(ending, Captured) else []
    second_part = numbers_in(bench.video("two"))
    assert first_part + second_part == list(range(60))
    assert isinstance(ending, Captured if first_part else NothingLeft)
    assert bench.incoming == []


class Watched(EncoderProgram):
    """Known to the test; of the first pictures it waits for one to come back, then meets
    its `fate`."""

    begun: ClassVar[list[EncoderProgram]] = []
    fate: ClassVar[Callable[[EncoderProgram], None]]

    def __init__(self, kind: EncoderKind, request: EncodeRequest, *, stuck_seconds: float) -> None:
        super().__init__(kind, request, stuck_seconds=stuck_seconds)
        self._given = 0
        self.begun.append(self)

    def ready(self) -> list[EncodedPicture]:
        self._given += 1
        if self._given != 45 or len(self.begun) > 1:
            return super().ready()
        ready = super().ready()
        if not ready:
            first = self._output.get(timeout=10)
            assert isinstance(first, tuple)
            ready = [first]
        type(self).fate(self)
        return ready


def beside(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Encodes in an ffmpeg program."""
    Watched.begun.clear()
    Watched.fate = lambda _program: None
    monkeypatch.setattr(encoding, "EncoderProgram", Watched)
    bench = Bench(folder, Mode.ENCODE)
    bench.session.choice = Choice(Mode.ENCODE, X264_BESIDE, "test")
    return bench


def test_an_ffmpeg_program_beside_encodes_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = beside(tmp_path, monkeypatch)
    recording = bench.record("one", START)
    recording.start()
    bench.film()
    recording.stop(AFTER)
    recording.join(30)
    captured = bench.only(Captured)
    assert (captured.frames, captured.dropped, captured.encoder) == (60, 0, "libx264")
    assert numbers_in(bench.video("one")) == list(range(60))
    assert verify.problem_of(bench.video("one"), 60, captured.duration_ns) is None
    assert [program._process.returncode for program in Watched.begun] == [0]


def test_after_a_program_that_was_killed_the_next_part_has_exactly_the_missing_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = beside(tmp_path, monkeypatch)

    def die(program: EncoderProgram) -> None:
        program._process.kill()
        program._process.wait()

    Watched.fate = die
    first = bench.record("one", START)
    first.start()
    bench.film(50)
    first.join(30)
    interrupted = bench.only(RecordingInterrupted)
    assert interrupted.reason is StopReason.ENCODER_FAILED
    ((encoder, reason),) = bench.verdicts
    assert encoder == "libx264"
    assert "was killed by signal 9" in str(reason)
    second = bench.record("two", interrupted.resume_ns)
    second.start()
    bench.session.release()
    bench.film()
    second.stop(AFTER)
    second.join(30)
    parts = [numbers_in(bench.video(name)) for name in ("one", "two")]
    assert all(parts)
    assert parts[0] + parts[1] == list(range(60))


def test_an_encoder_that_fails_at_the_end_is_said_too(tmp_path: Path) -> None:
    bench = Bench(tmp_path, Mode.ENCODE)
    real = make_video_encoder

    def make(container: OutputContainer, kind: EncoderKind, request: EncodeRequest) -> FrameEncoder:
        encoder = real(container, kind, request)

        def flush() -> list[VideoPacket]:
            raise DeviceError("The encoder is gone", "Test")

        encoder.flush = flush  # type: ignore[method-assign]
        return encoder

    bench.make_encoder = make
    bench.film()
    recording = bench.record("one", START)
    recording.stop(TIMES[50])
    run(recording)
    assert bench.only(RecordingInterrupted).reason is StopReason.ENCODER_FAILED
    captured = bench.only(Captured)
    assert numbers_in(bench.video("one")) == list(range(captured.frames))
    # It was stopped: no part follows, so nothing is held for one.
    assert not bench.session._held


def test_an_encoder_that_does_not_open_leaves_nothing_behind(tmp_path: Path) -> None:
    def refuses(
        container: OutputContainer, kind: EncoderKind, request: EncodeRequest
    ) -> FrameEncoder:
        raise DeviceError("The encoder does not start", "Test")

    open_before = len(list(Path("/proc/self/fd").iterdir()))
    bench = Bench(tmp_path, Mode.ENCODE, make_encoder=refuses)
    bench.film(20)
    run(bench.record("one", TIMES[4], label=3))
    interrupted, nothing = bench.reports
    assert isinstance(interrupted, RecordingInterrupted)
    assert interrupted.reason is StopReason.ENCODER_FAILED
    assert interrupted.resume_ns == TIMES[4]
    assert isinstance(nothing, NothingLeft)
    assert "does not start" in nothing.problem
    assert bench.verdicts == [("libx264", "The encoder does not start")]
    assert bench.incoming == []
    assert len(list(Path("/proc/self/fd").iterdir())) == open_before


class Slow:
    """Encodes while the camera takes `pictures`, and lets the clock go on as long."""

    def __init__(
        self, encoder: FrameEncoder, bench: Bench, pictures: int, busy: float, good: int
    ) -> None:
        self._encoder = encoder
        self._bench = bench
        self._pictures = pictures
        self._busy = busy
        self._good = good

    def encode(self, frame: av.VideoFrame, pts: int) -> list[VideoPacket]:
        self._good -= 1
        pictures = self._pictures if self._good < 0 else 1
        self._bench.film(pictures)
        self._bench.now += round(pictures * PERIOD * self._busy)
        return self._encoder.encode(frame, pts)

    def flush(self) -> list[VideoPacket]:
        return self._encoder.flush()


def slow_bench(
    folder: Path,
    *,
    pictures: int,
    may_defer: bool = True,
    busy: float = 1.0,
    memory: int = 100,
    good: int = 0,
) -> Bench:
    """A camera and an encoder that takes as long as the camera for so many `pictures`, after
    `good` ones; it is `busy` for this share of the time, else something else takes it. `memory`
    is in pictures."""
    packets = mjpeg_packets(at_rate(100 + good))
    size = sum(len(packet.data) for packet in packets) // len(packets)
    bench = Bench(
        folder, Mode.ENCODE, (mjpeg_stream(), packets), keep_ns=0, largest_bytes=memory * size
    )
    bench.session.choice = replace(bench.session.choice, may_defer=may_defer)
    bench.now = START

    def look(packet: Packet, frame: av.VideoFrame) -> None:
        bench.now += round(pictures * PERIOD * (1 - busy))

    bench.session.tap = look

    def make(container: OutputContainer, kind: EncoderKind, request: EncodeRequest) -> FrameEncoder:
        return Slow(VideoEncoder(container, kind, request), bench, pictures, busy, good)

    bench.make_encoder = make
    return bench


@pytest.mark.parametrize("good", [0, 1000], ids=["at once", "after half a minute"])
def test_a_slow_encoder_is_given_up_before_a_picture_is_lost(tmp_path: Path, good: int) -> None:
    bench = slow_bench(tmp_path, pictures=3, good=good)
    bench.film(1)
    run(bench.record("one", START))
    interrupted = bench.only(RecordingInterrupted)
    assert interrupted.reason is StopReason.ENCODER_TOO_SLOW
    assert "libx264 does only" in interrupted.problem
    # Of 10, some are in the encoder and not in the file.
    ((encoder, rate),) = bench.verdicts
    assert encoder == "libx264"
    assert rate == pytest.approx(9, rel=0.2)
    assert bench.only(Captured).dropped == 0
    bench.session.choice = Choice(Mode.DEFER, None, "the encoder was too slow")
    second = bench.record("two", interrupted.resume_ns)
    bench.film()
    end = START + (100 + good) * PERIOD + 1
    second.stop(end)
    bench.now = end + 10_000_000_000
    run(second)
    both = numbers_in(bench.video("one")) + numbers_in(bench.video("two"))
    assert both == list(range(100 + good))


@pytest.mark.parametrize(
    "otherwise",
    [
        {"pictures": 1},
        {"pictures": 3, "may_defer": False},
        {"pictures": 3, "busy": 0.5},
        {"pictures": 3, "memory": 1000},
    ],
    ids=["keeps up", "must encode", "something else is slow", "there is room"],
)
def test_an_encoder_is_not_given_up_without_need(tmp_path: Path, otherwise: dict[str, Any]) -> None:
    bench = slow_bench(tmp_path, **otherwise)
    bench.film(5)
    recording = bench.record("one", START)

    def end() -> None:
        recording.stop(AFTER + 10_000_000_000)
        bench.now = FOREVER + 10_000_000_000

    bench.when_all_is_filmed = end
    run(recording)
    assert bench.verdicts == []
    assert not [report for report in bench.reports if isinstance(report, RecordingInterrupted)]


def test_memory_that_is_held_until_it_is_on_the_disk_counts(tmp_path: Path) -> None:
    """What was encoded and not yet synced fills the memory as well as what waits."""
    bench = slow_bench(tmp_path, pictures=2, memory=60)
    bench.film(1)
    run(bench.record("one", START))
    assert bench.only(RecordingInterrupted).reason is StopReason.ENCODER_TOO_SLOW
    assert bench.only(Captured).dropped == 0


def test_an_encoder_that_is_late_at_the_end_is_not_praised(tmp_path: Path) -> None:
    times = [START + number * 2_000_000_000 for number in range(80)]
    bench = Bench(tmp_path, Mode.ENCODE, (mjpeg_stream(), mjpeg_packets(times)), keep_ns=10**12)
    bench.film()
    bench.now = times[-1] + 10_000_000_000
    recording = bench.record("one", START)
    recording.stop(times[-1] + 1)  # All 80 wait still.
    run(recording)
    assert bench.verdicts == []


def test_an_encoder_that_kept_up_for_long_is_praised(tmp_path: Path) -> None:
    every_two_seconds = [START + number * 2_000_000_000 for number in range(32)]
    for times, verdicts in (
        (every_two_seconds[:30], []),
        (every_two_seconds, [("libx264", "kept up")]),
    ):
        folder = tmp_path / str(len(times))
        folder.mkdir()
        bench = Bench(folder, Mode.ENCODE, (mjpeg_stream(), mjpeg_packets(times)), keep_ns=10**12)
        recording = bench.record("one", START)
        recording.start()
        bench.film()
        while recording._reader.waiting:
            recording.join(0.01)
        bench.now = times[-1] + 10_000_000_000
        recording.stop(times[-1] + 1)
        recording.join(30)
        assert bench.verdicts == verdicts


# --- storage that fails


class FullAfter:
    """A container on a disk that is full after so many packets."""

    def __init__(self, container: OutputContainer, packets: int, closes: bool) -> None:
        self.container = container
        self.packets = packets
        self.closes = closes

    def __getattr__(self, name: str) -> Any:
        return getattr(self.container, name)

    def mux_one(self, packet: av.Packet[Any]) -> None:
        self.packets -= 1
        if self.packets < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.container.mux_one(packet)

    def close(self) -> None:
        if not self.closes:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.container.close()


def disk_full_after(
    monkeypatch: pytest.MonkeyPatch, packets: int, *, closes: bool
) -> Callable[[], None]:
    """Footage files run out of space, until what is returned is called."""
    real = FootageFile.__init__
    healed = threading.Event()
    containers = []

    def init(self: FootageFile, *arguments: Any) -> None:
        real(self, *arguments)
        if not healed.is_set():
            containers.append(self.container)
            self.container = FullAfter(self.container, packets, closes)  # type: ignore[assignment]

    monkeypatch.setattr(FootageFile, "__init__", init)
    return healed.set


@pytest.mark.parametrize("closes", [True, False])
def test_a_full_disk_ends_the_part_and_what_was_written_is_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, closes: bool
) -> None:
    heal = disk_full_after(monkeypatch, 50, closes=closes)
    bench = Bench(tmp_path)
    bench.film()
    run(bench.record("one", START))
    interrupted, captured = bench.reports
    assert isinstance(interrupted, RecordingInterrupted)
    assert interrupted.reason is StopReason.DISK_FULL
    assert isinstance(captured, Captured)
    assert captured.recovered is not closes
    one = numbers_in(bench.video("one"))
    assert one == list(range(captured.frames))
    assert bench.incoming == []
    heal()
    second = bench.record("two", interrupted.resume_ns)
    second.stop(AFTER)
    run(second)
    two = numbers_in(bench.video("two"))
    assert two == list(range(two[0], 60))
    # Never a gap; some pictures may be in both.
    assert one[-1] - 40 < two[0] <= one[-1] + 1


def test_a_disk_full_from_the_first_picture_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk_full_after(monkeypatch, 0, closes=False)
    bench = Bench(tmp_path)
    bench.film()
    run(bench.record("one", TIMES[3]))
    interrupted, nothing = bench.reports
    assert isinstance(interrupted, RecordingInterrupted)
    assert interrupted.reason is StopReason.DISK_FULL
    assert interrupted.resume_ns == TIMES[3]
    assert isinstance(nothing, NothingLeft)
    assert bench.incoming == []


def test_a_file_that_cannot_be_closed_is_salvaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk_full_after(monkeypatch, 999, closes=False)
    bench = Bench(tmp_path)
    bench.film()
    recording = bench.record("one", START)
    recording.stop(TIMES[50])
    run(recording)
    assert bench.only(RecordingInterrupted).reason is StopReason.DISK_FULL
    captured = bench.only(Captured)
    assert captured.recovered
    assert 50 - 18 <= captured.frames <= 50
    assert numbers_in(bench.video("one")) == list(range(captured.frames))


def test_a_folder_that_is_gone_is_said_and_the_pictures_are_held(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.film()
    recording = bench.record("one", TIMES[3])
    (tmp_path / "incoming").rmdir()
    run(recording)
    interrupted, nothing = bench.reports
    assert isinstance(interrupted, RecordingInterrupted)
    assert interrupted.reason is StopReason.STORAGE_LOST
    assert interrupted.resume_ns == TIMES[3]
    assert isinstance(nothing, NothingLeft)
    assert bench.session._held


def test_footage_in_incoming_is_never_overwritten(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.film()
    recording = bench.record("one", START)
    files_in(tmp_path, "one").incoming_video.write_bytes(b"earlier")
    run(recording)
    assert bench.only(NothingLeft)
    assert files_in(tmp_path, "one").incoming_video.read_bytes() == b"earlier"


def test_published_footage_is_never_overwritten(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.film()
    recording = bench.record("one", START)
    files = files_in(tmp_path, "one")
    files.video.parent.mkdir(parents=True)
    files.video.write_bytes(b"earlier")
    recording.stop(TIMES[30])
    run(recording)
    assert files.video.read_bytes() == b"earlier"
    assert bench.only(RecordingInterrupted).reason is StopReason.STORAGE_LOST
    assert "never overwritten" in bench.only(SalvagePostponed).problem
    # The new footage is still there for a human.
    assert len(list(packets_of(files.incoming_video))) == 30


# --- bugs


def test_a_bug_is_not_hushed_up_and_nothing_hangs(
    tmp_path: Path, crashes: list[BaseException | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def bug(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(CopyPipeline, "write", bug)
    threads_before = threading.active_count()
    bench = Bench(tmp_path)
    bench.film()
    run(bench.record("one", START))
    assert [type(crash) for crash in crashes] == [ZeroDivisionError]
    crashes.clear()
    assert threading.active_count() == threads_before
    assert not bench.session.buffer._readers


def test_a_reader_is_let_go_of_when_all_is_over(tmp_path: Path) -> None:
    bench = Bench(tmp_path, keep_ns=0)
    bench.film(30)
    recording = bench.record("one", START)
    recording.stop(TIMES[20])
    run(recording)
    with contextlib.suppress(IndexError):
        bench.film()
    session: Session = bench.session
    assert not session.buffer._readers
    assert session.buffer.bytes < 3 * len(jpeg(0))


@pytest.mark.parametrize("hours", [-7, 7, None])
def test_a_clock_that_is_set_while_it_records_moves_nothing(
    tmp_path: Path, hours: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Times and length are the monotonic clock's; the text goes on by the offset of the start."""
    bench = Bench(tmp_path)
    recording = bench.record("a", TIMES[0])
    bench.film(10)
    recording.start()
    if hours is None:
        monkeypatch.setattr(time, "time_ns", lambda: 0)
        monkeypatch.setattr(time, "time", lambda: 0.0)
    else:
        set_ns = time.time_ns() + hours * 3600 * 10**9
        monkeypatch.setattr(time, "time_ns", lambda: set_ns)
        monkeypatch.setattr(time, "time", lambda: set_ns / 1e9)
    bench.film()
    recording.stop(TIMES[50])
    recording.join(10)
    captured = bench.only(Captured)
    assert captured.duration_ns == TIMES[49] - TIMES[0]
    with av.open(str(bench.video("a"))) as container:
        texts = [
            bytes(packet)[2:].decode()
            for packet in container.demux(container.streams.subtitles[0])
            if packet.size > 2
        ]
    moments = [datetime.strptime(text, "%Y-%m-%d %H:%M:%S UTC") for text in texts]
    first = datetime.fromtimestamp((captured.first_ns + WALL_OFFSET_NS) // 10**9, UTC)
    assert moments[0] == first.replace(tzinfo=None)
    assert moments == sorted(moments)
    assert moments[-1] - moments[0] <= timedelta(seconds=captured.duration_ns / 1e9 + 1)
