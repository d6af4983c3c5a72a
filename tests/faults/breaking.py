"""Something around a recording station breaks, for a while, and is mended again."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, Final

from recorderd.core.signals import Signal
from tests.faults.invariants import Outcome, check, lost_seconds, lost_too_much, stands
from tests.faults.rig import RATE, Rig, clip, command
from tests.faults.rig import Control as Calls

HEARD_SECONDS: Final = 2.0
_ALARMS: Final = (Signal.FAULT_RECORDING, Signal.FAULT_IDLE, Signal.FAILED)


class Trouble:
    """One kind of it. `strike` begins it, `mend` ends it; both may be called many times."""

    modes: tuple[str, ...] = ("defer", "copy", "encode")
    preload = False
    once = False
    """Whether the station learns from it, so that it cannot be tried twice."""
    heard_within: float | None = None
    """Seconds until the panel must say so; None where the packer need not notice."""
    lasts: tuple[float, float] = (0.5, 3.0)
    leaves_torn = False
    """Whether a video may stay `damaged`, playable up to where it was cut off: without room for
    a whole one the torn one is kept, and mended later."""
    repeats = False
    """Whether the camera shows a picture more than once."""

    def settings(self, folder: Path, mode: str) -> dict[str, dict[str, Any]]:
        return {}

    def prepare(self, rig: Rig) -> None:
        """Before the station is started."""

    def strike(self, rig: Rig, random: Random) -> None:
        raise NotImplementedError

    def mend(self, rig: Rig) -> None:
        """The cause is gone."""

    def began_ns(self, rig: Rig, struck_ns: int) -> int | None:
        """When it was first felt; None if not yet."""
        return struck_ns

    def clear_away(self, rig: Rig) -> None:
        """After the station has ended."""

    def look(self, rig: Rig, outcome: Outcome) -> None:
        """Whatever else must hold afterwards."""


def trials(kind: type[Trouble], folder: Path, count: int, random: Random) -> Iterator[Outcome]:
    """One station, struck again and again; where it would not strike twice, one each time."""
    if kind.once:
        for number in range(count):
            place = folder / f"{number}"
            place.mkdir()
            yield from _trials(kind, place, 1, random)
    else:
        yield from _trials(kind, folder, count, random)


def _trials(kind: type[Trouble], folder: Path, count: int, random: Random) -> Iterator[Outcome]:
    trouble = kind()
    mode = random.choice(trouble.modes)
    rig = Rig(folder / mode, mode, trouble.settings(folder, mode))
    trouble.prepare(rig)
    rig.start(preload=trouble.preload)
    try:
        for _ in range(count):
            if not rig.wait(lambda: _records(rig), 60):
                raise AssertionError(f"it does not record: {rig.daemon.log.read_text()[-3000:]}")
            outcome = _trial(rig, trouble, random)
            if outcome is not None:
                yield outcome
    finally:
        with suppress(AssertionError, subprocess.TimeoutExpired):
            rig.stop()
        trouble.clear_away(rig)


def _records(rig: Rig) -> bool:
    """Whether the lamp says so; before that there is nothing that a fault could break."""
    standing = [shown for _, shown in rig.daemon.signals() if stands(shown)]
    return bool(standing) and standing[-1] is Signal.RECORDING


def _trial(rig: Rig, trouble: Trouble, random: Random) -> Outcome | None:
    """None if nothing felt it."""
    outcome = Outcome()
    time.sleep(random.uniform(0.0, 2.0))
    struck_ns = time.monotonic_ns()
    trouble.strike(rig, random)
    try:
        deadline = time.monotonic() + 10
        while (began_ns := trouble.began_ns(rig, struck_ns)) is None:
            if time.monotonic() > deadline:
                trouble.mend(rig)
                return None
            time.sleep(0.01)
        if trouble.heard_within is not None:
            _expect_alarm(rig, began_ns, trouble.heard_within, outcome)
        time.sleep(random.uniform(*trouble.lasts))
    finally:
        trouble.mend(rig)
    mended = time.monotonic()
    try:
        rig.daemon.wait_for(Signal.SAVED, 60, after=mended)
    except AssertionError as error:
        outcome.violations.append(f"it does not record again: {str(error)[-2500:]}")
        return outcome
    settled = rig.wait_settled(round(mended * 1e9))
    found = check(
        rig,
        rig.saved_lines(),
        before_ns=round(mended * 1e9),
        settled=settled,
        torn=trouble.leaves_torn,
        repeats=trouble.repeats,
    )
    outcome.violations += found.violations
    outcome.left_over = found.left_over
    outcome.lost_seconds = lost_seconds(rig, began_ns, rig.daemon.signals())
    outcome.violations += lost_too_much(rig, outcome.lost_seconds, began_ns)
    if rig.daemon.process.poll() is not None:
        outcome.violations.append("the station has ended")
    trouble.look(rig, outcome)
    return outcome


def _expect_alarm(rig: Rig, began_ns: int, seconds: float, outcome: Outcome) -> None:
    seconds *= max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))  # others work here, too
    deadline = time.monotonic() + seconds + 8
    while time.monotonic() < deadline:
        alarms = [at for at, shown in rig.daemon.signals() if shown in _ALARMS]
        late = next((at - began_ns / 1e9 for at in alarms if at > began_ns / 1e9), None)
        if late is not None:
            if late > seconds:
                outcome.violations.append(f"the alarm came after {late:.1f} s")
            return
        time.sleep(0.02)
    outcome.violations.append("there was no alarm")


# --- disk


class FailingCalls(Trouble):
    """System calls on the state folder fail, from a random one on."""

    preload = True
    kinds = 0
    error = 0
    times = 1 << 40
    heard_within: float | None = None

    def strike(self, rig: Rig, random: Random) -> None:
        rig.control.fail(self.kinds, self.error, after=random.randint(1, 60), times=self.times)

    def mend(self, rig: Rig) -> None:
        rig.control.heal()

    def began_ns(self, rig: Rig, struck_ns: int) -> int | None:
        return time.monotonic_ns() if rig.control["failed"] else None


class FullAtAnyWrite(FailingCalls):
    kinds = Calls.CREATE | Calls.WRITE | Calls.NAME | Calls.FOLDER
    error = errno.ENOSPC
    heard_within = HEARD_SECONDS
    leaves_torn = True


class FailingDisk(FailingCalls):
    kinds = Calls.WRITE | Calls.SYNC
    error = errno.EIO
    heard_within = HEARD_SECONDS
    leaves_torn = True


class OneFailure(FailingCalls):
    """A single call fails: perhaps one that nobody would notice."""

    kinds = Calls.CREATE | Calls.WRITE | Calls.SYNC | Calls.NAME | Calls.REMOVE | Calls.FOLDER
    error = errno.EIO
    times = 1
    leaves_torn = True


class ReadOnly(FailingCalls):
    kinds = Calls.CREATE | Calls.WRITE | Calls.NAME | Calls.REMOVE | Calls.FOLDER | Calls.TRUNCATE
    error = errno.EROFS
    leaves_torn = True
    heard_within = HEARD_SECONDS


class FailingEncoder(FailingCalls):
    """FFmpeg's encoder refuses pictures; after that it is never asked again."""

    modes = ("encode",)
    once = True
    kinds = Calls.ENCODE
    error = errno.EIO
    times = 3


