"""A new release takes the old one's place: beside a recording, broken, and with the plug pulled."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

from tests.vm.scenes import ORDERS, whole
from tests.vm.station import Station, has_ended, require, wait_for
from tests.vm.trials.installation import CHECKOUT
from tests.vm.trials.packing import begin

RELEASE = "/root/release"
CURRENT = "/opt/recorderd/current"
UNITS = "/usr/local/lib/systemd/system"
LOG = "/run/upgrade.log"
UPGRADE_SECONDS = 600.0
CUTS = 3


def upgrade(station: Station) -> Iterator[tuple[str, str]]:
    """While an order is being recorded, and then by a release that does not work."""
    machine = station.machine
    version = _make_release(station)
    before = begin(station, ORDERS[0])
    _start(station)
    _wait_for_words(station, "The change")
    time.sleep(8)
    require(station.status().get("order") == ORDERS[0], "the upgrade did not wait for the order")
    station.press()
    code, said = _end(station)
    require(code == "0", f"scripts/upgrade ended with {code}: {said}")
    require(_version(station) == version, f"in use is {_version(station)}, not {version}")
    station.wait_ready()
    (row,) = station.rows()[before:]
    shown = station.pictures(row)
    require(row["state"] == "saved" and whole(shown) == len(shown), f"the recording is {row}")
    yield (
        "scripts/upgrade while an order is recorded",
        (f"it waits for the pedal; the video is whole; then {version} is in use"),
    )

    _make_release(station)
    machine.run(f"echo 'raise SystemExit(1)' >> {RELEASE}/recorderd/station/run.py")
    _start(station)
    code, said = _end(station)
    require(code == "1" and "in use again" in said, f"it ended with {code}: {said[-800:]}")
    require(_version(station) == version, f"in use is {_version(station)}, not {version}")
    station.wait_ready()
    station.check_all()
    yield (
        "an upgrade to a release that does not start",
        (f"exit code 1, {version} is in use again and ready"),
    )


def interrupted(station: Station) -> Iterator[tuple[str, str]]:
    """The plug is pulled in the middle of an upgrade: one of the two releases runs then."""
    machine = station.machine
    chance = random.Random(CUTS)
    after_boot = []
    for number in range(CUTS):
        old, new = _version(station), _make_release(station)
        station.wait_ready()
        _start(station)
        # The first while packages are unpacked, the others while one takes the other's place.
        _wait_for_words(station, "The change" if number else "The new release")
        time.sleep(chance.uniform(0.0, 6.0))
        machine.power_cut()
        machine.boot()
        station.wait_ready()
        found = _version(station)
        require(found in (old, new), f"{found} runs, neither {old} nor {new}")
        after_boot.append("the new one" if found == new else "the old one")
        _start(station)
        code, said = _end(station)
        require(code == "0", f"the second scripts/upgrade ended with {code}: {said[-800:]}")
        require(_version(station) == new, f"in use is {_version(station)}, not {new}")
        _compare_units(station)
        station.wait_ready()
        station.check_all()
        require(all(map(has_ended, station.rows())), "a recording got no end")
    yield (
        f"{CUTS} upgrades with the plug pulled",
        (f"after the boot {', '.join(after_boot)} runs; the next scripts/upgrade ends well"),
    )


def _make_release(station: Station) -> str:
    """A checkout of the next version, with other units; returns what that is called."""
    major, minor, patch = _version(station).split(".")
    version = f"{major}.{minor}.{int(patch) + 1}"
    station.machine.run(
        f"rm -rf {RELEASE} && cp -a {CHECKOUT} {RELEASE} &&"
        f" sed -i 's/^version = .*/version = \"{version}\"/' {RELEASE}/pyproject.toml &&"
        f" sed -i '1i # Of release {version}.' {RELEASE}/systemd/recorderd* && sync"
    )
    return version


def _version(station: Station) -> str:
    return station.machine.run("recorderd --version").split()[-1]


def _compare_units(station: Station) -> None:
    """The units are those of the release in use. Raises BrokenPromiseError."""
    code, said = station.machine.status_of(
        f"cd {CURRENT}/systemd &&"
        f" for unit in recorderd*; do cmp $unit {UNITS}/$unit || exit 1; done"
    )
    require(code == 0, f"the units are of another release: {said}")


def _start(station: Station) -> None:
    """Start scripts/upgrade as a technician who stays logged in does."""
    station.machine.run(
        f"rm -f {LOG}; (setsid sh -c '{RELEASE}/scripts/upgrade --yes --wheels /media/wheels;"
        f" echo exit code $?' > {LOG} 2>&1 < /dev/null &)"
    )


def _wait_for_words(station: Station, words: str) -> str:
    said = wait_for(
        lambda: station.machine.run(f"cat {LOG}", check=False),
        lambda said: words in said or "exit code" in said,
        f"scripts/upgrade at {words!r}",
        UPGRADE_SECONDS,
    )
    require(words in said, f"scripts/upgrade did not come to {words!r}: {said[-800:]}")
    return said


def _end(station: Station) -> tuple[str, str]:
    """Wait for the end of scripts/upgrade; returns its exit code and all that it said."""
    said = _wait_for_words(station, "exit code")
    return said.split()[-1], said
