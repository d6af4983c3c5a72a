"""The client that loads a server, on a small server."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from recorderd.bench.client import SEEK, Load, Running

CONTENT = bytes(range(256)) * 4096


class _Files(BaseHTTPRequestHandler):
    """Serves CONTENT, whole or from somewhere on; writes down what was asked for."""

    protocol_version = "HTTP/1.1"
    asked: list[tuple[str, str | None]]

    def do_GET(self) -> None:
        wanted = self.headers["Range"]
        self.asked.append((self.path, wanted))
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        self.send_response(404 if self.path == "/none" else 206 if wanted else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        self.wfile.write(CONTENT[start:])

    def log_message(self, *_: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """Clients hang up: that is what they are for."""


@contextmanager
def _serving() -> Iterator[tuple[int, list[tuple[str, str | None]]]]:
    asked: list[tuple[str, str | None]] = []
    handler = type("Files", (_Files,), {"asked": asked})
    with _Server(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_address[1], asked
        finally:
            server.shutdown()
            thread.join()


def _load(port: int, path: str = "/file", seconds: float = 0.3, **more: object) -> Load:
    return Load(port, path, len(CONTENT), 3, seconds, **more)  # type: ignore[arg-type]


def test_whole_files_again_and_again() -> None:
    with _serving() as (port, asked):
        outcome = Running(_load(port)).wait()
    assert outcome.problems == 0
    assert outcome.answers > 3
    assert outcome.answers == len(outcome.first_byte_ms)
    whole_ones = outcome.answers - 3
    assert whole_ones * len(CONTENT) <= outcome.bytes <= outcome.answers * len(CONTENT)
    assert set(asked) == {("/file", None)}


def test_seeking_takes_a_piece_from_changing_places() -> None:
    with _serving() as (port, asked):
        outcome = Running(_load(port, kind=SEEK, seek_bytes=1000)).wait()
    assert outcome.problems == 0
    assert outcome.answers > 3
    assert (outcome.answers - 3) * 1000 <= outcome.bytes <= outcome.answers * 1000
    places = {wanted for _, wanted in asked}
    assert None not in places
    assert len(places) > 3


def test_a_paced_client_takes_no_more_than_it_may() -> None:
    rate, connections, largest_piece = 2e6, 3, 128 << 10
    with _serving() as (port, _):
        outcome = Running(_load(port, bytes_per_second=rate)).wait()
    assert 0 < outcome.bytes <= rate * outcome.seconds + connections * largest_piece


def test_what_is_refused_counts_as_a_problem() -> None:
    with _serving() as (port, _):
        outcome = Running(_load(port, "/none")).wait()
    assert outcome.problems > 0
    assert (outcome.bytes, outcome.answers) == (0, 0)


def test_it_hangs_up_when_told() -> None:
    with _serving() as (port, _):
        outcome = Running(_load(port, seconds=600)).finish()
    assert outcome.seconds < 600
