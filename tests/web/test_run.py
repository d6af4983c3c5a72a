"""`recorderd web` as its own process."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from .archive import Archive, settings_in

pytestmark = pytest.mark.slow
PATIENCE_SECONDS = 15.0


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def running(folder: Path, port: int) -> Iterator[subprocess.Popen[str]]:
    config = folder / "recorderd.toml"
    config.write_text(
        f'[station]\nstate_folder = "{folder}/state"\nrun_folder = "{folder}/run"\n'
        f'[web]\nport = {port}\naddress = "127.0.0.1"\n[log]\nformat = "console"\n'
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "recorderd", "web", "--config", str(config)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def wait_until_served(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if "staff pages are served" in line:
            return
    raise AssertionError("it ended instead of serving")


def test_a_download_that_runs_is_finished_before_it_leaves(tmp_path: Path) -> None:
    archive = Archive(settings_in(tmp_path))
    content = os.urandom(30_000_000)
    new = archive.save("SO-1", content=content)
    archive.catalogue.close()
    port = free_port()
    with running(tmp_path, port) as process:
        wait_until_served(process)
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        connection.connect(("127.0.0.1", port))
        connection.sendall(
            f"GET /recordings/{new.id}/video HTTP/1.1\r\nHost: localhost\r\n"
            "Connection: close\r\n\r\n".encode()
        )
        received = bytearray(connection.recv(65536))
        process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
            except ConnectionRefusedError:
                break
            except ConnectionResetError:
                pass  # It was closed between the two halves of this very greeting.
            assert time.monotonic() < deadline, "it still takes new connections"
            time.sleep(0.02)
        while piece := connection.recv(1 << 20):
            received += piece
        connection.close()
        assert received.partition(b"\r\n\r\n")[2] == content
        assert process.wait(PATIENCE_SECONDS) == 0


def test_clients_that_leave_in_the_middle_are_no_error(tmp_path: Path) -> None:
    archive = Archive(settings_in(tmp_path))
    new = archive.save("SO-1", content=bytes(50_000_000))
    archive.catalogue.close()
    port = free_port()
    question = f"GET /recordings/{new.id}/video HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    with running(tmp_path, port) as process:
        wait_until_served(process)
        for _ in range(3):
            with socket.create_connection(("127.0.0.1", port), 5) as connection:
                connection.sendall(question)
                assert connection.recv(1000)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
            assert answer.read() == b"ok\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_SECONDS) == 0
        assert process.stdout is not None
        assert process.stdout.read() == ""


def test_a_port_that_is_taken_is_said_in_words(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with running(tmp_path, port) as process:
            output = process.stdout.read() if process.stdout else ""
            assert process.wait(PATIENCE_SECONDS) == 1
    assert f"cannot be served on port {port}" in output
    assert "web.port" in output


def test_many_idle_connections_cost_nothing(tmp_path: Path) -> None:
    Archive(settings_in(tmp_path)).catalogue.close()
    port = free_port()
    with running(tmp_path, port) as process:
        wait_until_served(process)
        idle = [socket.create_connection(("127.0.0.1", port), 5) for _ in range(400)]
        began = time.monotonic()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
            assert answer.read() == b"ok\n"
        assert time.monotonic() - began < 1
        for connection in idle:
            connection.close()
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_SECONDS) == 0


@pytest.mark.skipif(
    shutil.which("systemd-socket-activate") is None, reason="systemd's own tool is not installed"
)
def test_systemd_hands_it_the_port(tmp_path: Path) -> None:
    """It listens nowhere else, and says so when it is ready."""
    (tmp_path / "state").mkdir()
    handed, own = free_port(), free_port()
    config = tmp_path / "recorderd.toml"
    config.write_text(
        f'[station]\nstate_folder = "{tmp_path}/state"\nrun_folder = "{tmp_path}/run"\n'
        f'[web]\nport = {own}\n[log]\nformat = "console"\n'
    )
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(str(tmp_path / "notify"))
    manager.settimeout(PATIENCE_SECONDS)
    served = [sys.executable, "-m", "recorderd", "web", "--config", str(config)]
    process = subprocess.Popen(
        [
            "systemd-socket-activate",
            f"--listen=127.0.0.1:{handed}",
            f"--setenv=NOTIFY_SOCKET={tmp_path}/notify",
            *served,
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert b"openapi" in _answer(handed)
        assert manager.recv(100) == b"READY=1"
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", own), timeout=5)
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)
        manager.close()


def _answer(port: int) -> bytes:
    """Of a server that is being started."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{port}/openapi.json", timeout=10
            ) as answer:
                return bytes(answer.read())
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
