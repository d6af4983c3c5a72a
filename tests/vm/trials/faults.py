"""What breaks around a station while it records: it is heard, and the station goes on by itself."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from tests.vm.scenes import ORDERS
from tests.vm.station import STATE, BrokenPromiseError, Station, alarm_in, require
from tests.vm.trials.packing import begin, record
from tests.vm.trials.trial import RATE

HEARD_SECONDS = 2.0
"""So soon the loss of a camera is signalled."""
WATCHDOG_SECONDS = 30.0
"""WatchdogSec of recorderd.service."""


def end(station: Station, before: int) -> list[dict[str, Any]]:
    """Stop, and look at the parts there are of the order. All must play."""
    station.press()
    return look_at_parts(station, before)


def look_at_parts(station: Station, before: int) -> list[dict[str, Any]]:
    """Wait until all parts of the order have ended. All must play, and the station be ready."""
    rows = station.ended_rows("saved")[before:]
    for row in rows:
        require(row["state"] in ("saved", "recovered"), f"{row['id']} is {row['state']}")
        station.pictures(row)
    station.wait_ready()
    station.check_all()
    return rows


def heard(station: Station, since: float, seconds: float) -> float:
    """Wait until an alarm was seen and heard; returns how soon after `since` it began."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        # What the lamps showed already when it happened is no answer to it.
        began = alarm_in([level for level in station.seen(since) if level.at > since])
        if began is not None:
            return began - since
        time.sleep(0.2)
    raise BrokenPromiseError(f"no alarm within {seconds:.0f} s: {station.seen(since)}")


def camera(station: Station) -> Iterator[tuple[str, str]]:
    """The cable, the driver, and a camera that hangs."""
    usb = "/sys/bus/usb/drivers/usb"
    trials = (
        (
            "the camera's cable is pulled and plugged in",
            "echo unplug > /run/usb-camera",
            3.0,
            "echo plug > /run/usb-camera",
        ),
        (
            "the camera is unbound and bound",
            "readlink -f /sys/class/video4linux/video0/device/.. | xargs basename > /run/device;"
            f" cat /run/device > {usb}/unbind",
            3.0,
            f"cat /run/device > {usb}/bind",
        ),
        ("the camera hangs for six seconds", "echo stall 6 > /run/usb-camera", 6.5, "true"),
    )
    for done, fault, pause, mend in trials:
        before = begin(station, ORDERS[0])
        # In one command, so that the way into the machine is not counted.
        said = station.machine.run(f"cut -d ' ' -f 1 /proc/uptime; {fault}")
        alarm = heard(station, float(said.split()[0]), 10)
        require(alarm <= HEARD_SECONDS, f"{done}: the alarm came after {alarm:.1f} s")
        time.sleep(pause)
        station.machine.run(mend)
        station.wait_recording_again()
        time.sleep(2)
        rows = end(station, before)
        parts = [row["part"] for row in rows]
        require(parts == [1, 2], f"the parts are {parts}")
        yield done, f"alarm after {alarm:.1f} s; it goes on by itself as part 2; both play"


def frozen_engine(station: Station) -> Iterator[tuple[str, str]]:
    """The process that touches video hangs."""
    before = begin(station, ORDERS[1])
    since = station.now()
    engine = station.machine.run("pgrep -f 'recorderd[.]engine( |$)' | head -n 1").strip()
    station.machine.run(f"kill -STOP {engine}")
    alarm = heard(station, since, 15)
    station.wait_recording_again()
    took = station.now() - since
    restarts = station.state_of("recorderd", "NRestarts")["NRestarts"]
    time.sleep(2)
    rows = end(station, before)
    yield (
        "the engine is stopped (SIGSTOP) while it records",
        (
            f"alarm after {alarm:.1f} s, recording again after {took:.1f} s in {len(rows)} parts;"
            f" the service was not restarted ({restarts})"
        ),
    )


def frozen_station(station: Station) -> Iterator[tuple[str, str]]:
    """The deciding process hangs: nobody inside can say so."""
    before = begin(station, ORDERS[2])
    restarts = int(station.state_of("recorderd", "NRestarts")["NRestarts"])
    since = station.now()
    main = station.state_of("recorderd", "MainPID")["MainPID"]
    station.machine.run(f"kill -STOP {main}")
    station.wait_until(
        lambda _status: station.state_of("recorderd", "MainPID")["MainPID"] not in (main, "0"),
        "started again by systemd",
        WATCHDOG_SECONDS + 60,
    )
    again = station.now() - since
    station.wait_ready()
    counted = int(station.state_of("recorderd", "NRestarts")["NRestarts"])
    require(counted == restarts + 1, f"systemd counts {counted} restarts, {restarts} before")
    rows = look_at_parts(station, before)
    yield (
        "the station is stopped (SIGSTOP) while it records",
        (
            f"the watchdog has it started again after {again:.0f} s;"
            f" {len(rows)} video(s), {rows[0]['state']}, all play"
        ),
    )


def full_disk(station: Station) -> Iterator[tuple[str, str]]:
    """Something else fills the disk while an order is recorded."""
    machine = station.machine
    before = begin(station, ORDERS[0])
    since = station.now()
    free = int(machine.run(f"df --output=avail -B1 {STATE} | tail -n 1"))
    machine.run(f"fallocate -l {free - 30_000_000} {STATE}/filled")
    alarm = heard(station, since, 20)
    rows = station.ended_rows("closed")[before:]
    require([row["state"] for row in rows] == ["saved"], f"the recording is {rows}")
    reason = rows[0]["stop_reason"]
    code, said = machine.status_of("recorderd status")
    require(code == 1 and "free" in said, f"recorderd status says {said}")
    machine.run(f"rm {STATE}/filled")
    station.wait_mended()
    time.sleep(3)
    rows = end(station, before)
    yield (
        "the disk fills up while it records, and is emptied",
        (
            f"alarm after {alarm:.1f} s, the video is closed ({reason}) and saved;"
            f" with room again the order goes on as part {len(rows)}; all play"
        ),
    )


def clock(station: Station) -> Iterator[tuple[str, str]]:
    """Somebody sets the clock while an order is recorded."""
    machine = station.machine
    for jump in ("+3 hours", "-5 hours"):
        before = begin(station, ORDERS[1])
        machine.run(f"date -s \"$(date -d '{jump}')\"")
        time.sleep(3)
        (row,) = end(station, before)
        shown = station.pictures(row)
        length = row["duration_ms"] / 1000
        require(abs(length - len(shown) / RATE) < 1, f"{length} s for {len(shown)} pictures")
        yield f"the clock is set by {jump} while it records", f"the video is {length:.1f} s long"
    machine.run("date -s \"$(date -d '+2 hours')\"")
    record(station, ORDERS[2], 1.0)


def killed(station: Station) -> Iterator[tuple[str, str]]:
    """Every service dies once."""
    machine = station.machine
    for service in ("recorderd-web", "recorderd-finisher", "recorderd"):
        machine.run(f"systemctl kill -s KILL {service}")
        station.wait_for_service(service)
    station.wait_ready()
    code, _ = station.ask_page("/healthz")
    require(code == 200, f"/healthz answers {code}")
    yield "each service is killed (SIGKILL)", "started again by systemd; the page answers"
