"""The computer's own health: heat, power, memory."""

from __future__ import annotations

import platform
from collections.abc import Iterator

from recorderd.doctor.check import Finding, bad, good, warning
from recorderd.doctor.examination import Examination
from recorderd.doctor.machine import Machine

_WARM, _HOT = 75.0, 84.0
"""Degrees Celsius. A Raspberry Pi slows down from 80 on and further at 85."""

_THROTTLED_NOW = {
    0: "the power supply is too weak",
    1: "the processor is held back",
    2: "the processor is slowed down",
    3: "the processor is too hot",
}
"""Bits of `vcgencmd get_throttled`, documented by Raspberry Pi; 16 higher: since it was started."""

_LITTLE_MEMORY_BYTES = 400_000_000
_POWER = "Use the power supply made for this Raspberry Pi (5.1 V, 3 A; Pi 5: 5 A)"
_COOLING = "Give it a fan or a heat sink, and air around its case"


class ComputerCheck:
    name = "computer"
    limit_seconds = 6.0
    slow = False

    def look(self, examination: Examination, /) -> Finding:
        machine = examination.machine
        model = machine.model()
        degrees = max(temperatures(machine), default=None)
        free = available_memory(machine)
        facts = [("kernel", platform.release())]
        seen = [model] if model else []
        if degrees is not None:
            seen.append(f"{degrees:.0f} °C")
            facts.append(("temperature", f"{degrees:.1f} °C"))
        if free is not None:
            seen.append(f"{free / 1e9:.1f} GB of memory free")
        shown = ", ".join(seen)
        now, before = throttling(machine)
        if now:
            weak = any("power" in word for word in now)
            return bad(f"{shown}: {', '.join(now)}", _POWER if weak else _COOLING, *facts)
        if degrees is not None and degrees >= _HOT:
            return bad(f"{shown}: much too hot", _COOLING, *facts)
        if before:
            weak = any("power" in word for word in before)
            return warning(
                f"{shown}; since it was started: {', '.join(before)}",
                _POWER if weak else _COOLING,
                *facts,
            )
        if degrees is not None and degrees >= _WARM:
            return warning(f"{shown}: hot", _COOLING, *facts)
        if free is not None and free < _LITTLE_MEMORY_BYTES:
            return warning(
                shown, "End other programs, or set recording.buffer_megabytes lower", *facts
            )
        return good(shown, *facts)


def temperatures(machine: Machine) -> Iterator[float]:
    """Degrees Celsius of all that the kernel measures (sysfs thermal zones)."""
    for zone in sorted((machine.root / "sys/class/thermal").glob("thermal_zone*")):
        text = machine.text(str(zone.relative_to(machine.root) / "temp"))
        if text is not None and text.lstrip("-").isdigit():
            yield int(text) / 1000


def available_memory(machine: Machine) -> int | None:
    for line in (machine.text("proc/meminfo") or "").splitlines():
        name, _, rest = line.partition(":")
        if name == "MemAvailable":
            return int(rest.split()[0]) * 1024
    return None


def throttling(machine: Machine) -> tuple[list[str], list[str]]:
    """What holds a Raspberry Pi back now, and what has since it was started; else nothing."""
    answer = machine.output("vcgencmd", "get_throttled") or ""
    try:
        bits = int(answer.strip().partition("=")[2], 16)
    except ValueError:
        return _low_voltage_alarm(machine), []
    now = [words for bit, words in _THROTTLED_NOW.items() if bits >> bit & 1]
    before = [words for bit, words in _THROTTLED_NOW.items() if bits >> bit + 16 & 1]
    return now, before


def _low_voltage_alarm(machine: Machine) -> list[str]:
    """The kernel's raspberrypi-hwmon knows it where vcgencmd is not installed."""
    for folder in sorted((machine.root / "sys/class/hwmon").glob("hwmon*")):
        place = str(folder.relative_to(machine.root))
        if (
            machine.text(f"{place}/name") == "rpi_volt"
            and machine.text(f"{place}/in0_lcrit_alarm") == "1"
        ):
            return [_THROTTLED_NOW[0]]
    return []
