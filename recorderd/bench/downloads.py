"""`recorderd bench downloads`: how fast videos leave the station, beside nginx on the same file.

Both servers run at once on this machine and are loaded in turn, by the same client, over the
loopback. Which one comes first changes from round to round.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Final

from recorderd.bench import pages, processes
from recorderd.bench.client import SEEK, WHOLE, Load, Outcome, Running
from recorderd.bench.large_file import PARENT, add_large_file
from recorderd.bench.report import Comparison, machine, number, table
from recorderd.bench.servers import (
    HOW_TO_GET_NGINX,
    Server,
    free_port,
    nginx,
    nginx_config,
    recorderd_web,
)
from recorderd.bench.try_out import write_settings
from recorderd.settings import Settings

ROUNDS: Final = 5
ONE_DOWNLOAD_GOAL: Final = 0.9
_SECONDS: Final = 2.0
_ORDER: Final = "LARGE-1"


@dataclass(frozen=True, slots=True)
class Trial:
    """One way of downloading, tried on both sides."""

    name: str
    connections: int
    kind: str = WHOLE
    goal: float | None = None


TRIALS: Final = (
    Trial("one large download", 1, goal=ONE_DOWNLOAD_GOAL),
    Trial("20 downloads at once", 20),
    Trial("one player seeking", 1, SEEK),
    Trial("20 players seeking", 20, SEEK),
)


@dataclass(frozen=True, slots=True)
class Measured:
    """What one load did to one server."""

    outcome: Outcome
    server_cpu_seconds: float

    @property
    def megabytes_per_second(self) -> float:
        return self.outcome.bytes_per_second / 1e6

    @property
    def cpu_seconds_per_gigabyte(self) -> float:
        return self.server_cpu_seconds / max(1e-9, self.outcome.bytes / 1e9)

    @property
    def answers_per_second(self) -> float:
        return self.outcome.answers / self.outcome.seconds

    @property
    def first_byte_ms(self) -> float:
        return median(self.outcome.first_byte_ms or [0.0])


@dataclass(slots=True)
class Result:
    """All that was measured; `skipped` says what could not be, and what to install."""

    file_bytes: int
    sides: dict[str, dict[str, str]]
    comparisons: list[Comparison] = field(default_factory=list)
    other_cores: float = 0.0
    information: dict[str, Any] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)

    @property
    def disturbed(self) -> bool:
        """Whether something else on this machine took the processor while it was compared."""
        return self.other_cores > processes.DISTURBING_CORES

    @property
    def exit_code(self) -> int:
        """1 if a goal was missed and nothing else can have been the reason."""
        missed = any(comparison.missed for comparison in self.comparisons)
        return int(missed and not self.disturbed)

    def document(self) -> dict[str, Any]:
        return {
            "benchmark": "downloads",
            "machine": machine(),
            "file_bytes": self.file_bytes,
            "sides": self.sides,
            "other_cores": self.other_cores,
            "disturbed": self.disturbed,
            "comparisons": [comparison.document() for comparison in self.comparisons],
            **self.information,
            "skipped": self.skipped,
        }


def run(as_json: bool) -> int:
    """Measure and print. Returns 1 if a goal was missed on a quiet machine, else 0.

    Takes about two minutes. Raises StorageError, CatalogueError, DeviceError.
    """
    processes.end_with_what_was_started()
    with TemporaryDirectory(prefix="recorderd-bench-", dir=PARENT) as folder:
        result = _measure(Path(folder), lambda text: print(text, file=sys.stderr, flush=True))
    print(json.dumps(result.document(), indent=2) if as_json else shown(result))
    return result.exit_code


def compared(trial: Trial, ours: list[Measured], theirs: list[Measured]) -> list[Comparison]:
    """The figures of one trial, both sides beside each other."""

    def both(name: str, unit: str, figure: Callable[[Measured], float]) -> Comparison:
        return Comparison(name, unit, tuple(map(figure, ours)), tuple(map(figure, theirs)))

    cpu = both("  processor time", "s/GB", lambda found: found.cpu_seconds_per_gigabyte)
    if trial.kind == SEEK:
        return [
            both(trial.name, "seeks/s", lambda found: found.answers_per_second),
            both("  time to the first byte", "ms", lambda found: found.first_byte_ms),
            cpu,
        ]
    speed = both(trial.name, "MB/s", lambda found: found.megabytes_per_second)
    return [Comparison(speed.name, speed.unit, speed.ours, speed.theirs, trial.goal), cpu]


def shown(result: Result) -> str:
    """The figures for people."""
    heading = ("", "recorderd", "nginx", "ratio", "in the rounds", "goal")
    parts = [
        f"A file of {result.file_bytes / 1e9:.2f} GB in the disk's cache, sent over the loopback.",
        table([heading, *(comparison.cells() for comparison in result.comparisons)]),
        *(
            [
                f"Something else used {number(result.other_cores)} cores meanwhile: these figures"
                " are rough. Run this again when the machine has nothing else to do."
            ]
            if result.disturbed
            else []
        ),
        *_information(result.information),
        *(f"Not measured: {line}" for line in result.skipped),
    ]
    for name, side in result.sides.items():
        parts.append(f"{name}: {side['command']}\n{_indented(side['settings'])}")
    return "\n\n".join(parts)


def _measure(folder: Path, say: Callable[[str], None]) -> Result:
    ours_port, theirs_port, strict_port = free_port(), free_port(), free_port()
    config, strict = folder / "recorderd.toml", folder / "strict.toml"
    settings = _settings(config, folder, ours_port, requests_per_second=100_000.0)
    _settings(strict, folder, strict_port)
    path, video = add_large_file(settings, _ORDER)
    say(f"A file of {video.stat().st_size / 1e9:.2f} GB is there; now it is sent.")
    their_path = f"/{video.relative_to(settings.footage_folder)}"

    with ExitStack() as running:
        ours = running.enter_context(recorderd_web(config, ours_port))
        theirs = nginx(folder, settings.footage_folder, theirs_port)
        result = Result(video.stat().st_size, {"recorderd": _side(ours, config.read_text())})
        paths = {ours: f"{path}?download"}
        if theirs is None:
            result.skipped.append(f"the comparison with nginx: {HOW_TO_GET_NGINX}")
        else:
            running.enter_context(theirs)
            paths[theirs] = their_path
            settings_text = nginx_config(folder, settings.footage_folder, theirs_port)
            result.sides["nginx"] = _side(theirs, settings_text)
        others = processes.Others()
        for trial in TRIALS:
            say(f"{trial.name} ...")
            measured = _rounds(trial, paths, result.file_bytes)
            result.comparisons += compared(
                trial, measured[ours], measured[theirs] if theirs is not None else []
            )
        result.other_cores = others.cores()
        say("idle connections ...")
        result.information["idle_connections"] = {
            server.name: pages.idle_connections(server, at) for server, at in paths.items()
        }
        if not pages.wrk_is_here():
            result.skipped.append(f"small pages and floods: {pages.HOW_TO_GET_WRK}")
            return result
        say("small pages ...")
        result.information["small_pages"] = pages.small_pages(
            ours,
            {
                "search": "/",
                "search by part of the order number": "/?q=ARGE",
                "player": path.removesuffix("/video"),
                "list for programs": "/api/recordings",
                "style sheet": "/static/style.css",
            },
        )
        say("floods ...")
        strict_server = running.enter_context(recorderd_web(strict, strict_port))
        result.information["floods"] = pages.floods(strict_server, "/api/recordings")
    return result


def _settings(file: Path, folder: Path, port: int, **web: float) -> Settings:
    return write_settings(
        file,
        {
            "station": {
                "name": "bench",
                "state_folder": f"{folder}/state",
                "run_folder": f"{folder}/run",
            },
            "web": {"address": "127.0.0.1", "port": port, **web},
            "log": {"format": "console", "level": "warning"},
        },
    )


def _side(server: Server, settings: str) -> dict[str, str]:
    return {"command": " ".join(server.command), "settings": settings}


def _rounds(trial: Trial, paths: dict[Server, str], size: int) -> dict[Server, list[Measured]]:
    found: dict[Server, list[Measured]] = {server: [] for server in paths}
    for turn in range(ROUNDS):
        servers = list(paths) if turn % 2 == 0 else list(reversed(paths))
        for server in servers:
            load = Load(server.port, paths[server], size, trial.connections, _SECONDS, trial.kind)
            used = server.cpu_seconds
            outcome = Running(load).wait()
            found[server].append(Measured(outcome, server.cpu_seconds - used))
    return found


def _information(information: Mapping[str, Any]) -> list[str]:
    shown_as: dict[str, Callable[[Any], str]] = {
        "idle_connections": _idle,
        "small_pages": _pages,
        "floods": _floods,
    }
    return [show(information[name]) for name, show in shown_as.items() if name in information]


def _idle(found: Mapping[str, Any]) -> str:
    lines = [("idle connections", "memory each", "an answer before", "meanwhile (p95)")]
    for name, figures in found.items():
        before, meanwhile = figures["before_ms"], figures["meanwhile_ms"]
        lines.append(
            (
                f"{figures['connections']} to {name}",
                f"{number(figures['kilobytes_each'])} kB",
                f"{number(before['median'])} ms",
                f"{number(meanwhile['median'])} ms ({number(meanwhile['p95'])} ms)",
            )
        )
    return table(lines)


def _pages(found: list[dict[str, Any]]) -> str:
    lines = [("small pages, 10 at once", "a second", "median", "p99", "processor")]
    for figures in found:
        times = ("median_ms", "p99_ms", "cpu_ms_per_request")
        lines.append(
            (
                figures["page"],
                number(figures["requests_per_second"]),
                f"{number(figures[times[0]])} ms",
                f"{number(figures[times[1]])} ms",
                f"{number(figures[times[2]])} ms",
            )
        )
    return table(lines)


def _floods(found: list[dict[str, Any]]) -> str:
    lines = [
        (
            "one client floods",
            "requests",
            "answered",
            "refused",
            "another client",
            "answered (p95)",
            "before",
            "memory",
        )
    ]
    for figures in found:
        other = figures["other_client"]
        lines.append(
            (
                f"on {figures['connections']} connections",
                f"{number(figures['requests_per_second'])} a second",
                str(figures["answered"]),
                str(figures["refused"]),
                f"{other['answered']} of {other['asked']} answered",
                f"in {number(other['median_ms'])} ms ({number(other['p95_ms'])} ms)",
                f"{number(other['before_ms'])} ms",
                f"{figures['memory_before_bytes'] / 1e6:.0f} MB,"
                f" then {figures['memory_most_bytes'] / 1e6:.0f} MB",
            )
        )
    return table(lines)


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.strip().splitlines())
