"""Stations made of paper, for the doctor to look at."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from recorderd.aim.live import CodeInView, View
from recorderd.config import LoadedSettings, load
from recorderd.doctor.camera_look import CameraLook
from recorderd.doctor.examination import Examination
from recorderd.doctor.machine import Machine
from recorderd.doctor.person import Person
from recorderd.errors import RecorderdError
from recorderd.station import status
from recorderd.store.identity import boot_id

LABEL = CodeInView("SO-1", ((0.4, 0.4), (0.5, 0.4), (0.5, 0.5), (0.4, 0.5)), 6.0, "SO-1", True)
VIEW = View(1, 1920, 1080, 0.8, 0.5, 0.0, 0.0, (LABEL,), b"a picture")
LOOK = CameraLook("mjpeg", 1920, 1080, 30.0, "yuvj422p", 120, 0, 4.0, 0.04, 5e6, (VIEW,))
MODE = {"mode": "defer", "encoder": "", "reason": "a test asks for it"}


class PaperMachine(Machine):
    """Answers programs from `outputs`, by the first word; all others are not installed."""

    def __init__(self, root: Path, outputs: Mapping[str, str] | None = None) -> None:
        super().__init__(root)
        self.outputs = dict(outputs or {})

    def output(self, *command: str, seconds: float = 4.0) -> str | None:
        return self.outputs.get(" ".join(command), self.outputs.get(command[0]))

    def write(self, path: str, text: str) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


class Someone:
    """Answers every question the same, and remembers what was said."""

    def __init__(self, answer: bool, heard: Callable[[str], object] = lambda _text: None) -> None:
        self.answer = answer
        self.told: list[str] = []
        self._heard = heard

    def tell(self, text: str) -> None:
        self.told.append(text)
        self._heard(text)

    def confirms(self, question: str) -> bool:
        self.told.append(question)
        return self.answer


def loaded_in(folder: Path, text: str = "") -> LoadedSettings:
    """Settings of a station in this folder; `text` is further TOML."""
    file = folder / "recorderd.toml"
    station = f'state_folder = "{folder}/state"\nrun_folder = "{folder}/run"\n'
    if "[station]" not in text:
        text = f"[station]\n{station}{text}"
    file.write_text(text)
    return load(file, {})


def publish(loaded: LoadedSettings, **said: Any) -> None:
    """Let a station of this very moment say this."""
    document = {
        "monotonic_ns": time.monotonic_ns(),
        "boot_id": boot_id(),
        "station": "bench-1",
        "phase": "ready",
        "faults": {},
        "pending": [],
        "counters": {},
        "mode": MODE,
    }
    status.publish(loaded.settings.status_file, {**document, **said})


def examination(
    loaded: LoadedSettings,
    look: CameraLook | RecorderdError = LOOK,
    *,
    machine: Machine | None = None,
    person: Person | None = None,
) -> Examination:
    """Of a station through whose camera this is seen."""

    def looking(*_: object, **__: object) -> CameraLook:
        if isinstance(look, RecorderdError):
            raise look
        return look

    return Examination(loaded, person=person, machine=machine, look=looking)


def seeing(*views: View) -> CameraLook:
    return dataclasses.replace(LOOK, views=views)
