"""`recorderd bench record`: what recording costs, beside the ffmpeg program that only records.

The whole station, reading labels all the while, and ffmpeg play the same video file at the
camera's pace, in turn, and encode it with the same encoder and the same options, or copy it.
What counts is the time that all their processes spend on the processor for a picture.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path
from statistics import median
from typing import Any, Final

from recorderd.bench import clips, processes
from recorderd.bench.beside import fitting_rate
from recorderd.bench.report import number, table, tell
from recorderd.bench.trials import before_a_clip, one_after_another
from recorderd.core.model import Mode
from recorderd.doctor.encoders import encoder_table
from recorderd.engine import encoder_program, mode
from recorderd.engine.encoder_kinds import EncodeRequest, EncoderKind, kind_named
from recorderd.engine.mode_chooser import PROOFS_FILE
from recorderd.engine.packets import StreamDescription
from recorderd.engine.probe import EncoderProof, proof_document, request_document
from recorderd.engine.probe_cache import ProbeCache
from recorderd.errors import DeviceError
from recorderd.settings import Settings
from recorderd.store.reader import find

ROUNDS: Final = 3
ENCODE_GOAL: Final = 1.1
COPY_GOAL: Final = 1.5
CAMERA_RATE: Final = 30
ORDER: Final = "BENCH-1"
HOW_TO_GET_FFMPEG: Final = (
    "no ffmpeg program that can do this to compare with: sudo apt-get install ffmpeg, and for a "
    "newer one pip install imageio-ffmpeg"
)
_SETTLE_SECONDS: Final = 4.0
_SECONDS: Final = 10.0
_WATCHED_SECONDS: Final = 4.0
_LABEL: Final = (10.0, 17.0)
"""When it is shown; until then the station starts, and its watching is measured."""
_CLIP_SECONDS: Final = 36.0


@dataclass(frozen=True, slots=True)
class Case:
    """What the camera sends, how it is recorded, and what `ours / ffmpeg` may be at most."""

    name: str
    codec: str
    mode: Mode
    rate: int
    goal: float


@dataclass(frozen=True, slots=True)
class Peer:
    """An ffmpeg program."""

    name: str
    program: str


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one side in one round. Milliseconds of processor for a picture, megabytes at the end;
    `dropped` pictures are known of ours only."""

    milliseconds: float
    megabytes: float
    other_cores: float
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class Compared:
    """One case: ours and each peer's, round by round, and what the peers were told to do."""

    case: Case
    ours: list[Cost]
    theirs: dict[str, list[Cost]]
    commands: dict[str, str]
    watching_milliseconds: float
    """What the station costs for a picture of the same camera while it records nothing."""

    @property
    def recording_milliseconds(self) -> float:
        """What recording adds to watching: reading labels goes on in any case."""
        return median(cost.milliseconds for cost in self.ours) - self.watching_milliseconds

    def ratios(self, peer: str) -> list[float]:
        return [
            ours.milliseconds / theirs.milliseconds
            for ours, theirs in zip(self.ours, self.theirs[peer], strict=True)
        ]

    @property
    def missed(self) -> bool:
        return any(median(self.ratios(peer)) > self.case.goal for peer in self.theirs)

    @property
    def disturbed(self) -> bool:
        every = [*self.ours, *(cost for costs in self.theirs.values() for cost in costs)]
        return median(cost.other_cores for cost in every) > processes.DISTURBING_CORES

    def document(self) -> dict[str, Any]:
        """For programs."""
        return asdict(self) | {
            "recording_milliseconds": self.recording_milliseconds,
            "ratios": {peer: self.ratios(peer) for peer in self.theirs},
            "missed": self.missed,
            "disturbed": self.disturbed,
        }


