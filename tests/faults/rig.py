"""The real daemon before a bench that never rests, and what breaks things around it."""

from __future__ import annotations

import atexit
import json
import mmap
import os
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Final

from recorderd.config import load
from recorderd.core.model import RecordingState
from recorderd.core.signals import Signal
from recorderd.errors import RecorderdError
from recorderd.settings import Settings
from recorderd.store.reader import reading
from recorderd.store.schema import Recording
from tests.faults.metronome import metronome
from tests.station.clips import write_clip
from tests.station.daemon import Daemon

SIZE: Final = (640, 360)
RATE: Final = 10
SYNC_SECONDS: Final = 0.4
GOP_SECONDS: Final = 0.5
PRE_ROLL_SECONDS: Final = 0.5
ORDERS: Final = ("ORDER-A", "ORDER-B", "ORDER-C")
ORDER_SECONDS: Final = 1.2
PICTURES: Final = round(len(ORDERS) * ORDER_SECONDS * RATE)
"""In the clip, which begins anew for ever; each shows its number."""

WEB_PORT: Final = 8080
MODES: Final = ("defer", "copy", "encode")
SETTLE_SECONDS: Final = 30.0
_OPEN: Final = (RecordingState.RECORDING, RecordingState.CAPTURED)


@cache
def workshop() -> Path:
    """A folder for what all trials share, of whichever process was the first to ask."""
    folder = Path(mkdtemp(prefix="recorderd-faults-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def make_tools() -> None:
    """So that many trials at once find them there."""
    for mode in MODES:
        clip(mode)
    library()


def clip(mode: str) -> Path:
    """Labels that follow one another without a pause: something is always being recorded."""
    codec = "libx264" if mode == "copy" else "mjpeg"
    path = workshop() / f"{codec}.mp4"
    if path.exists():
        return path
    acts = [(ORDER_SECONDS, order) for order in ORDERS]
    # H.264 is given a keyframe with each second.
    write_clip(path, acts, rate=RATE, codec=codec, size=SIZE)
    return path


def library() -> Path:
    """disk_trace.c, compiled."""
    source = Path(__file__).with_name("disk_trace.c")
    made = workshop() / "disk_trace.so"
    if made.exists():
        return made
    command = ["gcc", "-O2", "-shared", "-fPIC", "-o", str(made), str(source), "-ldl"]
    subprocess.run(command, check=True)
    return made


def proofs() -> Path:
    """What the encoder's probe found, so that not every trial has to find it anew."""
    folder = workshop() / "probe"
    found = folder / "state" / "encoders.json"
    if not folder.exists():
        with Rig(folder, "encode") as rig:
            rig.daemon.wait_for(Signal.RECORDING)
    return found


def settings_of(mode: str) -> dict[str, dict[str, Any]]:
    return {
        "camera": {
            "source": f"file:{clip(mode)}",
            "loop": True,
            "width": SIZE[0],
            "height": SIZE[1],
            "rate": float(RATE),
        },
        "recording": {
            "mode": mode,
            "pre_roll_seconds": PRE_ROLL_SECONDS,
            "minimum_seconds": 0.0,
            "gop_seconds": GOP_SECONDS,
            "sync_seconds": SYNC_SECONDS,
        },
        "labels": {
            "confirm_frames": 1,
            "dwell_seconds": 0.0,
            "rearm_seconds": 0.2,
            "scans_per_second": 10.0,
        },
        "log": {"format": "json", "level": "debug"},
        "web": {"address": _own_address(), "port": WEB_PORT},
    }


def _own_address() -> str:
    """All of 127.0.0.0/8 is this machine (RFC 6890): each process of the harness has its own
    part of it, so that no two stations want the same port."""
    high, low = divmod(os.getpid() % (1 << 22), 1 << 16)
    return f"127.{64 + high}.{low >> 8}.{low & 255}"


class Control:
    """The words by which disk_trace.c is told what shall fail, as they are named there."""

    _WORDS: Final = 16
    _PLACES: Final = {
        "failing_kinds": 0,
        "failing_errno": 1,
        "calls": 2,
        "fail_from": 3,
        "fail_before": 4,
        "failed": 5,
        "clock_offset": 6,
        "clock_state": 7,
    }
    CREATE, WRITE, SYNC, NAME, REMOVE, FOLDER, TRUNCATE, ENCODE = 1, 2, 4, 8, 16, 32, 64, 128

    def __init__(self, path: Path) -> None:
        self.path = path
        path.write_bytes(bytes(8 * self._WORDS))
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), 8 * self._WORDS)

    def __getitem__(self, word: str) -> int:
        (value,) = struct.unpack_from("=q", self._memory, 8 * self._PLACES[word])
        return int(value)

    def __setitem__(self, word: str, value: int) -> None:
        struct.pack_into("=q", self._memory, 8 * self._PLACES[word], value)

    def fail(self, kinds: int, error: int, *, after: int = 1, times: int = 1 << 40) -> None:
        """From the call number `after` of these kinds on, so many fail."""
        self["failing_kinds"] = 0
        self["calls"], self["failed"] = 0, 0
        self["failing_errno"] = error
        self["fail_from"], self["fail_before"] = after, after + times
        self["failing_kinds"] = kinds

    def heal(self) -> None:
        self["failing_kinds"] = 0


