from __future__ import annotations

import json
from fractions import Fraction

import pytest

from recorderd.doctor import encoders as doctor
from recorderd.engine.probe import EncoderProof
from recorderd.settings import CameraSettings, Settings

SMALL = Settings(camera=CameraSettings(width=320, height=240, rate=29.97))
ABSENT = EncoderProof("h264_qsv", "", False, False, 0.0, "no Intel graphics here")


def test_the_table_of_this_machine_names_every_encoder() -> None:
    proofs = doctor.encoder_table(SMALL)
    assert {proof.name for proof in proofs} >= {"h264_qsv", "h264_v4l2m2m", "libx264"}
    assert all(proof.proved or proof.why_not for proof in proofs)


def test_the_camera_of_the_settings_is_assumed() -> None:
    camera = doctor.assumed_camera(SMALL)
    assert (camera.width, camera.height, camera.rate) == (320, 240, Fraction(2997, 100))


def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], as_json: bool, speed: float
) -> tuple[int, str]:
    proofs = [ABSENT]
    if speed:
        proofs.append(EncoderProof("libx264", "superfast", True, True, speed, ""))
    monkeypatch.setattr(doctor, "probe_all", lambda *_, **__: tuple(proofs))
    return doctor.run_encoders(SMALL, as_json), capsys.readouterr().out


def test_a_fast_machine_encodes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, printed = run(monkeypatch, capsys, False, 100.0)
    assert code == 0
    assert "h264_qsv           no      no      -           no Intel graphics here" in printed
    assert "libx264 superfast  yes     yes     100\n" in printed
    assert "Mode auto would choose: encode" in printed


def test_a_slow_machine_defers_and_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, printed = run(monkeypatch, capsys, False, 20.0)
    assert code == 0
    assert "too slow: 39 a second are needed" in printed
    assert "Mode auto would choose: defer" in printed


def test_without_any_encoder_the_exit_code_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, printed = run(monkeypatch, capsys, True, 0.0)
    assert code == 1
    document = json.loads(printed)
    assert document["auto"]["mode"] == "defer"
    assert document["encoders"][0] == {
        "name": "h264_qsv",
        "variant": "",
        "opened": False,
        "proved": False,
        "frames_per_second": 0.0,
        "why_not": "no Intel graphics here",
        "fast_enough": False,
    }
