"""The technician's first hour: install, configure, look."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator

from tests.vm.image import checkout
from tests.vm.station import SERVICES, Station, require
from tests.vm.trials.trial import SIZE, settings

CHECKOUT = "/root/recorderd"
SHIPPED = "/opt/recorderd/current/config/recorderd.toml"
INSTALL = f"{CHECKOUT}/scripts/install --yes --wheels /media/wheels"
INSTALL_SECONDS = 900.0
LARGEST_EXPOSURE = 2.0
"""Of `systemd-analyze security`, where 0 is a closed box and 10 an open door."""


def install(station: Station) -> Iterator[tuple[str, str]]:
    """From a bare Debian to a station that shows what is still missing."""
    machine = station.machine
    machine.run(f"mkdir -p {CHECKOUT} && tar -x -C {CHECKOUT}", given=checkout())
    begun = time.monotonic()
    code, said = machine.status_of(INSTALL, seconds=INSTALL_SECONDS)
    require(code == 0, f"scripts/install ended with {code}: {said[-2000:]}")
    yield "scripts/install --yes, without a network", f"done in {time.monotonic() - begun:.0f} s"

    begun = time.monotonic()
    code, said = machine.status_of(INSTALL)
    seconds = time.monotonic() - begun
    require(code == 0, f"the second scripts/install ended with {code}: {said[-2000:]}")
    require("already in place" in said, f"it does not say what is in place: {said}")
    yield "the same again", f"all in place, said in {seconds:.0f} s"

    failed = machine.run("systemctl --failed --plain --no-legend").strip()
    require(not failed, f"units failed: {failed}")
    for service in SERVICES:
        state = station.state_of(service, "ActiveState", "User", "WatchdogUSec", "UnitFileState")
        require(state["ActiveState"] == "active", f"{service} is {state}")
        require(state["User"] == "recorderd", f"{service} runs as {state['User']}")
        require(state["UnitFileState"] == "enabled", f"{service} does not start at boot")
    yield "systemctl", f"{', '.join(SERVICES)}: active, enabled, as their own user; none failed"

    exposures = machine.run(
        ["systemd-analyze", "security", "--no-pager", *(f"{name}.service" for name in SERVICES)],
        check=False,
    )
    found = [float(level) for level in re.findall(r"exposure level for \S+: ([\d.]+)", exposures)]
    require(len(found) == len(SERVICES), f"systemd-analyze says: {exposures[-500:]}")
    require(max(found) <= LARGEST_EXPOSURE, f"exposure levels {found}")
    yield "systemd-analyze security", f"exposure levels {', '.join(map(str, found))}"


def configure(station: Station) -> Iterator[tuple[str, str]]:
    """Camera and pins of this very bench, and a mistake that is refused."""
    machine = station.machine
    machine.run(f"sed 's/^#width = .*/widht = 1280/' {SHIPPED} > /tmp/mistake.toml")
    code, said = machine.status_of("recorderd check-config --config /tmp/mistake.toml")
    require(code == 78 and "width" in said, f"check-config ended with {code}: {said}")
    yield "a setting with a slip of the pen", "refused (78), with the right name of it"

    code, said = machine.status_of("recorderd status")
    require(code == 1 and "camera" in said, f"without a camera recorderd status says {said}")
    yield "recorderd status before the camera is plugged in", "exit code 1; the camera is missing"

    station.give_camera(SIZE)
    station.configure(settings())
    seconds = station.wait_ready()
    require(station.lamps() == "green", f"the lamps show {station.lamps()}")
    yield "camera and pins configured, services restarted", f"green lamp after {seconds:.0f} s"


def look(station: Station) -> Iterator[tuple[str, str]]:
    """One command that says whether all is well."""
    begun = time.monotonic()
    code, said = station.machine.status_of("recorderd doctor --no-hands --json")
    seconds = time.monotonic() - begun
    require(code == 0, f"recorderd doctor ended with {code}: {said[-2000:]}")
    results = json.loads(said[said.index("{") :])
    verdicts = [result["verdict"] for result in results["results"]]
    counted = ", ".join(f"{verdicts.count(word)} {word}" for word in sorted(set(verdicts)))
    yield "recorderd doctor --no-hands", f"{counted}, in {seconds:.0f} s"
    code, said = station.machine.status_of("recorderd status")
    require(code == 0, f"recorderd status ended with {code}: {said}")
    yield "recorderd status", said.splitlines()[0]


def reboot(station: Station) -> Iterator[tuple[str, str]]:
    """Switched off and on again, as every evening and morning."""
    off = station.machine.shut_down()
    on = station.machine.boot()
    ready = station.wait_ready()
    failed = station.machine.run("systemctl --failed --plain --no-legend").strip()
    require(not failed, f"units failed: {failed}")
    yield "switched off and on", f"off in {off:.0f} s, up in {on:.0f} s, green {ready:.0f} s later"
