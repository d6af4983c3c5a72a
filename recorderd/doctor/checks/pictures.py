"""What the camera really delivers: how many pictures, how large, how many damaged."""

from __future__ import annotations

from recorderd.doctor.check import Finding, Picture, Verdict
from recorderd.doctor.examination import Examination

_ENOUGH, _FAR_TOO_FEW = 0.93, 0.75
_MUCH_DAMAGED = 0.01
_LONG_GAP_SECONDS = 0.5


class PicturesCheck:
    name = "pictures"
    limit_seconds = 45.0
    slow = True

    def look(self, examination: Examination, /) -> Finding:
        look = examination.camera
        share = look.counted_rate / look.rate if look.rate else 0.0
        delivered = (
            f"{look.width}x{look.height} {look.codec}, {look.counted_rate:.1f} a second "
            f"of {look.rate:.4g}, {look.damaged} damaged"
        )
        facts = [
            ("counted", f"{look.pictures} pictures in {look.seconds:.1f} seconds"),
            ("sends", f"{look.bytes_per_second * 8 / 1e6:.0f} Mbit a second"),
        ]
        if look.longest_gap_seconds is not None:
            facts.append(("longest gap", f"{look.longest_gap_seconds * 1000:.0f} ms"))
        verdict, remedy = Verdict.GOOD, ""
        if share < _ENOUGH:
            verdict = Verdict.BAD if share < _FAR_TOO_FEW else Verdict.WARNING
            remedy = (
                "Give it more light: many cameras take fewer pictures in the dark; "
                "else use another USB port, without a hub, or a lower camera.rate"
            )
        elif look.damaged > look.pictures * _MUCH_DAMAGED:
            verdict, remedy = Verdict.WARNING, "Use a shorter or better cable, without a hub"
        elif (look.longest_gap_seconds or 0.0) > _LONG_GAP_SECONDS:
            verdict = Verdict.WARNING
            remedy = (
                f"Once no picture came for {look.longest_gap_seconds:.1f} seconds: "
                "check the cable, and that nothing else uses the same USB bus"
            )
        pictures = (Picture("What the camera sees", look.views[-1].jpeg),) if look.views else ()
        return Finding(verdict, delivered, remedy, tuple(facts), pictures)
