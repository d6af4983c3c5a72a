"""Whether the time of day is right, and stays right without power."""

from __future__ import annotations

from datetime import datetime

from recorderd.doctor.check import Finding, good, warning
from recorderd.doctor.examination import Examination
from recorderd.station.clock import SYNCHRONISED, synchronisation


class ClockCheck:
    name = "clock"
    limit_seconds = 6.0
    slow = False

    def look(self, examination: Examination, /) -> Finding:
        machine = examination.machine
        now = datetime.now().astimezone()
        shown = f"{now:%Y-%m-%d %H:%M:%S %Z}"
        battery = machine.text("sys/class/rtc/rtc0/name")
        facts = [("clock that runs without power", battery or "none")]
        details = machine.output("timedatectl", "show") or ""
        properties = dict(line.partition("=")[::2] for line in details.splitlines())
        if properties.get("Timezone"):
            facts.append(("time zone", properties["Timezone"]))
        if synchronisation() == SYNCHRONISED:
            return good(f"{shown}, set by the network or another right clock", *facts)
        asks = properties.get("NTP") == "no"
        remedy = (
            "Let it ask the network: sudo timedatectl set-ntp true"
            if asks
            else "Connect it to the network; 'timedatectl timesync-status' shows whom it asks"
        )
        return warning(f"{shown}, but nothing vouches for it: it was not set", remedy, *facts)
