"""SIGKILL at random instants: to each process alone, to all of them at once."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from copy import deepcopy
from pathlib import Path
from random import Random

from recorderd.core.signals import Signal
from recorderd.finisher.fingerprint import fingerprint
from recorderd.store.chores import pause_after
from recorderd.store.footage import thumbnail_path
from tests.faults.invariants import Outcome, check, lost_seconds, lost_too_much
from tests.faults.power import cuts
from tests.faults.replay import Disk, Luck, difference, records
from tests.faults.rig import Rig, command, kill_quietly, library, workshop

Victim = Callable[[Rig], None]


def _station(rig: Rig) -> None:
    rig.daemon.process.kill()


def _everything(rig: Rig) -> None:
    rig.daemon.kill()


def _child(find: Callable[[Rig], int | None]) -> Victim:
    def strike(rig: Rig) -> None:
        found = find(rig)
        if found is not None:
            kill_quietly(found, signal.SIGKILL)

    return strike


VICTIMS: dict[str, Victim] = {
    "station": _station,
    "engine": _child(lambda rig: rig.process("recorderd.engine")),
    "scanner": _child(Rig.scanner),
    "web": _child(lambda rig: rig.process("recorderd", "web")),
    "finisher": _child(lambda rig: rig.process("recorderd", "finish")),
    "everything": _everything,
}


def kills(folder: Path, mode: str, victim: str, count: int, random: Random) -> Iterator[Outcome]:
    """One life after another in the same folder; each recovers what the one before has left."""
    rig = Rig(folder, mode)
    options = ["--all"] if victim in ("web", "finisher", "everything") else []
    rig.start(*options)
    try:
        since = 0.0
        for _ in range(count):
            rig.daemon.wait_for(Signal.RECORDING, 30, after=since)
            time.sleep(random.uniform(0.0, 2.0))
            since = time.monotonic()
            fault_ns = time.monotonic_ns()
            VICTIMS[victim](rig)
            if victim in ("station", "everything"):
                rig.daemon.wait(10)
                rig.forget_run_folder()
                rig.start(*options)
            yield _aftermath(rig, fault_ns)
            if victim not in ("station", "everything", "engine"):
                since = 0.0  # the lamp stays red
    finally:
        with suppress(AssertionError):
            rig.stop()


def _aftermath(rig: Rig, fault_ns: int) -> Outcome:
    """It records again by itself, and of what was before nothing is lost."""
    try:
        rig.daemon.wait_for(Signal.SAVED, 30, after=fault_ns / 1e9)
    except AssertionError as error:
        return Outcome([f"it does not record again: {str(error)[-1500:]}"])
    settled = rig.wait_settled(fault_ns)
    outcome = check(rig, rig.saved_lines(), before_ns=fault_ns, settled=settled)
    outcome.lost_seconds = lost_seconds(rig, fault_ns, rig.daemon.signals())
    outcome.violations += lost_too_much(rig, outcome.lost_seconds, fault_ns)
    return outcome


# --- the finisher, which has its hands on videos that were promised


class Unfinished:
    """Copies of a state folder with videos that wait to be encoded, hashed and given thumbnails."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made = unfinished()
        self.saved: list[str] = json.loads((self._made / "saved.json").read_text())
        self._number = 0

    def copy(self, state: Path | None = None) -> Rig:
        """A rig on a copy of it, or on this folder."""
        self._number += 1
        folder = self._folder / f"copy-{self._number}"
        if state is None:
            state = self._folder / f"state-{self._number}"
            shutil.copytree(self._made / "state", state)
        return Rig(folder, "defer", state=state)


def unfinished() -> Path:
    """The folder of such a state folder; the encoders' probe is done."""
    made = workshop() / "unfinished"
    if made.exists():
        return made
    rig = Rig(made, "defer")
    with rig:
        for _ in range(3):
            rig.daemon.wait_for(Signal.SAVED, 30, after=time.monotonic())
    (made / "saved.json").write_text(json.dumps(rig.saved_lines()))
    tried = Unfinished(workshop()).copy()
    finisher = start_finisher(tried)
    wait_finished(tried)
    end(finisher)
    shutil.copy(tried.daemon.state / "encoders-when-idle.json", rig.daemon.state)
    return made