class Rig:
    """One station in a folder of its own; may be started again and again."""

    def __init__(
        self,
        folder: Path,
        mode: str,
        settings: Mapping[str, Mapping[str, Any]] | None = None,
        *,
        state: Path | None = None,
    ) -> None:
        """`state` is a state folder that is there already; else a new one is made."""
        self.folder = folder
        self.mode = mode
        merged = settings_of(mode)
        for section, keys in (settings or {}).items():
            merged.setdefault(section, {}).update(keys)
        self.daemon = Daemon(folder, merged)
        if state is not None:
            state.rename(self.daemon.state)
        self.daemon.state.mkdir(exist_ok=True)
        if mode == "encode" and folder != workshop() / "probe":
            shutil.copy(proofs(), self.daemon.state)
        self.settings: Settings = load(self.daemon.config, environment={}).settings
        self.control = Control(folder / "control")
        self.trace = folder / "trace"
        self.known: dict[str, tuple[int, int]] = {}
        """Recordings seen to be whole -> size and mtime of their file."""
        self.complaints: set[str] = set()
        """What was found already, so that it is not counted with each trial that follows."""
        self.whole_pictures: dict[str, int] = {}
        """Recordings -> how many pictures follow one another undamaged."""

    def start(self, *options: str, trace: bool = False, preload: bool = False) -> Rig:
        environment: dict[str, str] = {}
        if trace or preload:
            environment = {
                "LD_PRELOAD": str(library()),
                "FAULTS_FOLDER": str(self.daemon.state),
                "FAULTS_CONTROL": str(self.control.path),
                **({"FAULTS_TRACE": str(self.trace)} if trace else {}),
            }
        metronome()  # it has to beat before the fault
        self.started_ns = time.monotonic_ns()
        self.daemon.start(*options, environment=environment)
        return self

    def __enter__(self) -> Rig:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> int:
        return self.daemon.stop()

    def kill(self) -> None:
        """Everything at once."""
        self.daemon.kill()

    def forget_run_folder(self) -> None:
        """As a boot does."""
        shutil.rmtree(self.daemon.run_folder, ignore_errors=True)

    def rows(self) -> list[Recording]:
        """Every recording, oldest first. Raises RecorderdError."""
        with reading(self.settings.database_url) as tables:
            table = tables.recordings
            query = table.select().order_by(table.id)
            return list(query)

    def has_saved(self) -> bool:
        return any(row.state == RecordingState.SAVED for row in self.rows())

    def saved_lines(self) -> list[str]:
        """The recordings whose saving was logged, in that order; the lamp follows the log."""
        found = []
        for line in self.daemon.log.read_text().splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if isinstance(entry, dict) and entry.get("event") == "recording saved":
                found.append(entry["recording_id"])
        return found

    def unsettled(self, before_ns: int) -> list[Recording]:
        """Recordings from before this monotonic moment that have no end yet."""
        return [row for row in self.rows() if row.state in _OPEN and row.monotonic_ns < before_ns]

    def wait_settled(self, before_ns: int, seconds: float = SETTLE_SECONDS) -> bool:
        """Wait until all older recordings have their end; False if that takes too long."""
        return self.wait(lambda: not self.unsettled(before_ns), seconds)

    def wait(self, holds: Callable[[], bool], seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                if holds():
                    return True
            except RecorderdError:
                pass  # there is no catalogue yet, or it is locked
            time.sleep(0.05)
        return False

    def process(self, *words: str) -> int | None:
        """A descendant of the station whose command line holds these words."""
        for child in self.daemon.descendants():
            try:
                line = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if all(word.encode() in line for word in words):
                return child
        return None

    def scanner(self) -> int | None:
        """The engine's own child."""
        engine = self.process("recorderd.engine")
        children = self.daemon.descendants(engine) if engine else []
        return children[0] if children else None


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "recorderd", *words]


def kill_quietly(process_id: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(process_id, number)
