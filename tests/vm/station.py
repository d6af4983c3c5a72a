"""The station in the machine, as technician and packer have it: hands, eyes, and its own words."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import av

from recorderd.config import toml_value
from tests.station.clips import counters
from tests.vm.image import ADDRESS
from tests.vm.machine import Machine
from tests.vm.scenes import scenes

_Seen = TypeVar("_Seen")
CONFIG = "/etc/recorderd/recorderd.toml"
STATE = "/var/lib/recorderd"
GREEN, RED, BUZZER, PEDAL = 17, 27, 22, 23
"""Lines of the chip: the defaults of config/recorderd.toml."""
SERVICES = ("recorderd", "recorderd-web", "recorderd-finisher")
_ROWS = """
import json, sqlite3
with sqlite3.connect("file:/var/lib/recorderd/catalogue.db?mode=ro", uri=True) as catalogue:
    catalogue.row_factory = sqlite3.Row
    rows = catalogue.execute("select * from recordings order by rowid")
    print(json.dumps([{key: row[key] for key in row.keys() if not isinstance(row[key], bytes)}
                      for row in rows]))
"""


class BrokenPromiseError(Exception):
    """The station did something else than it promises; says what."""


def require(holds: object, complaint: str) -> None:
    """Raises BrokenPromiseError unless it holds."""
    if not holds:
        raise BrokenPromiseError(complaint)


def wait_for(
    look: Callable[[], _Seen], holds: Callable[[_Seen], object], what: str, seconds: float
) -> _Seen:
    """Look again and again until it is as wanted; returns what was seen then.

    Raises BrokenPromiseError.
    """
    deadline = time.monotonic() + seconds
    while not holds(seen := look()):
        if time.monotonic() > deadline:
            raise BrokenPromiseError(f"not {what} within {seconds:.0f} s: {str(seen)[-2000:]}")
        time.sleep(0.2)
    return seen


@dataclass(frozen=True, slots=True)
class Level:
    """From this moment of the monotonic clock on the lines were at these levels."""

    at: float
    green: bool
    red: bool
    buzzer: bool


SHORT_SECONDS = 0.25
"""A high tone is shorter, a low one longer than this."""


@dataclass(frozen=True, slots=True)
class Buzz:
    """One sound of the buzzer: when it began, and for how long it was heard."""

    at: float
    seconds: float

    @property
    def is_low(self) -> bool:
        return self.seconds > SHORT_SECONDS


class Station:
    """Asked by one thread; the machine must be up."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.footage = f"{STATE}/footage"

    # The camera ------------------------------------------------------------------------

    def give_camera(self, size: tuple[int, int]) -> None:
        """Plug in a camera that sees the bench in this size, also after the next boot."""
        self.machine.run("systemctl stop bench-camera; rm -rf /var/lib/bench/scenes")
        for name, pictures in scenes(size):
            self.machine.put(pictures, f"/var/lib/bench/scenes/{name}.mjpeg")
        self.machine.run("sync; systemctl start bench-camera")
        self.machine.run("udevadm settle; until ls /dev/v4l/by-id/*-index0; do sleep 0.2; done")

    def camera(self, command: str) -> None:
        self.machine.run(f"echo {command} > /run/usb-camera")

    # Hands and eyes --------------------------------------------------------------------

    def press(self, seconds: float = 0.2) -> None:
        """Step on the pedal for so long."""
        pull = f"/usr/local/lib/bench/hardware pull {PEDAL}"
        self.machine.run(f"{pull} pull-down; sleep {seconds}; {pull} pull-up")

    def seen(self, since: float = 0.0) -> list[Level]:
        """What lamps and buzzer did since this moment of the machine's monotonic clock."""
        levels = []
        for line in self.machine.run("cat /run/bench-panel").splitlines():
            moment, bits = line.split()
            levels.append(Level(float(moment), *(bit == "1" for bit in bits)))
        before = [level for level in levels if level.at <= since]
        return before[-1:] + [level for level in levels if level.at > since]

    def lamps(self) -> str:
        """green, red, both or none: what is lit now."""
        level = self.seen()[-1]
        return {(True, False): "green", (False, True): "red", (True, True): "both"}.get(
            (level.green, level.red), "none"
        )

    # Its own words ---------------------------------------------------------------------

    def configure(self, settings: Mapping[str, Mapping[str, Any]]) -> None:
        """Write the settings as a technician would, and have them taken."""
        text = "\n".join(
            f"[{section}]\n" + "".join(f"{key} = {toml_value(keys[key])}\n" for key in keys)
            for section, keys in settings.items()
        )
        self.machine.put(text.encode(), CONFIG)
        self.machine.run("recorderd check-config > /dev/null")
        self.machine.run("systemctl restart recorderd recorderd-web recorderd-finisher")

    def status(self) -> dict[str, Any]:
        """What `recorderd status --json` says; {} while there is no station."""
        said = self.machine.run("recorderd status --json", check=False)
        try:
            document: dict[str, Any] = json.loads(said)
        except ValueError:
            return {}
        return document if document.get("running") else {}

    def wait_until(
        self, holds: Callable[[dict[str, Any]], object], what: str, seconds: float = 60.0
    ) -> float:
        """Ask for its status until it is as wanted; returns how long that took.

        Raises BrokenPromiseError.
        """
        begun = time.monotonic()
        wait_for(self.status, holds, what, seconds)
        return time.monotonic() - begun

    def wait_ready(self, seconds: float = 90.0) -> float:
        """Until a label would be answered."""
        return self.wait_until(
            lambda status: status.get("phase") == "ready" and not status["faults"], "ready", seconds
        )

    def wait_recording(self, order: str) -> None:
        """Until this order is recorded, whose label was just shown."""
        self.wait_until(lambda status: status.get("order") == order, f"recording {order}", 20)

    def wait_recording_again(self) -> None:
        """Until it goes on after a fault."""
        self.wait_until(
            lambda status: status.get("phase") == "recording" and not status["faults"],
            "recording again",
        )

    def wait_mended(self, seconds: float = 60.0) -> None:
        """Until nothing is wrong any more."""
        self.wait_until(lambda status: status and not status["faults"], "mended", seconds)

    def rows(self) -> list[dict[str, Any]]:
        """The catalogue's recordings, in the order in which they began."""
        rows: list[dict[str, Any]] = json.loads(self.machine.run("python3 -", given=_ROWS.encode()))
        return rows

    def journal(self, *fields: str) -> list[dict[str, str]]:
        """Entries of this boot that have all these fields (NAME=VALUE), oldest first."""
        said = self.machine.run(["journalctl", "-b", "-o", "json", "--no-pager", *fields])
        return [json.loads(line) for line in said.splitlines()]

    def state_of(self, service: str, *properties: str) -> dict[str, str]:
        """What `systemctl show` says of a service."""
        said = self.machine.run(["systemctl", "show", service, f"-p{','.join(properties)}"])
        return dict(line.split("=", 1) for line in said.splitlines())

    def wait_for_service(self, service: str, seconds: float = 60.0) -> None:
        """Until systemd says that it runs. Raises BrokenPromiseError."""
        wait_for(
            lambda: self.state_of(service, "SubState")["SubState"],
            lambda state: state == "running",
            f"{service} running",
            seconds,
        )

    def ask_page(self, path: str) -> tuple[int, bytes]:
        """Status and body of what the staff pages answer to a neighbour in the LAN."""
        done = self.machine.on_its_network(
            *("curl", "-sS", "-m", "60", "-w", "%{http_code}", f"http://{ADDRESS}{path}")
        )
        if done.returncode:
            return 0, done.stderr
        return int(done.stdout[-3:]), done.stdout[:-3]

    def now(self) -> float:
        """The machine's monotonic clock."""
        return float(self.machine.run("cut -d ' ' -f 1 /proc/uptime"))

    # Footage ---------------------------------------------------------------------------

    def ended_rows(self, what: str, seconds: float = 60.0) -> list[dict[str, Any]]:
        """The catalogue's recordings, as soon as nothing more happens to any of them by itself.

        Raises BrokenPromiseError.
        """
        return wait_for(self.rows, lambda rows: all(map(has_ended, rows)), what, seconds)

    def pictures(self, row: Mapping[str, Any], *, damaged: bool = False) -> list[int | None]:
        """The numbers burnt into the pictures of a recording; it must be a video that plays.

        Where it may be `damaged`, a picture that does not decode is left out, and one without a
        legible number is None. Raises BrokenPromiseError otherwise.
        """
        return shown_in(self.machine.get(f"{self.footage}/{row['path']}"), row["id"], damaged)

    def check_all(self) -> str:
        """Run the station's own check of catalogue and footage. Raises BrokenPromiseError."""
        code, said = self.machine.status_of("recorderd fsck")
        require(code == 0, f"recorderd fsck: {said}")
        return said.strip().splitlines()[-1]


