"""Which encoders really work here, and how fast: found out in child processes.

Drivers crash and hang; a child that does so costs one kind of encoder and a few
seconds, not the recording. Answers are kept for as long as the computer runs and its
hardware stays the same.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from recorderd.engine.encoder_kinds import KINDS, EncodeRequest, EncoderKind
from recorderd.engine.encoder_presence import why_absent
from recorderd.engine.probe_cache import ProbeCache

CHILD_COMMAND = (sys.executable, "-m", "recorderd.engine.probe_process")
DEFAULT_TIME_LIMIT = 30.0
"""Seconds a child gets: a Raspberry Pi 4 needs about 10 for two x264 variants at 4K."""

_REAP_SECONDS = 2.0
_LOOK_SECONDS = 0.2
_STOPPED = (-signal.SIGTERM, -signal.SIGINT)
"""A stop of the whole service is meant for the child, too, and says nothing of the encoder."""


@dataclass(frozen=True, slots=True)
class EncoderProof:
    """What came of trying one variant of one encoder.

    `proved`: its pictures came back complete, at their times and in their colours.
    `frames_per_second` includes decoding what the camera sends and converting it, in one
    thread; 0 unless proved. `why_not` is for a technician, empty if proved. `variant` is
    empty if none was tried.
    """

    name: str
    variant: str
    opened: bool
    proved: bool
    frames_per_second: float
    why_not: str


def probe_all(
    request: EncodeRequest,
    cache_file: Path | None,
    *,
    kinds: Sequence[EncoderKind] = KINDS,
    wanted: str = "auto",
    demoted: Mapping[str, str] | None = None,
    everything: bool = False,
    anew: bool = False,
    give_up: Callable[[], bool] = lambda: False,
    time_limit: float = DEFAULT_TIME_LIMIT,
    command: Sequence[str] = CHILD_COMMAND,
    root: Path = Path("/"),
) -> tuple[EncoderProof, ...]:
    """Try the kinds in their order; stop at the first that is fast enough.

    `wanted` is the name of the only kind to try, auto for any; `everything` tries all;
    `anew` tries what was tried before, too. When `give_up` says so, a trial ends at once and is
    worth nothing.
    `demoted` maps kinds that failed at work to the reason: they are not tried.
    `cache_file` None keeps nothing. `time_limit` is in seconds for each kind. `command`
    starts the child; `root` is the folder that holds dev, sys and proc. Blocks; any
    thread. Never raises.
    """
    cache = ProbeCache(cache_file, request_document(request), root)
    proofs: list[EncoderProof] = []
    has_given_up = False

    def gave_up() -> bool:
        nonlocal has_given_up
        has_given_up = has_given_up or give_up()
        return has_given_up

    for kind in kinds:
        if wanted not in ("auto", kind.name):
            continue
        if gave_up():
            break
        if demoted and kind.name in demoted:
            found = [_unproved(kind, f"it failed while recording: {demoted[kind.name]}")]
        elif (absent := why_absent(kind, request, root)) is not None:
            found = [_unproved(kind, absent)]
        else:
            found = [] if anew else _remembered(cache, kind)
            if not found:
                found, lasts = _try_in_child(kind, request, time_limit, command, gave_up)
                if gave_up():
                    break
                if lasts:
                    cache.keep(kind.name, [proof_document(proof) for proof in found])
        proofs += found
        if not everything and any(is_fast_enough(proof, request) for proof in found):
            break
    return tuple(proofs)


def is_fast_enough(proof: EncoderProof, request: EncodeRequest) -> bool:
    """Whether this encoder holds the camera's rate with headroom."""
    return proof.proved and proof.frames_per_second >= request.rate_needed


def request_document(request: EncodeRequest) -> dict[str, Any]:
    """The request as JSON can carry it; `request_from` is the way back."""
    return {**asdict(request), "rate": str(request.rate)}