# --- catalogue


class LockedCatalogue(Trouble):
    """Another program holds the write lock, as a database browser may."""

    heard_within = HEARD_SECONDS + 0.5
    lasts = (0.5, 4.0)

    def strike(self, rig: Rig, random: Random) -> None:
        path = rig.daemon.state / "catalogue.db"
        self._other = sqlite3.connect(path, isolation_level=None, timeout=10)
        self._other.execute("BEGIN IMMEDIATE")
        self._since_ns = time.monotonic_ns()

    def began_ns(self, rig: Rig, struck_ns: int) -> int | None:
        return self._since_ns

    def mend(self, rig: Rig) -> None:
        self._other.close()


# --- camera


class Camera(Trouble):
    """A program in the camera's place does this word (see camera.py)."""

    modes = ("defer", "encode")
    word = "well"

    def settings(self, folder: Path, mode: str) -> dict[str, dict[str, Any]]:
        self._behaviour = folder / "behaviour"
        self._behaviour.write_text("well")
        program = Path(__file__).with_name("camera.py")
        words = f"{sys.executable} {program} {clip('defer')} {self._behaviour} {RATE}"
        return {"camera": {"source": f"command:{words}", "silence_seconds": 1.0}}

    def strike(self, rig: Rig, random: Random) -> None:
        self._behaviour.write_text(self.word)

    def mend(self, rig: Rig) -> None:
        self._behaviour.write_text("well")


