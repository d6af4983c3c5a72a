"""The two that send files: the staff pages as they are run, and nginx as it is meant to be."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final

from recorderd.bench import processes
from recorderd.bench.try_out import own_environment
from recorderd.errors import DeviceError

HOW_TO_GET_NGINX: Final = "nginx is not installed: sudo apt-get install nginx-light"
_NGINX_PLACES: Final = f"{os.defpath}:/usr/sbin:/usr/local/sbin"
"""Debian keeps it where ordinary users do not look."""
_STARTING_SECONDS: Final = 20.0
_LEAVE_SECONDS: Final = 20.0
_NICE: Final = 10
"""What `recorderd web` gives itself; the other one gets the same."""

_NGINX_CONFIG: Final = """\
{user}worker_processes auto;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{
    worker_connections 8192;
}}
http {{
    types {{ video/mp4 mp4; }}
    sendfile on;
    tcp_nopush on;
    access_log off;
    keepalive_requests 1000000;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        root {root};
    }}
}}
"""


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody has now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class Server:
    """A server in a process of its own; a context manager that starts and ends it."""

    def __init__(self, name: str, command: Sequence[str], port: int, log: Path) -> None:
        self.name = name
        self.command = list(command)
        self.port = port
        self._log = log

    def __enter__(self) -> Server:
        """Start it; returns when it takes connections. Raises DeviceError."""
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                self.command, stdout=log, stderr=log, env=own_environment()
            )
        try:
            wait_for_port(self.port, self._process)
        except DeviceError:
            self.__exit__(None, None, None)
            raise DeviceError(f"{self.name} did not start", f"Read why in {self._log}") from None
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        if self._process.poll() is None:
            self._process.terminate()
        try:
            self._process.wait(_LEAVE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def cpu_seconds(self) -> float:
        """Spent so far by all its processes."""
        return processes.cpu_seconds(processes.family(self._process.pid))

    @property
    def memory_bytes(self) -> int:
        return processes.memory_bytes(processes.family(self._process.pid))


def wait_for_port(port: int, process: subprocess.Popen[bytes] | None = None) -> None:
    """Return when something takes connections there. Raises DeviceError if nothing does."""
    deadline = time.monotonic() + _STARTING_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1.0).close()
            return
        except OSError:
            ended = process is not None and process.poll() is not None
            if ended or time.monotonic() > deadline:
                raise DeviceError(
                    f"Nothing answers on port {port}", "Read the journal of the server"
                ) from None
            time.sleep(0.05)


def recorderd_web(config: Path, port: int) -> Server:
    """The staff pages with these settings, which name this port."""
    command = [sys.executable, "-m", "recorderd", "web", "--config", str(config)]
    return Server("recorderd", command, port, config.with_suffix(".log"))


def nginx_config(folder: Path, root: Path, port: int) -> str:
    """What nginx is told: the settings under which it sends files best."""
    user = f"user {getpass.getuser()};\n" if os.geteuid() == 0 else ""
    return _NGINX_CONFIG.format(user=user, folder=folder, root=root, port=port)


def nginx(folder: Path, root: Path, port: int) -> Server | None:
    """nginx on the files below `root`, with a configuration of its own; None without nginx."""
    program = shutil.which("nginx") or shutil.which("nginx", path=_NGINX_PLACES)
    if program is None:
        return None
    config = folder / "nginx.conf"
    config.write_text(nginx_config(folder, root, port))
    command = ["nice", "-n", str(_NICE), program, "-p", str(folder), "-c", str(config)]
    return Server("nginx", command, port, folder / "nginx.log")
