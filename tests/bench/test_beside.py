"""What the benchmark of downloads beside a recording makes of its measurements."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime

import pytest

from recorderd.bench.beside import Figures, document, figures, fitting_rate, hurt, shown
from recorderd.bench.client import Outcome
from recorderd.core.model import RecordingId
from recorderd.core.signals import Signal
from recorderd.engine.sources.bench_script import moments
from recorderd.errors import DeviceError
from recorderd.store.reader import RecordingRow

BEGAN = 1000.0
FIRST, SECOND = moments(0)[:2]


def _row(
    frames: int,
    duration_ms: int,
    dropped: int = 0,
    state: str = "saved",
    order: str = FIRST.order_id,
    take: int = 1,
) -> RecordingRow:
    values = {field.name: None for field in dataclasses.fields(RecordingRow)}
    known = {
        "id": RecordingId("1"),
        "order_id": order,
        "take": take,
        "state": state,
        "frames": frames,
        "dropped": dropped,
        "duration_ms": duration_ms,
        "started_at": datetime(2026, 7, 4, tzinfo=UTC),
    }
    return RecordingRow(**(values | known))  # type: ignore[arg-type]


SIGNALS = [
    (Signal.STARTING, BEGAN),
    (Signal.READY, BEGAN + 2),
    (Signal.STARTED, BEGAN + FIRST.shown + 0.1),
    (Signal.RECORDING, BEGAN + FIRST.shown + 0.1),
    (Signal.SAVING, BEGAN + FIRST.stops),
    (Signal.SAVED, BEGAN + FIRST.stops + 0.25),
    (Signal.STARTED, BEGAN + SECOND.shown - 0.05),
    (Signal.SAVING, BEGAN + SECOND.stops + 0.03),
    (Signal.FAULT_IDLE, BEGAN + SECOND.stops + 0.1),
    (Signal.SAVED, BEGAN + SECOND.stops + 0.53),
]


def _figures(
    rows: list[RecordingRow], outcome: Outcome | None = None, other_cores: float = 0.0
) -> Figures:
    return figures(
        "a run",
        rows,
        SIGNALS,
        [BEGAN + SECOND.stops],
        10.0,
        damaged=0,
        seconds=50.0,
        recorder_cpu_seconds=25.0,
        web_cpu_seconds=5.0,
        other_cores=other_cores,
        outcome=outcome,
    )


def test_times_come_from_the_panel() -> None:
    found = _figures([_row(100, 10_000)])
    assert found.stop_to_saved == pytest.approx([0.25, 0.5])
    assert found.label_to_beep == pytest.approx([0.1, -0.05])
    assert found.pedal_to_lamp == pytest.approx([0.03])
    assert found.faults == 1


def test_the_next_label_stops_the_recording_before() -> None:
    signals = [(Signal.STARTED, 10.0), (Signal.STARTED, 20.0), (Signal.SAVED, 20.4)]
    found = figures(
        "a run",
        [],
        signals,
        [],
        10.0,
        damaged=0,
        seconds=1.0,
        recorder_cpu_seconds=0.0,
        web_cpu_seconds=0.0,
        other_cores=0.0,
        outcome=None,
    )
    assert found.stop_to_saved == [0.4]


def test_pictures_are_missing_by_the_length_of_the_video() -> None:
    """Also those that nobody counted, because the camera could not hand them over."""
    found = _figures([_row(101, 10_000), _row(90, 10_000), _row(97, 10_000, dropped=3)])
    assert (found.frames, found.dropped, found.missing) == (288, 3, 15)
    assert found.lost == 15
    assert _figures([_row(101, 10_000, dropped=4)]).lost == 4
    assert _figures([_row(101, 10_000), _row(102, 10_000)]).lost == 0


def test_a_second_cycle_counts_nothing() -> None:
    rows = [
        _row(101, 10_000),
        _row(101, 10_000, order=SECOND.order_id),
        _row(50, 10_000, take=2),
        _row(50, 10_000, order="ORDER-1005"),
    ]
    found = _figures(rows)
    assert (found.saved, found.orders, found.lost) == (2, 4, 0)


@pytest.mark.parametrize(("state", "saved"), [("saved", 1), ("lost", 0)])
def test_an_order_in_two_parts_is_saved_if_both_are(state: str, saved: int) -> None:
    assert _figures([_row(101, 10_000), _row(101, 10_000, state=state)]).saved == saved


@pytest.mark.parametrize(("alone_by", "shipped_by"), [(0.5, 0.0), (0.0, 0.5)])
def test_a_machine_with_other_work_tells_nothing(alone_by: float, shipped_by: float) -> None:
    alone = _figures([_row(101, 10_000)], other_cores=alone_by)
    worse = _figures([_row(90, 10_000)], other_cores=shipped_by)
    assert hurt([alone, worse]) is None
    assert "Not measured" in shown([alone, worse], 10.0)
    assert hurt([alone, _figures([_row(101, 10_000)], other_cores=shipped_by)]) is False


def test_what_was_downloaded_meanwhile() -> None:
    outcome = Outcome(bytes=5_000_000_000, seconds=50, answers=9, problems=2, cpu_seconds=1)
    found = _figures([_row(100, 10_000)], outcome)
    assert (found.downloaded_bytes, found.failed_downloads) == (5_000_000_000, 2)
    assert "100 MB/s" in shown([found, found], 10.0)


@pytest.mark.parametrize(
    ("shipped", "is_hurt"),
    [
        ([_row(101, 10_000), _row(101, 10_000)], False),
        ([_row(101, 10_000), _row(99, 10_000)], True),
        ([_row(101, 10_000), _row(101, 10_000, dropped=1)], True),
        ([_row(101, 10_000), _row(101, 10_000, state="lost")], True),
    ],
)
def test_downloads_hurt_when_more_is_lost_than_alone(
    shipped: list[RecordingRow], is_hurt: bool
) -> None:
    alone = _figures([_row(101, 10_000), _row(101, 10_000)])
    beside = _figures(shipped)
    assert hurt([alone, beside, alone]) is is_hurt
    assert json.loads(json.dumps(document([alone, beside], 10.0)))["hurt"] is is_hurt
    assert ("hurt the recording" in shown([alone, beside], 10.0)) is is_hurt


@pytest.mark.parametrize(
    ("encoders", "rate"), [([22.0, 12.0], 10.0), ([500.0], 30.0), ([59.9], 20.0), ([1.0], 2.0)]
)
def test_the_rate_is_one_that_the_best_encoder_does_with_ease(
    encoders: list[float], rate: float
) -> None:
    assert fitting_rate(encoders) == rate


def test_a_machine_that_cannot_encode_is_said() -> None:
    with pytest.raises(DeviceError, match="No video encoder"):
        fitting_rate([])
