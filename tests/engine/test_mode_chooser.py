from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

import pytest

from recorderd.core.model import Mode, Nanoseconds, nanoseconds
from recorderd.engine.encoder_kinds import EncodeRequest
from recorderd.engine.mode_chooser import FIRST_REST, LONGEST_REST, ModeChooser
from recorderd.engine.packets import StreamDescription
from recorderd.engine.probe import EncoderProof
from recorderd.errors import DeviceError
from recorderd.settings import RecordingSettings

CAMERA = StreamDescription("mjpeg", 3840, 2160, Fraction(30), "yuvj420p", True)
X264 = EncoderProof("libx264", "ultrafast", True, True, 50.0, "")
QSV = EncoderProof("h264_qsv", "icq", True, True, 120.0, "")
SLOW_QSV = EncoderProof("h264_qsv", "icq", True, True, 20.0, "")


def at_speed(frames_per_second: float) -> EncoderProof:
    return EncoderProof("libx264", "ultrafast", True, True, frames_per_second, "")


@dataclass
class Bench:
    """A chooser, a clock, and what trials of encoders would find now."""

    proofs: tuple[EncoderProof, ...] = (X264,)
    settings: RecordingSettings = field(default_factory=RecordingSettings)
    failed_before: dict[str, str] = field(default_factory=dict)
    now: Nanoseconds = nanoseconds(1000)
    trials: list[bool] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.meanwhile: Callable[[], None] = lambda: None
        self.chooser = ModeChooser(
            self.settings,
            Path("/nowhere"),
            self.failed_before,
            trials=self._try,
            clock=lambda: self.now,
        )

    def _try(
        self,
        request: EncodeRequest,
        cache_file: Path | None,
        *,
        wanted: str,
        demoted: Mapping[str, str],
        anew: bool,
        give_up: Callable[[], bool],
    ) -> tuple[EncoderProof, ...]:
        assert request.width == CAMERA.width
        assert cache_file == Path("/nowhere/encoders.json")
        self.trials.append(anew)
        self.meanwhile()
        found = []
        for proof in self.proofs:
            if wanted in ("auto", proof.name) and proof.name not in demoted:
                found.append(proof)
                # The real ones end as soon as one is fast enough.
                if proof.frames_per_second >= request.rate_needed:
                    break
        return tuple(found)

    def quiet(self, how_long: Nanoseconds) -> bool:
        """Nothing records for so long; is a trial due then, and not before?"""
        self.now += how_long - 1
        early = self.chooser.another_trial_is_due
        self.now += 1
        return self.chooser.another_trial_is_due and not early

    def mode_after_trial(self) -> Mode | None:
        choice = self.chooser.try_again(lambda: False)
        return choice.mode if choice else None


def test_the_first_choice_is_from_trials_that_may_be_remembered() -> None:
    bench = Bench()
    choice = bench.chooser.choose(CAMERA)
    assert (choice.mode, choice.may_defer) == (Mode.ENCODE, True)
    assert bench.trials == [False]


def test_who_must_encode_has_no_other_way() -> None:
    bench = Bench(settings=RecordingSettings(mode="encode"))
    assert not bench.chooser.choose(CAMERA).may_defer


def test_a_camera_that_compresses_needs_no_trial() -> None:
    bench = Bench()
    camera = StreamDescription("h264", 3840, 2160, Fraction(30), "yuv420p", False)
    assert bench.chooser.choose(camera).mode is Mode.COPY
    assert not bench.quiet(LONGEST_REST)
    assert bench.trials == []


def test_an_encoder_that_failed_is_not_used_again() -> None:
    bench = Bench((SLOW_QSV, X264), failed_before={"h264_nvenc": "it crashed"})
    assert "libx264" in bench.chooser.choose(CAMERA).reason
    choice = bench.chooser.failed("libx264", "it is gone")
    assert choice is not None
    assert choice.mode is Mode.DEFER
    again = Bench((QSV, X264), failed_before={"h264_qsv": "it is gone"})
    assert "libx264" in again.chooser.choose(CAMERA).reason


def test_the_encoder_that_is_wished_for_is_tried_though_another_is_fast() -> None:
    for mode in ("auto", "encode"):
        wish = RecordingSettings(mode=mode, encoder="libx264")
        assert "libx264" in Bench((QSV, X264), wish).chooser.choose(CAMERA).reason


@pytest.mark.parametrize("mode", ["auto", "encode"])
def test_when_the_wished_encoder_has_failed_anything_that_works_will_do(mode: str) -> None:
    bench = Bench((QSV, X264), RecordingSettings(mode=mode, encoder="libx264"))
    bench.chooser.choose(CAMERA)
    choice = bench.chooser.failed("libx264", "it is gone")
    assert choice is not None
    # Nothing else was tried yet, and there is no time for that now.
    assert choice.mode is Mode.DEFER
    assert bench.chooser.another_trial_is_due
    assert bench.mode_after_trial() is Mode.ENCODE
    assert "h264_qsv" in bench.chooser.choose(CAMERA).reason
    assert not bench.quiet(LONGEST_REST)
    choice = bench.chooser.fell_behind("h264_qsv", 20.0)
    assert choice is not None
    assert choice.mode is Mode.DEFER
    assert bench.quiet(FIRST_REST)
    assert bench.mode_after_trial() is Mode.ENCODE


