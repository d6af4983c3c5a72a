"""`recorderd doctor --encoders`: every video encoder tried, and what mode auto would choose."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from fractions import Fraction

from recorderd.engine import mode
from recorderd.engine.encoder_kinds import EncodeRequest
from recorderd.engine.packets import StreamDescription
from recorderd.engine.probe import EncoderProof, is_fast_enough, probe_all
from recorderd.errors import DeviceError
from recorderd.settings import Settings
from recorderd.terminal import escaped


def assumed_camera(settings: Settings) -> StreamDescription:
    """The camera as configured, sending JPEG pictures in 4:2:2: the usual, costly case."""
    camera = settings.camera
    return StreamDescription(
        codec="mjpeg",
        width=camera.width,
        height=camera.height,
        rate=Fraction(camera.rate).limit_denominator(1001),
        pixel_format="yuvj422p",
        full_range=True,
    )


def encoder_table(settings: Settings) -> tuple[EncoderProof, ...]:
    """Try every encoder with the configured camera's pictures; takes seconds.

    Always tries anew, never what was found out before: somebody who runs the doctor has
    just installed a driver.
    """
    request = EncodeRequest.for_stream(assumed_camera(settings), settings.recording)
    return probe_all(request, None, everything=True)


def run_encoders(settings: Settings, as_json: bool) -> int:
    """Print the table and what the station would do. Returns 0 if an encoder works, else 1."""
    camera = assumed_camera(settings)
    request = EncodeRequest.for_stream(camera, settings.recording)
    proofs = encoder_table(settings)
    chosen: dict[str, str]
    try:
        choice = mode.choose(mode.AUTO, settings.recording.encoder, camera, proofs)
        chosen = {"mode": choice.mode.value, "reason": choice.reason}
    except DeviceError as error:
        chosen = {"mode": "none", "reason": str(error)}
    if as_json:
        rows = [
            {**asdict(proof), "fast_enough": is_fast_enough(proof, request)} for proof in proofs
        ]
        document = {"camera": _camera_document(camera), "encoders": rows, "auto": chosen}
        print(json.dumps(document, indent=2))
    else:
        print("\n".join(_in_words(camera, request, proofs, chosen)))
    return 0 if any(proof.proved for proof in proofs) else 1


def _camera_document(camera: StreamDescription) -> dict[str, str | int | float]:
    return {
        "codec": camera.codec,
        "width": camera.width,
        "height": camera.height,
        "rate": float(camera.rate),
    }


def _in_words(
    camera: StreamDescription,
    request: EncodeRequest,
    proofs: Sequence[EncoderProof],
    chosen: dict[str, str],
) -> list[str]:
    yes_no = {True: "yes", False: "no"}
    rows = [("encoder", "opened", "proved", "per second", "why not")]
    for proof in proofs:
        why_not = proof.why_not
        if proof.proved and not is_fast_enough(proof, request):
            why_not = f"too slow: {request.rate_needed:.0f} a second are needed"
        rows.append(
            (
                f"{proof.name} {proof.variant}".strip(),
                yes_no[proof.opened],
                yes_no[proof.proved],
                f"{proof.frames_per_second:.0f}" if proof.proved else "-",
                escaped(why_not),
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = [
        f"Tried with JPEG pictures of {camera.width}x{camera.height}, "
        f"{float(camera.rate):g} a second:",
        "",
    ]
    for row in rows:
        cells = [f"{cell:<{width}}" for cell, width in zip(row, widths, strict=False)]
        lines.append("  ".join([*cells, row[4]]).rstrip())
    return [*lines, "", f"Mode auto would choose: {chosen['mode']}", f"because {chosen['reason']}"]
