"""Which mode the station would choose on this computer, found out while it does not run."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from recorderd.doctor.camera_look import CameraLook
from recorderd.engine import mode, probe
from recorderd.engine.encoder_kinds import EncodeRequest
from recorderd.engine.packets import StreamDescription
from recorderd.settings import RecordingSettings

_TRIAL_SECONDS = 12.0


@dataclass(frozen=True, slots=True)
class ChosenMode:
    """`mode` and `reason` as `engine.mode` has them; `proofs` are the encoders tried for it."""

    mode: str
    reason: str
    proofs: tuple[probe.EncoderProof, ...] = ()


def choose_mode(recording: RecordingSettings, look: CameraLook) -> ChosenMode:
    """Try as many encoders as it takes; seconds. Raises DeviceError if nothing can record this."""
    camera = StreamDescription(
        look.codec,
        look.width,
        look.height,
        Fraction(look.rate).limit_denominator(1001),
        look.pixel_format,
        full_range=look.pixel_format.startswith("yuvj"),
    )
    proofs: tuple[probe.EncoderProof, ...] = ()
    if mode.needs_proofs(recording.mode, camera):
        request = EncodeRequest.for_stream(camera, recording)
        # Not what was found out before: a driver may have just been installed.
        proofs = probe.probe_all(request, None, time_limit=_TRIAL_SECONDS)
    choice = mode.choose(recording.mode, recording.encoder, camera, proofs)
    return ChosenMode(choice.mode.value, choice.reason, proofs)