def request_from(document: Mapping[str, Any]) -> EncodeRequest:
    """Raises TypeError or ValueError if the document is not from `request_document`."""
    return EncodeRequest(**{**document, "rate": Fraction(document["rate"])})


def proof_document(proof: EncoderProof) -> dict[str, Any]:
    """The proof as JSON can carry it; `proof_from` is the way back."""
    return asdict(proof)


def proof_from(document: object) -> EncoderProof | None:
    """A proof out of JSON from a file or a child, None if it is not one."""
    match document:
        case {
            "name": str(name),
            "variant": str(variant),
            "opened": bool(opened),
            "proved": bool(proved),
            "frames_per_second": float(speed) | int(speed),
            "why_not": str(why_not),
        }:
            return EncoderProof(name, variant, opened, proved, float(speed), why_not)
    return None


def _remembered(cache: ProbeCache, kind: EncoderKind) -> list[EncoderProof]:
    known = {variant.name for variant in kind.variants} | {""}
    proofs = [proof_from(document) for document in cache.kept(kind.name)]
    return [
        proof
        for proof in proofs
        if proof is not None and proof.name == kind.name and proof.variant in known
    ]


def _unproved(kind: EncoderKind, why_not: str) -> EncoderProof:
    return EncoderProof(kind.name, "", False, False, 0.0, why_not)


def _try_in_child(
    kind: EncoderKind,
    request: EncodeRequest,
    time_limit: float,
    command: Sequence[str],
    give_up: Callable[[], bool],
) -> tuple[list[EncoderProof], bool]:
    """What came of it, and whether that will be the same the next time."""
    job = {"kind": kind.name, "request": request_document(request), "time_limit": time_limit}
    try:
        child = subprocess.Popen(
            list(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
        )
    except OSError as error:
        return [_unproved(kind, f"the trial could not be started: {error.strerror}")], False
    ending = ""
    try:
        output, complaint = _hear(child, json.dumps(job), time_limit, give_up)
    except subprocess.TimeoutExpired:
        ending = f"did not finish within {time_limit:g} seconds"
        child.kill()
        try:
            output, complaint = child.communicate(timeout=_REAP_SECONDS)
        except subprocess.TimeoutExpired:
            # A driver may hold the child beyond reach of any signal; it is left behind.
            ending += " and cannot be ended: the driver hangs, restart the computer"
            output, complaint = "", ""
    proofs = [proof for proof in map(_proof_in, output.splitlines()) if proof is not None]
    if not ending and child.returncode != 0:
        ending = _ending(child.returncode, complaint)
    if ending or not proofs:
        tried = len(proofs)
        variant = kind.variants[min(tried, len(kind.variants) - 1)].name
        why_not = ending or "the trial ended without a result"
        proofs.append(EncoderProof(kind.name, variant, False, False, 0.0, why_not))
    return proofs, child.returncode not in _STOPPED


def _hear(
    child: subprocess.Popen[str], job: str, time_limit: float, give_up: Callable[[], bool]
) -> tuple[str, str]:
    """All it says. Raises subprocess.TimeoutExpired, also when `give_up` says so."""
    deadline = time.monotonic() + time_limit
    told: str | None = job
    while True:
        try:
            left = deadline - time.monotonic()
            return child.communicate(told, timeout=max(0.0, min(left, _LOOK_SECONDS)))
        except subprocess.TimeoutExpired:
            if give_up() or time.monotonic() >= deadline:
                raise
            told = None  # It has been told, and what it said so far is kept.


def _proof_in(line: str) -> EncoderProof | None:
    try:
        return proof_from(json.loads(line))
    except ValueError:
        return None


def _ending(return_code: int, complaint: str) -> str:
    if return_code < 0:
        try:
            name = f", {signal.Signals(-return_code).name}"
        except ValueError:
            name = ""
        return f"crashed (signal {-return_code}{name})"
    lines = complaint.strip().splitlines()
    return f"the trial failed: {lines[-1] if lines else f'exit code {return_code}'}"