class CameraGone(Camera):
    word = "gone"
    heard_within = HEARD_SECONDS


class CameraSilent(Camera):
    word = "silent"
    heard_within = HEARD_SECONDS
    lasts = (2.0, 3.0)


class CameraRubbish(Camera):
    word = "rubbish"
    heard_within = HEARD_SECONDS
    lasts = (2.0, 3.0)


class CameraFrozen(Camera):
    """It looks alive, but shows what was there a while ago."""

    word = "still"
    frozen_seconds = 2.0
    heard_within = frozen_seconds + HEARD_SECONDS
    lasts = (0.0, 3.0)
    repeats = True

    def settings(self, folder: Path, mode: str) -> dict[str, dict[str, Any]]:
        merged = super().settings(folder, mode)
        merged["camera"]["frozen_seconds"] = self.frozen_seconds
        return merged

    def look(self, rig: Rig, outcome: Outcome) -> None:
        if "sends the same picture again and again" not in rig.daemon.log.read_text():
            outcome.violations.append("the journal does not say that the picture stands still")


class CameraFloods(Camera):
    word = "flood"
    lasts = (0.2, 1.0)


# --- clock


class ClockStepped(Trouble):
    """The wall clock is set, by hours, to and fro."""

    preload = True
    lasts = (0.2, 2.0)

    def strike(self, rig: Rig, random: Random) -> None:
        hours = random.choice([-1, 1]) * random.uniform(0.5, 30)
        rig.control["clock_offset"] = round(hours * 3600e9)

    def mend(self, rig: Rig) -> None:
        rig.control["clock_offset"] = 0


class NoClock(Trouble):
    """It begins in 1970 and is synchronised later."""

    preload = True

    def prepare(self, rig: Rig) -> None:
        self._without(rig)

    def _without(self, rig: Rig) -> None:
        rig.control["clock_state"] = 1 + 5
        rig.control["clock_offset"] = -time.time_ns() + 10**12

    def strike(self, rig: Rig, random: Random) -> None:
        # The station looks once a second; a clock is lost before it goes wrong.
        rig.control["clock_state"] = 1 + 5
        time.sleep(2.0)
        self._without(rig)

    def mend(self, rig: Rig) -> None:
        rig.control["clock_offset"] = 0
        rig.control["clock_state"] = 1

    def look(self, rig: Rig, outcome: Outcome) -> None:
        wrong = 3600.0
        offset = time.time() - time.monotonic()

        def all_right() -> bool:
            return all(
                abs(row.started_at.timestamp() - (row.monotonic_ns / 1e9 + offset)) < wrong
                for row in rig.rows()
                if row.clock != "synchronised" or row.started_at.year < 2000
            )

        if not rig.wait(all_right, 10):
            rows = [(row.id, row.clock, str(row.started_at)) for row in rig.rows()]
            outcome.violations.append(f"times stayed wrong: {rows[-4:]}")


# --- memory, pedal


class MemoryLimit(Trouble):
    """The engine may have no more memory than it has."""

    leaves_torn = True

    def strike(self, rig: Rig, random: Random) -> None:
        engine = rig.process("recorderd.engine")
        if engine is None:
            return
        with suppress(OSError):
            pages = int(Path(f"/proc/{engine}/statm").read_text().split()[0])
            limit = pages * resource.getpagesize() + random.randint(0, 8) * 1_000_000
            resource.prlimit(engine, resource.RLIMIT_AS, (limit, limit))

    def mend(self, rig: Rig) -> None:
        engine = rig.process("recorderd.engine")
        if engine is not None:
            with suppress(OSError):
                endless = resource.RLIM_INFINITY
                resource.prlimit(engine, resource.RLIMIT_AS, (endless, endless))


