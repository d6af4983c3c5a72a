from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from fractions import Fraction
from pathlib import Path

import av
import av.logging
import pytest

from recorderd.engine import probe_process
from recorderd.engine.encoder_kinds import KINDS, EncodeRequest, kind_named
from recorderd.engine.encoder_presence import why_absent
from recorderd.engine.encoders import VideoEncoder, VideoPacket
from recorderd.engine.probe import (
    EncoderProof,
    is_fast_enough,
    probe_all,
    proof_from,
    request_document,
    request_from,
)
from tests.engine.pictures import X264_BESIDE, of_size

REQUEST = EncodeRequest(
    codec="mjpeg",
    width=320,
    height=240,
    rate=Fraction(30),
    pixel_format="yuvj420p",
    full_range=True,
    gop_seconds=2.0,
    quality=23,
    bits_per_second=2_000_000,
    recorded_width=320,
    recorded_height=240,
)
X264 = kind_named("libx264")
QSV = kind_named("h264_qsv")
VAAPI = kind_named("h264_vaapi")
GOOD_LINE = asdict(EncoderProof("libx264", "superfast-slices", True, True, 99.0, ""))


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """The dev, sys and proc of a computer with an Intel chip."""
    root = tmp_path / "root"
    (root / "proc/sys/kernel/random").mkdir(parents=True)
    (root / "proc/sys/kernel/random/boot_id").write_text("first boot\n")
    (root / "proc/cpuinfo").write_text("model name : Some N100\nmodel name : Some N100\n")
    (root / "dev/dri").mkdir(parents=True)
    (root / "dev/dri/renderD128").touch()
    (root / "sys/class/drm/renderD128/device").mkdir(parents=True)
    (root / "sys/class/drm/renderD128/device/vendor").write_text("0x8086\n")
    return root


class Child:
    """A program in place of the child: counts its starts and does what it is told."""

    def __init__(self, folder: Path, body: str) -> None:
        self._starts = folder / "starts"
        self.script = folder / "child.py"
        self.script.write_text(
            "import json, os, signal, sys, time\n"
            "job = json.load(sys.stdin)\n"
            f"open({str(self._starts)!r}, 'a').write(job['kind'] + '\\n')\n" + body
        )
        self.command = (sys.executable, str(self.script))

    @property
    def started(self) -> list[str]:
        return self._starts.read_text().split() if self._starts.exists() else []


def answering(folder: Path, speed: float = 99.0) -> Child:
    """A child that says of every kind's first variant that it works so fast."""
    return Child(
        folder,
        f"known = { ({kind.name: kind.variants[0].name for kind in KINDS})!r}\n"
        "print(json.dumps({'name': job['kind'], 'variant': known[job['kind']], 'opened': True, "
        f"'proved': True, 'frames_per_second': {speed}, 'why_not': ''}}))\n",
    )


def test_the_processor_proves_itself_in_a_real_child(tmp_path: Path) -> None:
    (proof,) = probe_all(REQUEST, tmp_path / "encoders.json", kinds=(X264,))
    assert (proof.name, proof.variant) == ("libx264", "superfast-slices")
    assert proof.opened
    assert proof.proved, proof.why_not
    assert proof.frames_per_second > 39
    assert is_fast_enough(proof, REQUEST)


def test_what_cannot_be_opened_is_told_variant_by_variant(tmp_path: Path) -> None:
    proofs = probe_all(of_size(REQUEST, 321, REQUEST.height), None, kinds=(X264,))
    assert [proof.variant for proof in proofs] == ["superfast-slices", "superfast", "ultrafast"]
    assert not any(proof.opened or proof.proved for proof in proofs)
    assert "width not divisible by 2" in proofs[0].why_not


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", "crashed (signal 11, SIGSEGV)"),
        ("os.abort()", "crashed (signal 6, SIGABRT)"),
        ("sys.exit('cannot load libfoo.so')", "the trial failed: cannot load libfoo.so"),
        ("sys.exit(3)", "the trial failed: exit code 3"),
        ("print('libva info: hello')", "the trial ended without a result"),
    ],
)
def test_a_child_that_dies_costs_only_its_own_kind(
    tmp_path: Path, machine: Path, body: str, words: str
) -> None:
    good = f"print({json.dumps(GOOD_LINE)!r})"
    child = Child(tmp_path, f"if job['kind'] == 'h264_qsv':\n    {body}\nelse:\n    {good}\n")
    died, proved = probe_all(REQUEST, None, kinds=(QSV, X264), command=child.command, root=machine)
    assert died == EncoderProof("h264_qsv", "icq", False, False, 0.0, words)
    assert proved.proved


