"""What the benchmark of recording makes of its measurements."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from recorderd.bench import record
from recorderd.bench.record import (
    HOW_TO_GET_FFMPEG,
    Case,
    Compared,
    Cost,
    Peer,
    command,
    ffmpegs,
    shown,
)
from recorderd.core.model import Mode
from recorderd.engine.encoder_kinds import kind_named
from recorderd.engine.mode_chooser import ModeChooser
from recorderd.engine.probe import EncoderProof
from recorderd.settings import RecordingSettings, Settings, StationSettings

ENCODED = Case("MJPEG to H.264", "mjpeg", Mode.ENCODE, 10, 1.1)
COPIED = Case("MJPEG copied", "mjpeg", Mode.DEFER, 30, 1.5)
KIND = kind_named("libx264")
CLIP, TARGET = Path("a clip.mp4"), Path("out.mp4")


def _compared(ours: list[float], theirs: list[float], others: float = 0.0) -> Compared:
    return Compared(
        ENCODED,
        [Cost(cost, 300.0, others, dropped=1) for cost in ours],
        {"ffmpeg": [Cost(cost, 200.0, others) for cost in theirs]},
        {"ffmpeg": "ffmpeg -i clip"},
        2.0,
    )


def test_ffmpeg_is_told_to_use_the_same_encoder_in_the_same_way() -> None:
    words = command(Peer("ffmpeg", "/bin/ffmpeg"), ENCODED, CLIP, TARGET, KIND)
    told = " ".join(words)
    assert words[0] == "/bin/ffmpeg"
    options = ("-c:v libx264", "-preset superfast", "-thread_type slice", "-crf 23", "-g 20")
    for option in ("-re -i a clip.mp4", *options):
        assert option in told
    assert words[-1] == "out.mp4"


@pytest.mark.parametrize("variant", [variant.name for variant in kind_named("libx264").variants])
def test_the_station_encodes_in_the_same_way_without_a_trial_of_its_own(
    tmp_path: Path, variant: str
) -> None:
    settings = Settings(
        station=StationSettings(state_folder=str(tmp_path / "state")),
        recording=RecordingSettings(mode="encode", encoder="libx264"),
    )
    record._believe(settings, ENCODED, EncoderProof("libx264", variant, True, True, 99.0, ""))
    choice = ModeChooser(settings.recording, settings.state_folder, {}).choose(
        record._camera(ENCODED)
    )
    assert choice.encoder == kind_named("libx264").only(variant)
    assert "99 pictures a second" in choice.reason


def test_ffmpeg_is_told_what_the_program_beside_the_engine_is_told() -> None:
    vaapi = kind_named("h264_vaapi")
    told = " ".join(command(Peer("f", "f"), ENCODED, CLIP, TARGET, vaapi))
    assert "-hwaccel vaapi" in told.partition(" -i ")[0]
    assert "scale_vaapi=w=3840:h=2160" in told
    assert "-c:v h264_vaapi" in told


def test_ffmpeg_copies_where_we_do() -> None:
    told = " ".join(command(Peer("f", "f"), COPIED, CLIP, TARGET, KIND))
    assert "-c:v copy" in told
    assert "libx264" not in told


def test_ratios_are_of_rounds_and_the_median_counts() -> None:
    result = _compared([11.0, 30.0, 10.0], [10.0, 10.0, 10.0])
    assert result.ratios("ffmpeg") == [1.1, 3.0, 1.0]
    assert not result.missed
    assert _compared([12.0], [10.0]).missed
    assert not result.disturbed
    assert _compared([12.0], [10.0], others=0.5).disturbed


def test_tables_and_documents_tell_all_of_it() -> None:
    result = _compared([12.0, 13.0], [10.0, 10.0])
    told = shown([result])
    for words in ("MJPEG to H.264", "12.5 ms", "1.25", "1.1 or less: missed", "ffmpeg -i clip"):
        assert words in told
    document = json.loads(json.dumps(result.document()))
    assert document["ratios"] == {"ffmpeg": [1.2, 1.3]}
    assert document["recording_milliseconds"] == 12.5 - result.watching_milliseconds
    assert document["missed"] is True


def test_without_an_ffmpeg_it_says_how_to_get_one() -> None:
    alone = dataclasses.replace(_compared([12.0], [10.0]), theirs={}, commands={})
    assert HOW_TO_GET_FFMPEG in shown([alone])
    assert "12.0 ms" in shown([alone])
    assert not alone.missed


def test_the_ffmpegs_that_are_found_are_there() -> None:
    assert all(Path(peer.program).exists() for peer in ffmpegs())