class PedalStuck(Trouble):
    heard_within = 3.0 + HEARD_SECONDS
    lasts = (0.0, 1.0)

    def settings(self, folder: Path, mode: str) -> dict[str, dict[str, Any]]:
        return {"panel": {"stuck_seconds": 3.0}}

    def strike(self, rig: Rig, random: Random) -> None:
        rig.daemon.press("press")

    def mend(self, rig: Rig) -> None:
        rig.daemon.press("release")


# --- mounts, for root only


def may_mount() -> bool:
    return os.geteuid() == 0 and shutil.which("mount") is not None


def _mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True)


class SmallDisk(Trouble):
    """The footage has a small disk of its own, and something else fills it."""

    mount_options = "size=160m"
    leaves_torn = True
    heard_within = HEARD_SECONDS
    lasts = (1.0, 3.0)

    def settings(self, folder: Path, mode: str) -> dict[str, dict[str, Any]]:
        self._disk = folder / "disk"
        self._disk.mkdir()
        _mount("-t", "tmpfs", "-o", self.mount_options, "none", str(self._disk))
        return {"storage": {"footage_folder": str(self._disk / "footage")}}

    def strike(self, rig: Rig, random: Random) -> None:
        left = random.randint(0, 12_000_000)
        with (self._disk / "filler").open("wb") as file:
            while True:
                disk = os.statvfs(self._disk)
                room = disk.f_bavail * disk.f_frsize - left
                try:
                    os.posix_fallocate(file.fileno(), 0, room)
                    return
                except OSError:  # the station was quicker
                    left += 200_000

    def mend(self, rig: Rig) -> None:
        (self._disk / "filler").unlink(missing_ok=True)

    def clear_away(self, rig: Rig) -> None:
        subprocess.run(["umount", "--lazy", str(self._disk)], check=False)


class NoMoreFiles(SmallDisk):
    """A disk on which there is space, but no room for another file."""

    mount_options = "size=160m,nr_inodes=400"

    def strike(self, rig: Rig, random: Random) -> None:
        fillers = self._disk / "fillers"
        fillers.mkdir(exist_ok=True)
        for number in range(1000):
            try:
                (fillers / str(number)).touch()
            except OSError:
                return

    def mend(self, rig: Rig) -> None:
        shutil.rmtree(self._disk / "fillers", ignore_errors=True)


class FootageVanishes(Trouble):
    """The footage disk is taken away and comes back."""

    heard_within = HEARD_SECONDS
    lasts = (1.0, 4.0)

    def settings(self, folder: Path, mode: str) -> dict[str, dict[str, Any]]:
        self._real, self._mount_point = folder / "real-disk", folder / "disk"
        self._real.mkdir()
        self._mount_point.mkdir()
        _mount("--bind", str(self._real), str(self._mount_point))
        return {"storage": {"footage_folder": str(self._mount_point / "footage")}}

    def strike(self, rig: Rig, random: Random) -> None:
        subprocess.run(["umount", "--lazy", str(self._mount_point)], check=True)

    def mend(self, rig: Rig) -> None:
        _mount("--bind", str(self._real), str(self._mount_point))

    def clear_away(self, rig: Rig) -> None:
        subprocess.run(["umount", "--lazy", str(self._mount_point)], check=False)


# --- at the start