def test_what_was_proved_before_a_crash_still_counts(tmp_path: Path) -> None:
    child = Child(
        tmp_path,
        f"print({json.dumps(GOOD_LINE)!r}, flush=True)\nos.kill(os.getpid(), signal.SIGSEGV)\n",
    )
    first, second = probe_all(REQUEST, None, kinds=(X264,), command=child.command, everything=True)
    assert first.proved
    assert (second.variant, second.proved) == ("superfast", False)
    assert "signal 11" in second.why_not


def test_a_child_that_hangs_is_killed(tmp_path: Path) -> None:
    child = Child(tmp_path, f"print({json.dumps(GOOD_LINE)!r}, flush=True)\ntime.sleep(600)\n")
    started = time.monotonic()
    first, second = probe_all(REQUEST, None, kinds=(X264,), command=child.command, time_limit=1.0)
    assert time.monotonic() - started < 10
    assert first.proved
    assert second.why_not == "did not finish within 1 seconds"


def test_a_trial_that_is_given_up_ends_at_once_and_is_not_remembered(
    tmp_path: Path, machine: Path
) -> None:
    child, cache = Child(tmp_path, "time.sleep(600)\n"), tmp_path / "encoders.json"
    proofs = probe_all(
        REQUEST,
        cache,
        kinds=(QSV, X264),
        command=child.command,
        root=machine,
        give_up=lambda: bool(child.started),
    )
    assert (proofs, child.started) == ((), ["h264_qsv"])
    assert not cache.exists()


def test_what_is_remembered_can_be_tried_anew(tmp_path: Path, machine: Path) -> None:
    cache = tmp_path / "encoders.json"
    speeds = []
    for speed, anew in ((50.0, False), (60.0, False), (70.0, True), (80.0, False)):
        child = answering(tmp_path, speed)
        (proof,) = probe_all(
            REQUEST, cache, kinds=(X264,), command=child.command, root=machine, anew=anew
        )
        speeds.append(proof.frames_per_second)
    assert speeds == [50.0, 50.0, 70.0, 70.0]


def test_a_child_that_cannot_be_started(tmp_path: Path) -> None:
    (proof,) = probe_all(REQUEST, None, kinds=(X264,), command=[str(tmp_path / "missing")])
    assert "could not be started" in proof.why_not


def test_stops_at_the_first_that_is_fast_enough_unless_all_are_wanted(
    tmp_path: Path, machine: Path
) -> None:
    child = answering(tmp_path)
    few = probe_all(REQUEST, None, kinds=(QSV, X264), command=child.command, root=machine)
    assert [proof.name for proof in few] == ["h264_qsv"]
    everything = probe_all(
        REQUEST, None, kinds=(QSV, X264), command=child.command, root=machine, everything=True
    )
    assert [proof.name for proof in everything] == ["h264_qsv", "libx264"]


def test_goes_on_after_one_that_is_too_slow(tmp_path: Path, machine: Path) -> None:
    child = answering(tmp_path, speed=38.9)
    proofs = probe_all(REQUEST, None, kinds=(QSV, X264), command=child.command, root=machine)
    assert [proof.name for proof in proofs] == ["h264_qsv", "libx264"]


def test_only_the_wanted_kind_is_tried(tmp_path: Path, machine: Path) -> None:
    child = answering(tmp_path)
    proofs = probe_all(REQUEST, None, wanted="libx264", command=child.command, root=machine)
    assert [proof.name for proof in proofs] == ["libx264"]
    assert probe_all(REQUEST, None, wanted="nonsense", command=child.command) == ()


def test_a_demoted_kind_is_not_tried_and_not_remembered_as_bad(
    tmp_path: Path, machine: Path
) -> None:
    child, cache = answering(tmp_path), tmp_path / "encoders.json"

    def names(demoted: dict[str, str]) -> list[tuple[str, bool]]:
        proofs = probe_all(
            REQUEST, cache, kinds=(QSV, X264), demoted=demoted, command=child.command, root=machine
        )
        return [(proof.name, proof.proved) for proof in proofs]

    assert names({"h264_qsv": "it stalled"}) == [("h264_qsv", False), ("libx264", True)]
    assert child.started == ["libx264"]
    assert names({}) == [("h264_qsv", True)]
    assert names({"h264_qsv": "it stalled"}) == [("h264_qsv", False), ("libx264", True)]
    assert child.started == ["libx264", "h264_qsv"]


def test_answers_are_kept_for_this_boot_and_hardware(tmp_path: Path, machine: Path) -> None:
    child, cache = answering(tmp_path), tmp_path / "encoders.json"

    def probe(request: EncodeRequest = REQUEST) -> tuple[EncoderProof, ...]:
        return probe_all(request, cache, kinds=(X264,), command=child.command, root=machine)

    first = probe()
    assert probe() == first
    assert len(child.started) == 1
    probe(of_size(REQUEST, 640, REQUEST.height))
    assert len(child.started) == 2
    probe()
    probe(of_size(REQUEST, 640, REQUEST.height))
    assert len(child.started) == 2

    (machine / "dev/video0").touch()
    probe()
    assert len(child.started) == 3
    (machine / "proc/sys/kernel/random/boot_id").write_text("second boot\n")
    probe()
    assert len(child.started) == 4