def run(as_json: bool) -> int:
    """Measure and print; takes about ten minutes.

    Returns 0, or 1 if ours cost more than its goal and nothing else had the processor. Raises
    DeviceError, StorageError.
    """
    processes.end_with_what_was_started()
    peers = ffmpegs()
    proofs = [proof for proof in encoder_table(Settings()) if proof.proved]
    rate = round(fitting_rate([proof.frames_per_second for proof in proofs]))
    cases = (
        Case(f"MJPEG to H.264, {rate}/s", "mjpeg", Mode.ENCODE, rate, ENCODE_GOAL),
        Case(f"H.264 copied, {CAMERA_RATE}/s", "libx264", Mode.COPY, CAMERA_RATE, COPY_GOAL),
        Case(f"MJPEG copied, {CAMERA_RATE}/s", "mjpeg", Mode.DEFER, CAMERA_RATE, COPY_GOAL),
    )
    kind = mode.choose(Mode.ENCODE, mode.AUTO, _camera(cases[0]), proofs).encoder
    assert kind is not None  # noqa: S101 - for the type checker
    chosen = next(
        each for each in proofs if (each.name, each.variant) == (kind.name, kind.variants[0].name)
    )
    results = one_after_another(cases, lambda case, folder: _compare(case, peers, chosen, folder))
    return tell(
        "record",
        shown(results),
        as_json=as_json,
        failed=any(result.missed and not result.disturbed for result in results),
        cases=[result.document() for result in results],
    )


def ffmpegs() -> list[Peer]:
    """Those that are installed here: the distribution's, and a recent one from PyPI."""
    found = []
    if program := shutil.which("ffmpeg"):
        found.append(Peer("ffmpeg", program))
    try:
        import imageio_ffmpeg
    except ImportError:
        return found
    program = imageio_ffmpeg.get_ffmpeg_exe()
    return [*found, Peer("ffmpeg of imageio-ffmpeg", program)]


def command(peer: Peer, case: Case, clip: Path, target: Path, kind: EncoderKind) -> list[str]:
    """What ffmpeg is told: the same encoder with the same options at the same pace."""
    before: Sequence[str] = ()
    how = ["-c:v", "copy"]
    if case.mode is Mode.ENCODE:
        request = EncodeRequest.for_stream(_camera(case), Settings().recording)
        how = _encoding(kind, request)
        before = kind.variants[0].before_input
    return [
        *(peer.program, "-nostdin", "-loglevel", "error", *before, "-re", "-i", str(clip)),
        *how,
        *("-y", str(target)),
    ]


def _encoding(kind: EncoderKind, request: EncodeRequest) -> list[str]:
    if kind.beside:
        return encoder_program.encoding(kind, request)
    options = kind.variants[0].words_for(request)
    group = str(round(request.rate * Fraction(request.gop_seconds)))
    # The camera's range is kept, as ours does.
    pixels = "yuvj420p" if kind.pixel_format == "yuv420p" else kind.pixel_format
    return ["-c:v", kind.name, *options, "-bf", "0", "-g", group, "-pix_fmt", pixels]


def _has(peer: Peer, encoder: str) -> bool:
    """Whether this ffmpeg knows the encoder; one in hardware is not in all of them."""
    listed = subprocess.run(
        [peer.program, "-hide_banner", "-encoders"], capture_output=True, text=True, check=False
    )
    return encoder in listed.stdout.split()


def _camera(case: Case) -> StreamDescription:
    width, height = clips.SIZE
    return StreamDescription("mjpeg", width, height, Fraction(case.rate), "yuvj420p", True)


def _compare(case: Case, peers: Sequence[Peer], chosen: EncoderProof, folder: Path) -> Compared:
    kind = kind_named(chosen.name).only(chosen.variant)
    clip, target = folder / "clip.mp4", folder / "ffmpeg.mp4"
    clips.write(
        clips.Clip(_CLIP_SECONDS, case.rate, clips.showing(ORDER, *_LABEL), case.codec), clip
    )
    commands = {
        peer.name: command(peer, case, clip, target, kind)
        for peer in peers
        if case.mode is not Mode.ENCODE or _has(peer, kind.name)
    }
    ours: list[Cost] = []
    theirs: dict[str, list[Cost]] = {name: [] for name in commands}
    watching: list[float] = []
    for turn in range(ROUNDS):
        station = folder / f"station-{turn}"
        station.mkdir()
        cost, idle = _our_cost(case, clip, chosen, station)
        ours.append(cost)
        watching.append(idle)
        for name, words in commands.items():
            theirs[name].append(_their_cost(case, words))
            target.unlink(missing_ok=True)
        shutil.rmtree(station)
    told = {name: shlex.join(words) for name, words in commands.items()}
    return Compared(case, ours, theirs, told, median(watching))


