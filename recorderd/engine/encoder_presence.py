"""Whether an encoder's hardware is there at all: a look at /dev and /sys, never an open.

Absent hardware costs nothing this way, and the reason is told in words.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

from recorderd.engine.encoder_kinds import PROGRAM, EncodeRequest, EncoderKind

_INTEL = "0x8086"
_AMD = "0x1002"


def why_absent(kind: EncoderKind, request: EncodeRequest, root: Path = Path("/")) -> str | None:
    """Why this encoder need not be tried here, None if it may work. Never raises.

    `root` is the folder that holds dev and sys.
    """
    if kind.largest is not None:
        width, height = kind.largest
        if request.recorded_width > width or request.recorded_height > height:
            return (
                f"it takes pictures up to {width}x{height}, "
                f"asked for are {request.recorded_width}x{request.recorded_height}"
            )
    if kind.beside and request.codec != "mjpeg":
        return f"it takes a camera's MJPEG, not {request.codec}"
    check = _CHECKS.get(kind.name)
    if check is not None and (absent := check(root)) is not None:
        return absent
    if kind.beside and shutil.which(PROGRAM) is None:
        return f"there is no program {PROGRAM}: sudo apt-get install ffmpeg"
    return None


class _Check(Protocol):
    def __call__(self, root: Path, /) -> str | None: ...


def _intel(root: Path) -> str | None:
    return _render_node(root, _INTEL, "Intel")


def _amd(root: Path) -> str | None:
    return _render_node(root, _AMD, "AMD")


def _render_node(root: Path, vendor: str, maker: str) -> str | None:
    nodes = [
        root / "dev/dri" / entry.name
        for entry in _entries(root / "sys/class/drm")
        if entry.name.startswith("renderD") and _text(entry / "device/vendor") == vendor
    ]
    if not nodes:
        return f"no {maker} graphics here"
    return _not_allowed(nodes, "render")


def _vaapi(root: Path) -> str | None:
    absent = [_intel(root), _amd(root)]
    if None in absent:
        return None
    forbidden = [why for why in absent if why and "group" in why]
    return forbidden[0] if forbidden else "no Intel or AMD graphics here"


def _nvidia(root: Path) -> str | None:
    nodes = [entry for entry in _entries(root / "dev") if entry.name == "nvidiactl"]
    if nodes:
        return _not_allowed(nodes, "video")
    return "no NVIDIA graphics here, or NVIDIA's own driver is not installed"


def _video4linux(root: Path) -> str | None:
    # Drivers name their devices bcm2835-codec-encode, qcom-venus-encoder, hantro-vpu-enc ...
    nodes = [
        root / "dev" / entry.name
        for entry in _entries(root / "sys/class/video4linux")
        if "enc" in _text(entry / "name").lower()
    ]
    if not nodes:
        return "this board has no video encoder (a Raspberry Pi 4 has one, a Pi 5 has none)"
    return _not_allowed(nodes, "video")


_CHECKS: Mapping[str, _Check] = {
    "h264_qsv": _intel,
    "h264_amf": _amd,
    "h264_nvenc": _nvidia,
    "h264_vaapi": _vaapi,
    "h264_v4l2m2m": _video4linux,
}


def _not_allowed(nodes: list[Path], group: str) -> str | None:
    if any(os.access(node, os.R_OK | os.W_OK) for node in nodes):
        return None
    return f"{nodes[0]} may not be opened: the user of recorderd is not in the group '{group}'"


def _entries(folder: Path) -> Iterator[Path]:
    try:
        yield from sorted(folder.iterdir())
    except OSError:
        return


def _text(file: Path) -> str:
    try:
        return file.read_text(errors="replace").strip()
    except OSError:
        return ""
