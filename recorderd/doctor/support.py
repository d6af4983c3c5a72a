"""The bundle for whoever helps from afar: no videos, no pictures, no passwords, no keys."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import re
import sys
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

from recorderd import __version__
from recorderd.config import LoadedSettings
from recorderd.doctor.check import Result
from recorderd.doctor.document import document_of
from recorderd.doctor.machine import Machine
from recorderd.doctor.units import FINISHER, STATION, WEB
from recorderd.errors import StorageError

_JOURNAL_LINES: Final = "3000"
_SERVICES: Final = (STATION, WEB, FINISHER)
_HIDDEN: Final = "***"
_PROGRAM_SECONDS: Final = 8.0

_README: Final = """\
What this is: the state of a packing station, for whoever helps to repair it.

It holds what 'recorderd doctor' found, the settings, the station's own status, the newest
entries of its journal, and the versions of what is installed.

It holds no video and no picture. Passwords and keys are replaced by ***. The journal names
orders and the texts of labels: hand it only to people who may know these.
"""


def write_support_bundle(
    file: Path, loaded: LoadedSettings, results: Sequence[Result], machine: Machine
) -> None:
    """Raises StorageError."""
    hidden = secrets_in(loaded)
    try:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as bundle:
            for name, text in _contents(loaded, results, machine):
                bundle.writestr(f"recorderd-support/{name}", without(hidden, text))
    except OSError as error:
        raise StorageError(
            f"The bundle {file} cannot be written: {error.strerror}",
            "Choose a file in a folder that you may write to",
        ) from error


def secrets_in(loaded: LoadedSettings) -> list[str]:
    """Everything in the settings that nobody else may know, the longest first."""
    found = set()
    for entry in loaded.effective:
        if not entry.secret or not isinstance(entry.value, str):
            continue
        if entry.key == "password_hash":
            found.add(entry.value)
        credentials = re.search(r"(?s)(?<=://).*(?=@)", entry.value)
        if credentials:
            password = credentials[0].partition(":")[2]
            found |= {credentials[0], password, unquote(password)}
        found |= set(re.findall(r"(?i)passw(?:or)?d=([^&\s\"']+)", entry.value))
    return sorted(filter(None, found), key=len, reverse=True)


def without(hidden: Sequence[str], text: str) -> str:
    """The text with each secret blanked, wherever it stands."""
    for secret in hidden:
        text = text.replace(secret, _HIDDEN)
    return text


def _contents(
    loaded: LoadedSettings, results: Sequence[Result], machine: Machine
) -> Iterator[tuple[str, str]]:
    settings = loaded.settings
    yield "README.txt", _README
    yield "doctor.json", json.dumps(document_of(settings, results), indent=2)
    yield "settings.txt", _settings(loaded)
    yield "versions.txt", _versions(machine)
    for file in (
        settings.status_file,
        settings.finisher_file,
        settings.state_folder / "encoders.json",
    ):
        yield file.name, _text_of(file)
    for unit in _SERVICES:
        name = unit.removesuffix(".service")
        journal = machine.output(
            "journalctl",
            "-u",
            unit,
            "-n",
            _JOURNAL_LINES,
            "--no-pager",
            "-o",
            "short-iso-precise",
            seconds=_PROGRAM_SECONDS,
        )
        yield f"journal-{name}.txt", journal or "none\n"
        yield f"unit-{name}.txt", _pairs(machine.unit(unit) or {})
    yield "kernel.txt", machine.output("journalctl", "-k", "-n", "500", "--no-pager") or "none\n"
    for name in ("mounts", "cpuinfo", "meminfo"):
        yield f"{name}.txt", machine.text(f"proc/{name}") or "none"
    yield "usb.txt", machine.output("lsusb") or "none\n"


def _settings(loaded: LoadedSettings) -> str:
    lines = [f"file: {loaded.file or 'none'}"]
    lines += [
        f"{entry.section}.{entry.key} = {entry.shown}  ({entry.origin})"
        for entry in loaded.effective
    ]
    return "\n".join(lines) + "\n"


def _versions(machine: Machine) -> str:
    lines = [
        f"recorderd {__version__}",
        f"python {sys.version}",
        f"kernel {platform.release()} {platform.machine()}",
        machine.text("etc/os-release") or "",
        machine.model() or "",
    ]
    lines += sorted(
        f"{package.metadata['Name']} {package.version}"
        for package in importlib.metadata.distributions()
    )
    return "\n".join(lines) + "\n"


def _text_of(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        return f"{error.strerror}\n"


def _pairs(properties: Mapping[str, Any]) -> str:
    # A unit's environment is where DATABASE_URL and the like may stand.
    return "".join(
        f"{key}={value}\n" for key, value in properties.items() if "Environment" not in key
    )
