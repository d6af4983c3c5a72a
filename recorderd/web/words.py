"""How things are called on the pages."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime
from typing import Final

_STATES: Final = {
    "recording": "recording now",
    "captured": "being checked",
    "saved": "saved and checked",
    "recovered": "repaired after a crash",
    "damaged": "damaged",
    "lost": "lost",
    "deleting": "being deleted",
    "deleted": "deleted",
}
_STOP_REASONS: Final = {
    "label": "the label was shown again",
    "other-label": "the next order's label was shown",
    "pedal": "the pedal was pressed",
    "stop-card": "the STOP card was shown",
    "void-card": "the VOID card was shown",
    "end-of-shift": "the END SHIFT card was shown",
    "time-limit": "the longest time was reached",
    "camera-lost": "the camera was lost",
    "engine-lost": "the recorder was restarted after a fault",
    "encoder-failed": "the encoder failed",
    "encoder-too-slow": "the encoder was too slow",
    "disk-full": "the disk was full",
    "storage-lost": "the disk was lost",
    "source-ended": "the camera's video ended",
    "shutdown": "the station was switched off",
    "power-lost": "the power failed",
}
_CODECS: Final = {"h264": "H.264", "hevc": "H.265", "mjpeg": "MJPEG"}
_CLOCKS: Final = {
    "synchronised": "set by the network",
    "unsynchronised": "not set: the date may be wrong",
    "corrected": "set later, and the times were corrected",
}

_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode categories of controls, marks of direction, lone surrogates, line separators."""


def state(value: str) -> str:
    return _STATES.get(value, value)


def stop_reason(value: str | None) -> str:
    return "" if value is None else _STOP_REASONS.get(value, value)


def clock(value: str) -> str:
    return _CLOCKS.get(value, value)


def when(value: datetime) -> str:
    """A moment in the station's own time zone: Sat 4 Jul 2026, 14:03:22."""
    local = value.astimezone()
    return f"{local:%a} {local.day} {local:%b %Y, %H:%M:%S}"


def moment(value: datetime) -> str:
    """A moment for programs: RFC 3339 in UTC."""
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def length(milliseconds: int | None) -> str:
    """A length as players write it: 1:05, 1:02:03."""
    if milliseconds is None:
        return "-"
    minutes, seconds = divmod(round(milliseconds / 1000), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def at_most(milliseconds: int | None) -> str:
    """How much of a repaired recording may be missing."""
    if milliseconds is None:
        return "not known"
    return f"at most {milliseconds / 1000:.1f} s" if milliseconds else "nothing"


def size(value: int | None) -> str:
    if value is None:
        return "-"
    if value >= 1_000_000_000:
        return f"{value / 1e9:.1f} GB"
    return f"{max(value / 1e6, 0.1):.1f} MB"


def codec(value: str) -> str:
    return _CODECS.get(value, value)


def visible(text: str) -> str:
    """Text of a label for people: what cannot be seen, or turns the text around, is shown."""
    return "".join(
        "\ufffd" if unicodedata.category(character) in _UNSEEN else character for character in text
    )
