"""A quarter of an hour at once: the file is as long as the camera looked on, to a picture."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from random import Random

import av
import pytest

from recorderd.core.model import Mode, Nanoseconds, RecordingId
from recorderd.engine import verify
from recorderd.engine.footage_file import ticks
from recorderd.engine.messages import Captured, Report, Start
from recorderd.engine.packets import Packet
from recorderd.engine.recording import Recording
from tests.engine.pictures import (
    SETTINGS,
    START,
    at_rate,
    files_in,
    jpeg,
    mjpeg_stream,
    session_of,
)

SECONDS = 900


def uneven(count: int) -> list[Nanoseconds]:
    """A camera that takes longer in poor light: 12 to 60 pictures a second."""
    random, moment = Random(1), START
    times = []
    for _ in range(count):
        times.append(moment)
        moment += random.randint(16_666_667, 83_333_333)
    return times


class Unhurt:
    """Nothing goes wrong here."""

    def failed(self, encoder: str, reason: str) -> None:
        raise AssertionError(f"{encoder}: {reason}")

    def fell_behind(self, encoder: str, pictures_per_second: float) -> None:
        raise AssertionError(encoder)

    def kept_up(self, encoder: str) -> None:
        """As it should."""


@pytest.mark.slow
@pytest.mark.parametrize("mode", [Mode.DEFER, Mode.ENCODE])
@pytest.mark.parametrize(
    "times",
    [
        lambda: at_rate(SECONDS * 30),
        lambda: at_rate(round(SECONDS * 30_000 / 1001), Fraction(30_000, 1001)),
        lambda: uneven(SECONDS * 20),
    ],
    ids=["30", "29.97", "variable"],
)
def test_after_a_quarter_of_an_hour_every_picture_is_at_its_time(
    tmp_path: Path, mode: Mode, times: Callable[[], list[Nanoseconds]]
) -> None:
    moments = times()
    session = session_of(mjpeg_stream(), mode, largest_bytes=10**9)
    reports: list[Report] = []
    files = files_in(tmp_path, "long")
    start = Start(RecordingId("long"), files, {"order_id": "7"}, START, None, 0)
    recording = Recording(
        start, session, SETTINGS, reports.append, Unhurt(), clock=lambda: moments[-1] + 10**10
    )
    for number, moment in enumerate(moments):
        session.buffer.append(Packet(number + 1, jpeg(number % 60), moment, moment, True))
        if number == 0:
            recording.start()
    recording.stop(moments[-1] + 1)
    recording.join(120)
    (captured,) = reports
    assert isinstance(captured, Captured)
    assert captured.duration_ns == moments[-1] - moments[0]
    assert (captured.frames, captured.dropped) == (len(moments), 0)
    assert verify.problem_of(files.video, captured.frames, captured.duration_ns) is None
    with av.open(str(files.video)) as container:
        stream = container.streams.video[0]
        found = [
            round(packet.pts * packet.time_base * 90_000)
            for packet in container.demux(stream)
            if packet.pts is not None
        ]
    assert found == [ticks(moment - START) for moment in moments]
