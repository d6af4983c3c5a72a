"""Whether to copy, encode or defer, with which encoder, and why. Pure: proofs in, choice out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from recorderd.core.model import Mode
from recorderd.engine.encoder_kinds import HEADROOM, EncoderKind, kind_named
from recorderd.engine.packets import StreamDescription
from recorderd.engine.probe import EncoderProof
from recorderd.errors import DeviceError

AUTO = "auto"
COPYABLE_CODECS = frozenset({"h264", "hevc"})
"""What needs no encoder: the camera compressed it for good."""

DEFERRABLE_CODECS = frozenset({"mjpeg"})
"""What is small enough to be kept now and encoded when the station is idle."""

TOO_SLOW = "too little for the camera"
"""What is said of an encoder that does not hold the camera's rate."""

_DOCTOR = "Run 'recorderd doctor --encoders' to see which encoders work here and why others do not"


@dataclass(frozen=True, slots=True)
class Choice:
    """How recordings are made; `encoder` is None unless `mode` is ENCODE.

    `encoder` has the one variant that was chosen. `reason` is one
    sentence for a technician, without a full stop at its end. `may_defer`: should the encoder
    fall behind, the pictures may be kept as they come.
    """

    mode: Mode
    encoder: EncoderKind | None
    reason: str
    may_defer: bool = False


def needs_proofs(mode_setting: str, description: StreamDescription) -> bool:
    """Whether `choose` looks at the proofs at all: finding them takes seconds."""
    if description.codec in COPYABLE_CODECS:
        return mode_setting == Mode.ENCODE
    return mode_setting in (AUTO, Mode.ENCODE)


def choose(
    mode_setting: str,
    encoder_setting: str,
    description: StreamDescription,
    proofs: Iterable[EncoderProof],
) -> Choice:
    """Pick the way to record what this camera sends.

    `mode_setting` and `encoder_setting` are the settings of those names; `proofs` stand
    in order of preference. Raises DeviceError if what was asked for cannot be done, or
    nothing can.
    """
    camera = f"{description.width}x{description.height}, {float(description.rate):g} a second"
    proved = [
        proof
        for proof in proofs
        if proof.proved and encoder_setting in (AUTO, proof.name) and proof.frames_per_second > 0
    ]
    needed = float(description.rate) * HEADROOM
    fast_enough = next((proof for proof in proved if proof.frames_per_second >= needed), None)
    fastest = max(proved, key=lambda proof: proof.frames_per_second, default=None)

    if description.codec in COPYABLE_CODECS and mode_setting != Mode.ENCODE:
        return Choice(Mode.COPY, None, f"the camera already compresses to {description.codec}")
    if encoder_setting != AUTO:
        kind_named(encoder_setting)
    if mode_setting == Mode.COPY:
        raise DeviceError(
            f"recording.mode is copy, but {description.codec}, which the camera gives, "
            "is not compressed enough to be kept for good",
            "Set recording.mode to auto, or camera.format to h264 if the camera has it",
        )
    if mode_setting == Mode.DEFER:
        if description.codec not in DEFERRABLE_CODECS:
            raise DeviceError(
                f"recording.mode is defer, but the camera gives {description.codec}, "
                "which is far too much to keep as it is",
                "Set recording.mode to auto, or camera.format to mjpeg",
            )
        return _deferred("recording.mode asks for it")
    may_defer = mode_setting != Mode.ENCODE and description.codec in DEFERRABLE_CODECS
    if fast_enough is not None:
        return _encoded(fast_enough, f"enough for the camera ({camera})", may_defer)
    if may_defer:
        return _deferred(_why_none_is_fast_enough(fastest, encoder_setting, camera))
    if fastest is not None:
        return _encoded(fastest, f"{TOO_SLOW} ({camera}): frames may be dropped", may_defer)
    which = "no encoder works here" if encoder_setting == AUTO else f"{encoder_setting} does not"
    raise DeviceError(
        f"Pictures in {description.codec} must be encoded, but {which}",
        _DOCTOR if encoder_setting == AUTO else f"Set recording.encoder to auto. {_DOCTOR}",
    )


def _encoded(proof: EncoderProof, judgement: str, may_defer: bool) -> Choice:
    return Choice(
        Mode.ENCODE,
        kind_named(proof.name).only(proof.variant),
        f"{proof.name} ({proof.variant}) does {proof.frames_per_second:.0f} pictures a second, "
        f"{judgement}",
        may_defer,
    )


def _deferred(why: str) -> Choice:
    return Choice(Mode.DEFER, None, f"{why}; pictures are kept as they come and encoded when idle")


def _why_none_is_fast_enough(
    fastest: EncoderProof | None, encoder_setting: str, camera: str
) -> str:
    if fastest is None:
        return "no encoder works here" if encoder_setting == AUTO else f"{encoder_setting} fails"
    return (
        f"the best encoder here, {fastest.name} ({fastest.variant}), does "
        f"{fastest.frames_per_second:.0f} pictures a second, {TOO_SLOW} ({camera})"
    )