def buzzes(levels: Sequence[Level]) -> list[Buzz]:
    """Each sound of the buzzer that has come to its end."""
    found: list[Buzz] = []
    begun = None
    for level in levels:
        if level.buzzer and begun is None:
            begun = level.at
        elif not level.buzzer and begun is not None:
            found.append(Buzz(begun, level.at - begun))
            begun = None
    return found


def alarm_in(levels: Sequence[Level]) -> float | None:
    """When an alarm began: three low tones, and lamps that alternate. None if there is none."""
    low = [buzz for buzz in buzzes(levels) if buzz.is_low]
    alternate = any(level.green and not level.red for level in levels) and any(
        level.red and not level.green for level in levels
    )
    return low[0].at if alternate and len(low) >= 3 else None


def shown_in(video: bytes, name: str, damaged: bool = False) -> list[int | None]:
    """The numbers burnt into a video's pictures, in the order they are shown.

    Where it may be `damaged`, a picture that does not decode is left out, and one without a
    legible number is None. Raises BrokenPromiseError if it does not play as it should.
    """
    with tempfile.NamedTemporaryFile(suffix=".mp4") as file:
        file.write(video)
        file.flush()
        try:
            numbers = counters(Path(file.name), damaged=damaged)
        except (av.FFmpegError, OSError) as error:
            raise BrokenPromiseError(f"{name} does not play: {error}") from error
    require(numbers, f"{name} shows nothing")
    require(damaged or None not in numbers, f"{name} has damaged pictures: {numbers}")
    return numbers


def has_ended(row: Mapping[str, Any]) -> bool:
    """Nothing more happens to the recording by itself."""
    return row["state"] not in ("recording", "captured")
