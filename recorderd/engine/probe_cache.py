"""What the probe found out, kept in a small file until the computer or its hardware changes.

Only a convenience: a damaged, foreign or unwritable file costs a new probe, nothing else.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import av
import structlog

_FORMAT = 2
_MOST_REQUESTS = 8
_LARGEST_FILE_BYTES = 1_000_000

_log = structlog.get_logger(__name__)


class ProbeCache:
    """The answers to one request, among those of others in the same file. One thread."""

    def __init__(self, file: Path | None, request: Mapping[str, Any], root: Path) -> None:
        """`file` None keeps nothing; `root` is the folder that holds dev and proc."""
        self._file = file
        self._request = json.dumps(request, sort_keys=True)
        self._machine = machine(root)

    def kept(self, kind: str) -> list[Any]:
        """The documents kept for this kind of encoder, as they came from JSON."""
        answers = self._answers().get(self._request)
        documents = answers.get(kind) if isinstance(answers, dict) else None
        return documents if isinstance(documents, list) else []

    def keep(self, kind: str, documents: Sequence[Mapping[str, Any]]) -> None:
        """Remember these documents for this kind. Never raises."""
        if self._file is None:
            return
        answers = self._answers()
        mine = answers.pop(self._request, None)
        mine = mine if isinstance(mine, dict) else {}
        mine[kind] = list(documents)
        answers[self._request] = mine  # the newest is the last
        while len(answers) > _MOST_REQUESTS:
            answers.pop(next(iter(answers)))
        document = {"format": _FORMAT, "machine": self._machine, "answers": answers}
        try:
            _replace(self._file, json.dumps(document, indent=1))
        except OSError as error:
            _log.warning("encoder_proofs_not_kept", file=str(self._file), problem=str(error))

    def _answers(self) -> dict[str, Any]:
        if self._file is None:
            return {}
        try:
            with self._file.open("rb") as file:
                document = json.loads(file.read(_LARGEST_FILE_BYTES))
        except (OSError, ValueError, RecursionError):
            return {}
        match document:
            case {"format": int(number), "machine": dict(found), "answers": dict(answers)}:
                if number == _FORMAT and found == self._machine:
                    return answers
        return {}


def machine(root: Path) -> dict[str, Any]:
    """What the answers depend on: this boot, this PyAV, the processor and the devices."""
    processor = _text(root / "proc/cpuinfo")
    models = {
        line.partition(":")[2].strip()
        for line in processor.splitlines()
        if line.startswith(("model name", "Model", "CPU part"))
    }
    devices = [
        str(device.relative_to(root))
        for pattern in ("dri/*", "video*", "nvidia*")
        for device in sorted((root / "dev").glob(pattern))
    ]
    return {
        "boot": _text(root / "proc/sys/kernel/random/boot_id"),
        "av": av.__version__,
        "processor": sorted(models),
        "processors": os.cpu_count(),
        "devices": devices,
    }


def _text(file: Path) -> str:
    try:
        return file.read_text(errors="replace").strip()
    except OSError:
        return ""


def _replace(file: Path, text: str) -> None:
    """Write the whole file or nothing: a reader sees the old or the new one."""
    descriptor, temporary = tempfile.mkstemp(dir=file.parent, prefix=file.name, suffix=".new")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
        Path(temporary).replace(file)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
        raise
