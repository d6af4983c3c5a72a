"""The acceptance of a station in a machine: install, pack, break, and a table of what was seen."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import textwrap
import time
from collections.abc import Sequence
from dataclasses import dataclass

from tests.vm.image import make_image
from tests.vm.kernel import make_kernel
from tests.vm.machine import Machine, MachineError
from tests.vm.station import STATE, BrokenPromiseError, Station
from tests.vm.trials import disks, faults, installation, lost_writes, packing, power, upgrade
from tests.vm.trials.trial import SETTINGS, Trial

SETTING_UP: tuple[Trial, ...] = (
    Trial("install", installation.install),
    Trial("configure", installation.configure),
)
"""What every other trial needs, in this order."""
TRIALS = (
    Trial("doctor", installation.look),
    Trial("order", packing.one_order),
    Trial("pages", packing.on_the_pages),
    Trial("next-order", packing.systemctl_says),
    Trial("again", packing.again),
    Trial("4k", packing.in_4k, quick=False),
    Trial("reboot", installation.reboot),
    Trial("camera", faults.camera),
    Trial("engine-frozen", faults.frozen_engine),
    Trial("station-frozen", faults.frozen_station),
    Trial("killed", faults.killed),
    Trial("disk-full", faults.full_disk),
    Trial("clock", faults.clock),
    Trial("read-only", disks.read_only),
    Trial("disk-fails", disks.failing),
    Trial("disk-away", disks.taken_away),
    Trial("lost-writes", lost_writes.lost_writes, quick=False),
    Trial("upgrade", upgrade.upgrade, quick=False),
    Trial("upgrade-cut", upgrade.interrupted, quick=False),
    Trial("power-cuts", power.few, quick=True),
    Trial("many-power-cuts", power.many, quick=False),
)
COLUMNS = (46, 62, 5, 7)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table."""

    trial: str
    done: str
    seen: str
    good: bool
    seconds: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns 0 if all was as promised, else 1."""
    options = _options(arguments)
    if options.list:
        print("\n".join(trial.name for trial in TRIALS))
        return 0
    if os.geteuid():
        sys.exit("scripts/test-vm: a machine needs the rights of root: sudo scripts/test-vm")
    wanted = [
        trial
        for trial in TRIALS
        if (trial.name in options.names if options.names else trial.quick or not options.quick)
    ]
    begun = time.monotonic()
    print("kernel and disks are made, if they are not there yet: the first time takes long")
    kernel = make_kernel()
    image = make_image(options.suite, kernel)
    print(f"they are there after {time.monotonic() - begun:.0f} s")
    machine = Machine("station", kernel, image)
    station = Station(machine)
    lines: list[Line] = []
    try:
        setting_up = SETTING_UP
        if options.installed and machine.folder.exists():
            setting_up = ()
        else:
            machine.renew()
        machine.boot()
        for trial in setting_up:
            lines += tried(trial, station)
            if not lines[-1].good:
                wanted = []
                break
        for trial in wanted:
            lines += tried(trial, station)
    except KeyboardInterrupt:
        print("\nstopped")
    finally:
        if not options.keep:
            machine.close()
    print(f"\n{table(lines)}")
    bad = [line for line in lines if not line.good]
    print(f"\n{len(lines) - len(bad)} good, {len(bad)} bad")
    return 1 if bad or not lines else 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/test-vm", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these trials")
    parser.add_argument("--list", action="store_true", help="name the trials, and end")
    parser.add_argument("--quick", action="store_true", help="without those that take long")
    parser.add_argument(
        "--suite",
        default="trixie",
        choices=("trixie", "bookworm"),
        help="of Debian, in the machine",
    )
    parser.add_argument(
        "--installed", action="store_true", help="on the machine as the last run has left it"
    )
    parser.add_argument("--keep", action="store_true", help="leave the machine running")
    options = parser.parse_args(arguments)
    unknown = set(options.names) - {trial.name for trial in TRIALS}
    if unknown:
        parser.error(f"there is no trial {', '.join(sorted(unknown))}; see --list")
    return options


def tried(trial: Trial, station: Station) -> list[Line]:
    """What it saw; if it failed, also how, and then the station is made ready again."""
    print(f"{trial.name} ...", flush=True)
    lines: list[Line] = []
    begun = time.monotonic()
    try:
        for done, seen in trial.run(station):
            now = time.monotonic()
            lines.append(Line(trial.name, done, seen, True, now - begun))
            print(f"    {done} -> {seen}", flush=True)
            begun = now
    except Exception as error:
        # Also what nobody expected: what the other trials have shown is not lost by it.
        said = str(error)
        if not isinstance(error, BrokenPromiseError | MachineError):
            said = f"{type(error).__name__}: {said}"
        lines.append(Line(trial.name, "", said, False, time.monotonic() - begun))
        print(f"    NOT AS PROMISED: {said}", flush=True)
        _save_evidence(trial, station)
        _mend(station)
    return lines


def _save_evidence(trial: Trial, station: Station) -> None:
    with contextlib.suppress(Exception):
        file = station.machine.folder / f"{trial.name}.journal"
        file.write_text(station.machine.run("journalctl -b --no-pager -o short-monotonic"))
        print(f"    its journal: {file}")


def _mend(station: Station) -> None:
    """The next trial gets a station as this one was promised it; if not, it will say so."""
    with contextlib.suppress(Exception):
        station.machine.power_cut()
        station.machine.boot()
        station.footage = f"{STATE}/footage"
        station.configure(SETTINGS)
        station.wait_ready()


def table(lines: Sequence[Line]) -> str:
    """What was done, what was seen, the verdict and the seconds, in columns."""
    rows = [("what was done", "what was seen", "", "seconds")]
    for line in lines:
        done, seen = f"{line.trial}: {line.done}", line.seen[:600]
        rows.append((done, seen, "good" if line.good else "BAD", f"{line.seconds:.0f}"))
    return "\n".join(_wrapped(row) for row in rows)


def _wrapped(row: tuple[str, ...]) -> str:
    cells = [textwrap.wrap(cell, width) or [""] for cell, width in zip(row, COLUMNS, strict=True)]
    height = max(map(len, cells))
    return "\n".join(
        "  ".join(
            (cell[number] if number < len(cell) else "").ljust(width)
            for cell, width in zip(cells, COLUMNS, strict=True)
        ).rstrip()
        for number in range(height)
    )


if __name__ == "__main__":
    sys.exit(main())