def test_no_encoder_and_pictures_that_cannot_be_kept_is_said() -> None:
    bench = Bench()
    raw = StreamDescription("rawvideo", 3840, 2160, Fraction(30), "yuyv422", False)
    bench.chooser.choose(raw)
    with pytest.raises(DeviceError, match="no encoder works here"):
        bench.chooser.failed("libx264", "it is gone")


def test_before_there_is_a_camera_nothing_is_chosen() -> None:
    bench = Bench()
    assert bench.chooser.failed("libx264", "it is gone") is None
    assert bench.chooser.fell_behind("libx264", 5) is None
    assert bench.mode_after_trial() is None
    assert not bench.chooser.another_trial_is_due


@pytest.mark.parametrize("speed", [1.0, 26.0])
def test_an_encoder_that_falls_behind_rests_and_is_tried_before_it_is_used_again(
    speed: float,
) -> None:
    bench = Bench()
    bench.chooser.choose(CAMERA)
    choice = bench.chooser.fell_behind("libx264", speed)
    assert choice is not None
    assert choice.mode is Mode.DEFER
    assert f"libx264 (ultrafast), does {speed:.0f} pictures a second" in choice.reason
    assert bench.chooser.choose(CAMERA).mode is Mode.DEFER  # The camera was unplugged for a moment.
    assert bench.quiet(FIRST_REST)
    assert bench.mode_after_trial() is Mode.ENCODE
    assert bench.trials == [False, False, True]


def test_one_that_does_not_win_enough_in_a_trial_stays_out() -> None:
    """Fast enough to hold the camera's rate is not enough to come back: it had that before."""
    bench = Bench()
    bench.chooser.choose(CAMERA)
    bench.chooser.fell_behind("libx264", 26.0)
    bench.proofs = (at_speed(38.0),)
    assert bench.quiet(FIRST_REST)
    assert bench.mode_after_trial() is Mode.DEFER
    assert bench.quiet(2 * FIRST_REST)


def test_each_rest_is_longer_up_to_a_limit() -> None:
    bench = Bench()
    bench.chooser.choose(CAMERA)
    rests = []
    for _ in range(8):
        bench.chooser.fell_behind("libx264", 26.0)
        began = bench.now
        while not bench.chooser.another_trial_is_due:
            bench.now += FIRST_REST
        rests.append((bench.now - began) // FIRST_REST)
        assert bench.mode_after_trial() is Mode.ENCODE
    assert rests == [1, 2, 4, 8, 16, 24, 24, 24]


def test_after_keeping_up_for_long_the_next_rest_is_short_again() -> None:
    bench = Bench()
    bench.chooser.choose(CAMERA)
    for _ in range(3):
        bench.chooser.fell_behind("libx264", 26.0)
        bench.now += LONGEST_REST
        bench.mode_after_trial()
    bench.chooser.kept_up("libx264")
    bench.chooser.fell_behind("libx264", 26.0)
    assert bench.quiet(FIRST_REST)


def test_a_trial_that_was_disturbed_says_nothing() -> None:
    bench = Bench()
    bench.chooser.choose(CAMERA)
    bench.chooser.fell_behind("libx264", 26.0)
    bench.now += FIRST_REST
    assert bench.chooser.try_again(lambda: True) is None
    assert bench.chooser.another_trial_is_due
    assert bench.mode_after_trial() is Mode.ENCODE


def test_a_trial_for_a_camera_that_has_gone_says_nothing() -> None:
    bench = Bench()
    bench.chooser.choose(CAMERA)
    bench.chooser.fell_behind("libx264", 26.0)
    smaller = StreamDescription("mjpeg", 3840, 2160, Fraction(60), "yuvj420p", True)

    def other_camera() -> None:
        bench.meanwhile = lambda: None
        bench.chooser.choose(smaller)

    bench.meanwhile = other_camera
    assert bench.mode_after_trial() is None


def test_a_trial_at_a_bad_moment_is_made_good_later() -> None:
    """Trials run while the computer starts, when much else does."""
    bench = Bench((at_speed(30.0),))
    assert bench.chooser.choose(CAMERA).mode is Mode.DEFER
    assert not bench.chooser.another_trial_is_due
    bench.proofs = (X264,)
    assert bench.quiet(FIRST_REST)
    assert bench.mode_after_trial() is Mode.ENCODE


@pytest.mark.parametrize(
    ("speed", "settings"),
    [(20.0, RecordingSettings()), (38.0, RecordingSettings(mode="defer"))],
    ids=["far too slow", "not wanted"],
)
def test_what_cannot_change_is_not_tried_again(speed: float, settings: RecordingSettings) -> None:
    bench = Bench((at_speed(speed),), settings)
    assert bench.chooser.choose(CAMERA).mode is Mode.DEFER
    assert not bench.chooser.another_trial_is_due
    assert not bench.quiet(LONGEST_REST)


def test_what_was_too_slow_for_one_camera_may_do_for_another() -> None:
    bench = Bench()
    bench.chooser.choose(CAMERA)
    bench.chooser.fell_behind("libx264", 26.0)
    assert bench.chooser.choose(CAMERA).mode is Mode.DEFER
    slower = replace(CAMERA, rate=Fraction(25))
    assert bench.chooser.choose(slower).mode is Mode.ENCODE
