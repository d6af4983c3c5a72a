from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorderd.core.model import Mode
from recorderd.engine.encoder_kinds import HEADROOM, KINDS
from recorderd.engine.mode import choose, needs_proofs
from recorderd.engine.packets import StreamDescription
from recorderd.engine.probe import EncoderProof
from recorderd.errors import DeviceError


def camera(codec: str, rate: int = 30) -> StreamDescription:
    return StreamDescription(codec, 3840, 2160, Fraction(rate), "yuvj422p", True)


def proof(name: str, variant: str, speed: float, proved: bool = True) -> EncoderProof:
    return EncoderProof(name, variant, True, proved, speed, "" if proved else "it crashed")


QSV = proof("h264_qsv", "icq", 120.0)
SUPERFAST = proof("libx264", "superfast", 20.0)
ULTRAFAST = proof("libx264", "ultrafast", 40.0)


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_what_is_compressed_already_is_copied(codec: str) -> None:
    assert choose("auto", "auto", camera(codec), [QSV]).mode is Mode.COPY
    assert choose("defer", "auto", camera(codec), []).mode is Mode.COPY
    assert not needs_proofs("auto", camera(codec))


def test_a_compressed_stream_is_encoded_anew_only_if_asked() -> None:
    choice = choose("encode", "auto", camera("h264"), [QSV])
    assert (choice.mode, choice.encoder and choice.encoder.name) == (Mode.ENCODE, "h264_qsv")
    assert needs_proofs("encode", camera("h264"))


def test_the_first_fast_enough_wins_not_the_fastest() -> None:
    faster = proof("libx264", "ultrafast", 500.0)
    choice = choose("auto", "auto", camera("mjpeg"), [QSV, faster])
    assert choice.encoder is not None
    assert choice.encoder.name == "h264_qsv"
    assert [variant.name for variant in choice.encoder.variants] == ["icq"]


def test_the_slower_variant_is_passed_over_for_one_with_headroom() -> None:
    choice = choose("auto", "auto", camera("mjpeg"), [SUPERFAST, ULTRAFAST])
    assert choice.encoder is not None
    assert choice.encoder.variants[0].name == "ultrafast"
    assert "40 pictures a second" in choice.reason


@pytest.mark.parametrize(("speed", "mode"), [(38.9, Mode.DEFER), (39.0, Mode.ENCODE)])
def test_headroom_is_thirty_percent(speed: float, mode: Mode) -> None:
    only = proof("libx264", "ultrafast", speed)
    assert choose("auto", "auto", camera("mjpeg"), [only]).mode is mode


def test_too_slow_or_unproved_means_defer_for_jpeg() -> None:
    slow = choose("auto", "auto", camera("mjpeg"), [SUPERFAST])
    assert slow.mode is Mode.DEFER
    assert "20 pictures a second" in slow.reason
    broken = proof("h264_qsv", "icq", 0.0, proved=False)
    assert choose("auto", "auto", camera("mjpeg"), [broken]).mode is Mode.DEFER


def test_raw_pictures_take_the_fastest_encoder_and_say_what_that_means() -> None:
    slower = proof("h264_v4l2m2m", "bitrate", 9.0)
    choice = choose("auto", "auto", camera("rawvideo"), [slower, SUPERFAST])
    assert choice.encoder is not None
    assert choice.encoder.name == "libx264"
    assert "may be dropped" in choice.reason


def test_a_named_encoder_is_used_alone() -> None:
    choice = choose("auto", "libx264", camera("mjpeg"), [QSV, ULTRAFAST])
    assert choice.encoder is not None
    assert choice.encoder.name == "libx264"
    assert choose("auto", "h264_nvenc", camera("mjpeg"), [QSV]).mode is Mode.DEFER


def test_defer_when_asked_although_an_encoder_is_fast_enough() -> None:
    assert choose("defer", "auto", camera("mjpeg"), [QSV]).mode is Mode.DEFER
    assert not needs_proofs("defer", camera("mjpeg"))


@pytest.mark.parametrize(
    ("mode", "encoder", "codec", "words"),
    [
        ("copy", "auto", "mjpeg", "recording.mode to auto"),
        ("copy", "auto", "rawvideo", "recording.mode to auto"),
        ("defer", "auto", "rawvideo", "recording.mode to auto"),
        ("encode", "h264_nvenc", "mjpeg", "recording.encoder to auto"),
        ("auto", "auto", "vp8", "doctor --encoders"),
        ("auto", "h265_magic", "mjpeg", "one of h264_qsv"),
    ],
)
def test_the_impossible_is_refused_with_a_remedy(
    mode: str, encoder: str, codec: str, words: str
) -> None:
    proofs = [QSV] if encoder != "auto" or mode != "auto" else []
    with pytest.raises(DeviceError) as refused:
        choose(mode, encoder, camera(codec), proofs)
    assert words in refused.value.remedy


some_proofs = st.lists(
    st.sampled_from([(kind.name, variant.name) for kind in KINDS for variant in kind.variants])
    .flatmap(
        lambda names: st.builds(
            EncoderProof,
            st.just(names[0]),
            st.sampled_from([names[1], ""]),
            st.booleans(),
            st.booleans(),
            st.floats(0, 1000),
            st.text(max_size=5),
        )
    )
    .filter(lambda proof: bool(proof.variant) or not proof.proved),
    max_size=8,
)


@given(
    st.sampled_from(["auto", "copy", "encode", "defer"]),
    st.sampled_from(["auto", "", "nonsense", *(kind.name for kind in KINDS)]),
    st.sampled_from(["mjpeg", "rawvideo", "h264", "hevc", "av1", ""]),
    st.integers(1, 240),
    some_proofs,
)
def test_every_combination_is_a_sound_choice_or_a_refusal(
    mode: str, encoder: str, codec: str, rate: int, proofs: list[EncoderProof]
) -> None:
    try:
        choice = choose(mode, encoder, camera(codec, rate), proofs)
    except DeviceError:
        # Deferring never fails for JPEG, so only an explicit wish can be refused there.
        assert codec != "mjpeg" or mode in ("copy", "encode") or encoder in ("", "nonsense")
        return
    assert choice.reason
    assert (choice.encoder is not None) == (choice.mode is Mode.ENCODE)
    if choice.encoder is not None:
        used = [p for p in proofs if p.proved and p.name == choice.encoder.name]
        assert choice.encoder.variants[0].name in {p.variant for p in used}
        assert encoder in ("auto", choice.encoder.name)
    if choice.mode is Mode.ENCODE and mode == "auto" and codec == "mjpeg":
        assert any(p.frames_per_second >= rate * HEADROOM for p in used)
    if choice.mode is Mode.COPY:
        assert codec in ("h264", "hevc")
    if choice.mode is Mode.DEFER:
        assert codec == "mjpeg"
    assert choice.mode is not Mode.COPY or not needs_proofs(mode, camera(codec, rate))
