"""What a trial is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tests.vm.station import Station

SIZE, RATE = (1280, 720), 10
"""Of most trials: User-Mode Linux is slow at what moves much memory, such as pictures in 4K."""
SETTINGS: dict[str, dict[str, Any]] = {
    "station": {"name": "bench"},
    "camera": {"width": SIZE[0], "height": SIZE[1], "rate": float(RATE)},
    "panel": {"driver": "gpio", "gpio_chip": 0},
    "storage": {"minimum_free_gigabytes": 0.3, "reserve_megabytes": 60},
}


def settings(**sections: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The settings of most trials, with some keys given anew."""
    merged = {section: dict(keys) for section, keys in SETTINGS.items()}
    for section, keys in sections.items():
        merged.setdefault(section, {}).update(keys)
    return merged


@dataclass(frozen=True, slots=True)
class Trial:
    """`run` does something to a station that is installed, configured and ready, and yields
    (what was done, what was seen) for each thing that it checked. It leaves it ready again.

    It raises BrokenPromiseError or MachineError where that is not as promised.
    """

    name: str
    run: Callable[[Station], Iterator[tuple[str, str]]]
    quick: bool = True