DAMAGE: list[Callable[[str], str]] = [
    lambda _: "",
    lambda text: text[: len(text) // 2],
    lambda _: "[]",
    lambda _: '{"format": 2, "machine": {}, "answers": {}}',
    lambda text: text.replace('"format": 2', '"format": 1'),
    lambda text: text.replace('"proved": true', '"proved": "yes"'),
    lambda text: text.replace('"variant": "superfast-slices"', '"variant": "hyperfast"'),
    lambda _: "[" * 200_000,
]


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_or_foreign_cache_only_costs_a_probe(
    tmp_path: Path, machine: Path, damage: Callable[[str], str]
) -> None:
    child, cache = answering(tmp_path), tmp_path / "encoders.json"
    first = probe_all(REQUEST, cache, kinds=(X264,), command=child.command, root=machine)
    cache.write_text(damage(cache.read_text()))
    again = probe_all(REQUEST, cache, kinds=(X264,), command=child.command, root=machine)
    assert again == first
    assert len(child.started) == 2
    assert [file.name for file in tmp_path.glob("encoders.json*")] == ["encoders.json"]


def test_a_folder_that_cannot_be_written_does_no_harm(tmp_path: Path, machine: Path) -> None:
    child = answering(tmp_path)
    cache = tmp_path / "missing" / "encoders.json"
    assert probe_all(REQUEST, cache, kinds=(X264,), command=child.command, root=machine)[0].proved


def test_the_cache_does_not_grow_for_ever(tmp_path: Path, machine: Path) -> None:
    child, cache = answering(tmp_path), tmp_path / "encoders.json"
    for width in range(160, 160 + 2 * 12, 2):
        request = of_size(REQUEST, width, REQUEST.height)
        probe_all(request, cache, kinds=(X264,), command=child.command, root=machine)
    assert len(json.loads(cache.read_text())["answers"]) == 8


def test_request_and_proof_survive_json() -> None:
    request = replace(REQUEST, rate=Fraction(30_000, 1001))
    assert request_from(json.loads(json.dumps(request_document(request)))) == request
    assert proof_from(json.loads(json.dumps(GOOD_LINE))) == EncoderProof(**GOOD_LINE)
    assert proof_from({**GOOD_LINE, "proved": 1}) is None
    assert proof_from("text") is None


def test_absent_hardware_is_explained_without_a_child(tmp_path: Path, machine: Path) -> None:
    child = answering(tmp_path)
    hardware = [kind for kind in KINDS if kind.name not in ("h264_qsv", "h264_vaapi", "libx264")]
    proofs = probe_all(REQUEST, None, kinds=hardware, command=child.command, root=machine)
    assert [proof.why_not.split(",")[0] for proof in proofs] == [
        "no NVIDIA graphics here",
        "no AMD graphics here",
        "this board has no video encoder (a Raspberry Pi 4 has one",
    ]
    assert child.started == []


def test_a_device_that_is_there_is_tried_unless_it_is_forbidden(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert why_absent(QSV, REQUEST, machine) is None
    # Root may open everything, so the answer of the system is put in its place.
    monkeypatch.setattr("os.access", lambda *_: False)
    assert "group 'render'" in (why_absent(QSV, REQUEST, machine) or "")


def test_graphics_of_any_maker_that_an_ffmpeg_program_can_use(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vendor = machine / "sys/class/drm/renderD128/device/vendor"
    for maker in ("0x8086", "0x1002"):
        vendor.write_text(maker + "\n")
        assert why_absent(VAAPI, REQUEST, machine) is None
    vendor.write_text("0x10de\n")
    assert why_absent(VAAPI, REQUEST, machine) == "no Intel or AMD graphics here"
    vendor.write_text("0x1002\n")
    assert "takes a camera's MJPEG" in (
        why_absent(VAAPI, replace(REQUEST, codec="h264"), machine) or ""
    )
    with monkeypatch.context() as forbidding:
        forbidding.setattr("os.access", lambda *_: False)
        assert "group 'render'" in (why_absent(VAAPI, REQUEST, machine) or "")
    monkeypatch.setenv("PATH", str(machine))
    assert "apt-get install ffmpeg" in (why_absent(VAAPI, REQUEST, machine) or "")


def test_the_board_of_a_raspberry_pi_4(machine: Path) -> None:
    v4l2 = kind_named("h264_v4l2m2m")
    for number, name in ((0, "USB Camera"), (11, "bcm2835-codec-encode")):
        folder = machine / f"sys/class/video4linux/video{number}"
        folder.mkdir(parents=True)
        (folder / "name").write_text(name + "\n")
        (machine / f"dev/video{number}").touch()
    assert why_absent(v4l2, REQUEST, machine) is None
    too_wide = why_absent(
        v4l2,
        of_size(REQUEST, 3840, 2160),
        machine,
    )
    assert too_wide is not None
    assert "2032x1920" in too_wide


def proof_of(request: EncodeRequest) -> EncoderProof:
    return probe_process.prove(X264, request, probe_process.camera_pictures(request))


@pytest.mark.parametrize(
    ("codec", "pixel_format", "full_range"),
    [
        ("mjpeg", "yuvj420p", True),
        ("mjpeg", "yuvj422p", True),
        ("rawvideo", "nv12", False),
        ("rawvideo", "yuyv422", False),
        ("h264", "yuv420p", False),
        ("hevc", "yuv420p", False),
    ],
)
def test_every_kind_of_camera_can_be_proved(
    codec: str, pixel_format: str, full_range: bool
) -> None:
    request = replace(REQUEST, codec=codec, pixel_format=pixel_format, full_range=full_range)
    proof = proof_of(request)
    assert proof.proved, proof.why_not
    # A level kept for longer has hung processes with threaded decoders (PyAV#751).
    assert av.logging.get_level() is None


def test_a_program_beside_is_proved_with_the_same_pictures() -> None:
    proof = probe_process.prove(X264_BESIDE, REQUEST, probe_process.camera_pictures(REQUEST))
    assert proof.proved, proof.why_not
    assert proof.frames_per_second > 0
    smaller = replace(REQUEST, recorded_width=160, recorded_height=120)
    proof = probe_process.prove(X264_BESIDE, smaller, probe_process.camera_pictures(smaller))
    assert proof.proved, proof.why_not


@pytest.mark.parametrize(
    ("filters", "words"),
    [
        ("negate,format=yuvj420p", "colours are wrong"),
        ("select=lt(n\\,9),format=yuvj420p", "pictures were given and 9 came back"),
        ("setpts=PTS*2,format=yuvj420p", "at other times"),
        ("no_such_filter", "no_such_filter"),
    ],
)
def test_a_program_that_gives_out_something_else_is_not_proved(filters: str, words: str) -> None:
    threads = threading.active_count()
    kind = replace(X264_BESIDE, variants=(replace(X264_BESIDE.variants[0], filters=filters),))
    proof = probe_process.prove(kind, REQUEST, probe_process.camera_pictures(REQUEST))
    assert not proof.proved
    assert words in proof.why_not
    assert threading.active_count() == threads


@pytest.mark.parametrize(
    ("break_it", "words"),
    [
        ("colours", "colours are wrong"),
        ("lost", "pictures were given and"),
        ("late", "at other times"),
        ("keyframe", "no keyframe was made"),
    ],
)
def test_a_file_that_is_not_what_was_given_is_not_proved(
    monkeypatch: pytest.MonkeyPatch, break_it: str, words: str
) -> None:
    class Broken(VideoEncoder):
        def _configure(self) -> None:
            super()._configure()
            if break_it == "colours":
                self.stream.codec_context.pix_fmt = self._pixel_format = "yuv420p"
                self.stream.codec_context.color_range = 1

        def _keyframe_due(self, pts: int) -> bool:
            return break_it != "keyframe" and super()._keyframe_due(pts)

        def _ready(self, packets: Sequence[VideoPacket]) -> list[VideoPacket]:
            ready = super()._ready(packets)
            for packet in ready:
                if break_it == "late" and not packet.is_keyframe:
                    packet.pts = packet.dts = (packet.pts or 0) + 500
            return [packet for packet in ready if break_it != "lost" or packet.is_keyframe]

    monkeypatch.setattr(probe_process, "VideoEncoder", Broken)
    threads = threading.active_count()
    proof = proof_of(REQUEST)
    assert proof.opened
    assert not proof.proved
    assert words in proof.why_not
    assert threading.active_count() == threads


@pytest.mark.slow
def test_4k_is_proved_within_the_time_limit(tmp_path: Path) -> None:
    request = replace(
        REQUEST,
        width=3840,
        height=2160,
        recorded_width=3840,
        recorded_height=2160,
        pixel_format="yuvj422p",
    )
    cache = tmp_path / "encoders.json"
    proofs = probe_all(request, cache, kinds=(X264,))
    assert all(proof.proved for proof in proofs), proofs
    started = time.monotonic()
    assert probe_all(request, cache, kinds=(X264,)) == proofs
    assert time.monotonic() - started < 0.5