def missing_mount(folder: Path, count: int, random: Random) -> Iterator[Outcome]:
    """The footage disk is not there when the station starts; it comes later."""
    trouble = FootageVanishes()
    mode = random.choice(trouble.modes)
    rig = Rig(folder / mode, mode, trouble.settings(folder, mode))
    try:
        with rig:
            rig.daemon.wait_for(Signal.SAVED, 30)
        for _ in range(count):
            trouble.strike(rig, random)
            since = time.monotonic()
            rig.start()
            outcome = Outcome()
            try:
                rig.daemon.wait_for(Signal.FAULT_IDLE, 30, after=since)
                trouble.mend(rig)
                rig.daemon.wait_for(Signal.SAVED, 30, after=time.monotonic())
            except AssertionError as error:
                outcome.violations.append(str(error)[-2500:])
            rig.stop()
            found = check(rig, rig.saved_lines(), before_ns=time.monotonic_ns(), running=False)
            outcome.violations += found.violations
            yield outcome
    finally:
        trouble.clear_away(rig)


def damaged_catalogue(folder: Path, count: int, random: Random) -> Iterator[Outcome]:
    """Bytes of the database change while nobody looks: the station says so or lives with it,
    no video is touched, and with the backup all is as before."""
    mode = random.choice(Trouble.modes)
    rig = Rig(folder / mode, mode)
    with rig:
        rig.daemon.wait_for(Signal.SAVED, 30)
    for _ in range(count):
        path = rig.daemon.state / "catalogue.db"
        backup = path.read_bytes()
        videos = _contents(rig)
        damaged = bytearray(backup)
        at = random.choice([0, random.randrange(0, len(backup) - 4096)])
        damaged[at : at + 4096] = random.randbytes(4096)
        path.write_bytes(damaged)
        outcome = Outcome()
        since = time.monotonic()
        rig.start()
        try:
            if at == 0:
                rig.daemon.wait_for(Signal.FAULT_IDLE, 30, after=since)
            else:
                rig.wait(lambda: bool(rig.daemon.status()), 10)
                time.sleep(1.0)
        except AssertionError as error:
            outcome.violations.append(str(error)[-2500:])
        rig.kill()
        for name, contents in videos.items():
            video = rig.settings.footage_folder / name
            if not video.exists() or video.read_bytes() != contents:
                outcome.violations.append(f"{name} was changed")
        _forget_what_came_since(rig, videos)
        path.write_bytes(backup)
        since = time.monotonic()
        with rig:
            rig.daemon.wait_for(Signal.SAVED, 30, after=since)
        found = check(rig, (), before_ns=time.monotonic_ns(), running=False)
        outcome.violations += found.violations
        yield outcome


def _forget_what_came_since(rig: Rig, videos: dict[str, bytes]) -> None:
    """What was recorded into a catalogue that is then replaced by its backup is not at stake."""
    state, footage = rig.daemon.state, rig.settings.footage_folder
    others = [*state.glob("catalogue.db*"), *rig.settings.incoming_folder.iterdir()]
    others += [footage / name for name in _contents(rig) if name not in videos]
    for path in others:
        path.unlink()


def _contents(rig: Rig) -> dict[str, bytes]:
    folder = rig.settings.footage_folder
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*.*")
        if path.is_file() and path.suffix in (".mp4", ".jpg")
    }


def _has_fault(rig: Rig, fault: str) -> bool:
    return fault in rig.daemon.status().get("faults", {})


def no_gpio(folder: Path, count: int, random: Random) -> Iterator[Outcome]:
    """The lamps' pins cannot be used: it says so where it can, and records all the same."""
    for number in range(count):
        mode = random.choice(Trouble.modes)
        rig = Rig(folder / f"{number}", mode, {"panel": {"driver": "gpio", "gpio_chip": 63}})
        log = (rig.folder / "station.log").open("w")
        with (
            log,
            subprocess.Popen(
                command("run", "--config", str(rig.daemon.config)), stdout=log, stderr=log
            ) as station,
        ):
            outcome = Outcome()
            try:
                if not rig.wait(rig.has_saved, 30):
                    outcome.violations.append("nothing is recorded without lamps")
                if not rig.wait(partial(_has_fault, rig, "panel"), 2.0):
                    outcome.violations.append("the missing panel is not named")
            finally:
                station.terminate()
                station.wait(60)
        found = check(rig, (), before_ns=time.monotonic_ns(), running=False)
        outcome.violations += found.violations
        yield outcome