def _our_cost(case: Case, clip: Path, chosen: EncoderProof, folder: Path) -> tuple[Cost, float]:
    station = before_a_clip(folder, clip, case.rate, {"mode": case.mode.value})
    try:
        _believe(station.settings, case, chosen)
        station.start()
        station.wait_until_ready()
        recorder = station.recorder()
        watching = _measure(case, recorder, _WATCHED_SECONDS)
        station.wait_until_recording()
        time.sleep(_SETTLE_SECONDS)
        cost = _measure(case, recorder)
    finally:
        station.close()
    rows = find(station.settings.database_url, ORDER, 1)
    cost = replace(cost, dropped=sum(row.dropped or 0 for row in rows))
    return cost, watching.milliseconds


def _believe(settings: Settings, case: Case, chosen: EncoderProof) -> None:
    """Let the station encode as ffmpeg does: with a trial of its own it may choose otherwise."""
    settings.state_folder.mkdir(parents=True)
    request = EncodeRequest.for_stream(_camera(case), settings.recording)
    cache = ProbeCache(settings.state_folder / PROOFS_FILE, request_document(request), Path("/"))
    cache.keep(chosen.name, [proof_document(chosen)])


def _their_cost(case: Case, words: Sequence[str]) -> Cost:
    with subprocess.Popen(words, stdin=subprocess.DEVNULL) as process:
        try:
            time.sleep(_SETTLE_SECONDS)
            if process.poll() is not None:
                raise DeviceError("ffmpeg ended at once", f"Try: {shlex.join(words)}")
            return _measure(case, [process.pid])
        finally:
            process.kill()


def _measure(case: Case, process_ids: Sequence[int], seconds: float = _SECONDS) -> Cost:
    others, began = processes.Others(), time.monotonic()
    before = processes.cpu_seconds(process_ids)
    time.sleep(seconds)
    spent = processes.cpu_seconds(process_ids) - before
    pictures = (time.monotonic() - began) * case.rate
    return Cost(1000 * spent / pictures, processes.memory_bytes(process_ids) / 1e6, others.cores())


def shown(results: Sequence[Compared]) -> str:
    """For people."""
    lines: list[tuple[str, ...]] = [
        (
            "",
            "processor",
            "ratio",
            "span",
            "goal",
            "memory",
            "dropped",
            "only watching",
            "recording adds",
        )
    ]
    for result in results:
        lines.append(
            (
                f"{result.case.name}: recorderd",
                _milliseconds(result.ours),
                *("", "", ""),
                _megabytes(result.ours),
                str(sum(cost.dropped for cost in result.ours)),
                f"{number(result.watching_milliseconds)} ms",
                f"{number(result.recording_milliseconds)} ms",
            )
        )
        for peer, costs in result.theirs.items():
            ratios = result.ratios(peer)
            goal = f"{result.case.goal:g} or less"
            lines.append(
                (
                    f"  {peer}",
                    _milliseconds(costs),
                    f"{median(ratios):.2f}",
                    f"{min(ratios):.2f} to {max(ratios):.2f}",
                    f"{goal}: missed" if median(ratios) > result.case.goal else goal,
                    _megabytes(costs),
                    *("", "", ""),
                )
            )
    told = [
        f"{result.case.name}: {words}"
        for result in results
        for words in (result.commands.values() or [HOW_TO_GET_FFMPEG])
    ]
    disturbed = [result.case.name for result in results if result.disturbed]
    note = (
        f"\n\nSomething else had the processor: {', '.join(disturbed)}. Run this again when the "
        "machine has nothing else to do."
        if disturbed
        else ""
    )
    return (
        "4K. Time of all processes on the processor for one picture; ours reads labels, too, and "
        "keeps the seconds before the label.\n\n"
        f"{table(lines)}\n\n" + "\n".join(told) + note
    )


def _milliseconds(costs: Sequence[Cost]) -> str:
    return f"{number(median(cost.milliseconds for cost in costs))} ms"


def _megabytes(costs: Sequence[Cost]) -> str:
    return f"{max(cost.megabytes for cost in costs):.0f} MB"