def start_finisher(rig: Rig, environment: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
    with (rig.folder / "finisher.log").open("a") as log:
        return subprocess.Popen(
            command("finish", "--config", str(rig.daemon.config)),
            stdout=log,
            stderr=log,
            env={**os.environ, **(environment or {})},
        )


def end(process: subprocess.Popen[bytes], number: int = signal.SIGTERM) -> int:
    process.send_signal(number)
    return process.wait(30)


def wait_finished(rig: Rig, seconds: float = 60.0 + pause_after(1).total_seconds()) -> bool:
    """A recording that was being encoded when the finisher was killed has its pause first."""

    def finished() -> bool:
        return all(
            row.transcoded_from is not None
            and row.sha256 is not None
            and thumbnail_path(rig.settings.footage_folder / row.path).exists()
            for row in rig.rows()
        )

    return rig.wait(finished, seconds)


def finisher_kills(folder: Path, count: int, random: Random) -> Iterator[Outcome]:
    copies = Unfinished(folder)
    done = 0
    while done < count:
        rig = copies.copy()
        while done < count:
            finisher = start_finisher(rig)
            time.sleep(random.uniform(0.0, 2.5))
            end(finisher, signal.SIGKILL)
            done += 1
            if random.random() < 0.4 or done == count:
                outcome = _finish(rig, copies.saved)
                yield outcome
                if not outcome.violations:
                    shutil.rmtree(rig.folder)
                break
            yield Outcome()


def finisher_power_cuts(folder: Path, count: int, random: Random) -> Iterator[Outcome]:
    copies = Unfinished(folder)
    rig = copies.copy()
    disk = Disk(rig.daemon.state)
    finisher = start_finisher(
        rig,
        {
            "LD_PRELOAD": str(library()),
            "FAULTS_FOLDER": str(rig.daemon.state),
            "FAULTS_TRACE": str(rig.trace),
        },
    )
    if not wait_finished(rig):
        raise AssertionError((rig.folder / "finisher.log").read_text()[-3000:])
    end(finisher)
    trace = records(rig.trace)
    whole = deepcopy(disk)
    for record in trace:
        whole.play(record)
    whole.leave(folder / "replayed", Luck.KEPT, random)
    unlike = difference(folder / "replayed", rig.daemon.state)
    if unlike:
        raise AssertionError(f"The trace does not lead to the folder that was left: {unlike}")
    done = 0
    for number, place in enumerate(cuts(trace, count, random)):
        for record in trace[done:place]:
            disk.play(record)
        done = place
        state = folder / f"left-{number}"
        disk.leave(state, random.choice(list(Luck)), random)
        left = copies.copy(state)
        outcome = _finish(left, copies.saved)
        yield outcome
        if not outcome.violations:
            shutil.rmtree(left.folder)


def _finish(rig: Rig, saved: list[str]) -> Outcome:
    """The finisher goes on with what was cut off, and every video is whole and proven."""
    finisher = start_finisher(rig)
    finished = wait_finished(rig)
    code = end(finisher)
    outcome = check(rig, saved, before_ns=time.monotonic_ns(), running=False)
    log = (rig.folder / "finisher.log").read_text()
    if not finished:
        outcome.violations.append(f"the finisher does not finish: {log[-1500:]}")
    if code not in (0, -signal.SIGTERM):  # it may have been asked before it could listen
        outcome.violations.append(f"the finisher ended with exit code {code}: {log[-1500:]}")
    for row in rig.rows():
        path = rig.settings.footage_folder / row.path
        found = fingerprint(path, lambda: False) if finished else None
        if found is not None and found.sha256 != row.sha256:
            outcome.violations.append(f"{row.id}: its hash is another one")
    return outcome
