"""The staff pages under many small requests: how fast, and what one client cannot do to others.

There is nothing to compare with: the figures are for information.
"""

from __future__ import annotations

import contextlib
import http.client
import re
import resource
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

from recorderd.bench.report import percentile
from recorderd.bench.servers import Server

HOW_TO_GET_WRK: Final = "wrk is not installed: sudo apt-get install wrk"
FLOODING_CLIENT: Final = "127.0.0.1"
OTHER_CLIENT: Final = "127.0.0.2"
_PAGE_SECONDS: Final = 4
_FLOOD_SECONDS: Final = 10
_FLOOD_CONNECTIONS: Final = (100, 500)
_LOOK_SECONDS: Final = 0.1
_IDLE_CONNECTIONS: Final = 2000
_SPARE_FILES: Final = 100
_LATENCY_REQUESTS: Final = 200


@dataclass(frozen=True, slots=True)
class WrkFigures:
    """What wrk says of one run; times in milliseconds. Refused answers are neither 2xx nor 3xx."""

    requests: int
    requests_per_second: float
    median_ms: float
    p99_ms: float
    refused: int


def wrk_is_here() -> bool:
    return shutil.which("wrk") is not None


def wrk(port: int, path: str, connections: int, seconds: int) -> list[str]:
    """The command line that asks for a page as fast as it is answered."""
    url = f"http://{FLOODING_CLIENT}:{port}{path}"
    return ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", url]


def read_wrk(text: str) -> WrkFigures:
    """Read what `wrk --latency` prints. Raises ValueError if it is something else."""
    found = {
        name: re.search(pattern, text)
        for name, pattern in {
            "requests": r"(\d+) requests in",
            "rate": r"Requests/sec:\s+([\d.]+)",
            "median": r"50%\s+([\d.]+)(us|ms|s)",
            "p99": r"99%\s+([\d.]+)(us|ms|s)",
        }.items()
    }
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    requests, rate, middle, slow = found.values()
    if requests is None or rate is None or middle is None or slow is None:
        raise ValueError(f"this is not what wrk prints: {text!r}")
    return WrkFigures(
        requests=int(requests[1]),
        requests_per_second=float(rate[1]),
        median_ms=_milliseconds(middle),
        p99_ms=_milliseconds(slow),
        refused=int(refused[1]) if refused else 0,
    )


def small_pages(server: Server, paths: dict[str, str]) -> list[dict[str, Any]]:
    """Ask for each page as fast as it is answered. `paths` maps names to addresses."""
    found = []
    for name, path in paths.items():
        used = server.cpu_seconds
        figures = _run_wrk(wrk(server.port, path, 10, _PAGE_SECONDS))
        used = server.cpu_seconds - used
        found.append(
            {
                "page": name,
                "requests_per_second": figures.requests_per_second,
                "median_ms": figures.median_ms,
                "p99_ms": figures.p99_ms,
                "refused": figures.refused,
                "cpu_ms_per_request": 1000 * used / max(1, figures.requests),
            }
        )
    return found


def floods(server: Server, path: str) -> list[dict[str, Any]]:
    """One client asks as fast as it is answered; another one, elsewhere, asks now and then.

    That is worse than any fixed number of requests a second: the server always has as many
    waiting as there are connections, however fast it refuses them.
    """
    return [_flood(server, path, connections) for connections in _FLOOD_CONNECTIONS]


def _flood(server: Server, path: str, connections: int) -> dict[str, Any]:
    calm = _latencies(server.port, path, OTHER_CLIENT, 50)
    memory_before, used = server.memory_bytes, server.cpu_seconds
    command = wrk(server.port, path, connections, _FLOOD_SECONDS)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    meanwhile: list[float] = []
    statuses: Counter[int] = Counter()
    memory = memory_before
    while process.poll() is None:
        for milliseconds, status in _ask(server.port, path, OTHER_CLIENT, 1):
            meanwhile.append(milliseconds)
            statuses[status] += 1
        memory = max(memory, server.memory_bytes)
        time.sleep(_LOOK_SECONDS)
    used = server.cpu_seconds - used
    figures = read_wrk(process.communicate()[0])
    return {
        "connections": connections,
        "requests_per_second": figures.requests_per_second,
        "answered": figures.requests - figures.refused,
        "refused": figures.refused,
        "server_cpu_seconds": used,
        "other_client": {
            "before_ms": median(calm),
            "median_ms": median(meanwhile),
            "p95_ms": percentile(meanwhile, 95),
            "most_ms": max(meanwhile),
            "asked": len(meanwhile),
            "answered": statuses[200],
            "statuses": dict(statuses),
        },
        "memory_before_bytes": memory_before,
        "memory_most_bytes": memory,
    }


def idle_connections(server: Server, path: str) -> dict[str, Any]:
    """What connections that once asked for `path` and then say nothing cost the others."""
    calm = _latencies(server.port, path, FLOODING_CLIENT, _LATENCY_REQUESTS)
    memory_before = server.memory_bytes
    with ExitStack() as open_connections:
        count = _may_open(_IDLE_CONNECTIONS)
        for _ in range(count):
            idle = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
            open_connections.callback(idle.close)
            idle.request("HEAD", path)
            idle.getresponse().read()
        memory = server.memory_bytes
        meanwhile = _latencies(server.port, path, FLOODING_CLIENT, _LATENCY_REQUESTS)
    return {
        "connections": count,
        "kilobytes_each": (memory - memory_before) / 1000 / count,
        "memory_bytes": memory,
        "before_ms": {"median": median(calm), "p95": percentile(calm, 95)},
        "meanwhile_ms": {"median": median(meanwhile), "p95": percentile(meanwhile, 95)},
    }


def _may_open(wanted: int) -> int:
    """How many connections this process may have, after asking for as many as it can get."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft = wanted + _SPARE_FILES if hard == resource.RLIM_INFINITY else hard
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return max(1, min(wanted, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - _SPARE_FILES))


def _latencies(port: int, path: str, address: str, count: int) -> list[float]:
    return [milliseconds for milliseconds, _ in _ask(port, path, address, count)]


def _ask(port: int, path: str, address: str, count: int) -> Iterator[tuple[float, int]]:
    """Milliseconds and status of `count` requests, each on a new connection from `address`."""
    for _ in range(count):
        began = time.monotonic()
        connection = http.client.HTTPConnection(
            "127.0.0.1", port, timeout=30, source_address=(address, 0)
        )
        with contextlib.closing(connection):
            connection.request("HEAD", path)
            answer = connection.getresponse()
            answer.read()
        yield 1000 * (time.monotonic() - began), answer.status


def _run_wrk(command: list[str]) -> WrkFigures:
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return read_wrk(done.stdout)


def _milliseconds(found: re.Match[str]) -> float:
    return float(found[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[found[2]]
