"""How recordings are made on this computer, and whether it is fast enough for that."""

from __future__ import annotations

from recorderd.core.model import Mode
from recorderd.doctor.check import Finding, good, skipped, warning
from recorderd.doctor.examination import NO_PICTURE, Examination
from recorderd.engine.mode import TOO_SLOW


class EncodingCheck:
    name = "encoding"
    limit_seconds = 16.0
    slow = True

    def look(self, examination: Examination, /) -> Finding:
        if not examination.has_picture:
            return skipped(NO_PICTURE)
        chosen = examination.mode
        facts = tuple(
            (
                f"{proof.name} {proof.variant}".strip(),
                f"{proof.frames_per_second:.0f} a second" if proof.proved else proof.why_not,
            )
            for proof in chosen.proofs
        )
        text = f"mode {chosen.mode}: {chosen.reason}"
        if chosen.mode == Mode.ENCODE and TOO_SLOW in chosen.reason:
            return warning(text, "Lower camera.rate or camera.width and camera.height", *facts)
        return good(text, *facts)
