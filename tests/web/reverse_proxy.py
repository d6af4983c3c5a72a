"""Debian's nginx in front of the staff pages, on loopback: over HTTP and HTTPS."""

from __future__ import annotations

import getpass
import http.client
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from .serving import Answer

PREFIX = "/packing/videos"
TRUSTED = "127.0.0.3"
"""The address from which this proxy asks. On Linux all of 127.0.0.0/8 is this machine."""

_NGINX = next(
    (found for name in ("nginx", "/usr/sbin/nginx") if (found := shutil.which(name))), None
)
INSTALLED = _NGINX is not None and shutil.which("openssl") is not None
_PATIENCE_SECONDS = 15.0

_CONFIGURATION = """
daemon off;
user {user};
pid {folder}/nginx.pid;
error_log {folder}/error.log;
worker_processes 1;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{plain_port};
        listen 127.0.0.1:{tls_port} ssl;
        ssl_certificate {folder}/certificate.pem;
        ssl_certificate_key {folder}/key.pem;
        location {location}/ {{
            proxy_pass http://127.0.0.1:{backend_port}{passed_to};
            proxy_bind {address};
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
        }}
    }}
}}
"""


class ReverseProxy:
    """Shows a server under PREFIX until closed; `strips` it, or passes it on unchanged."""

    def __init__(
        self, folder: Path, backend_port: int, *, strips: bool, address: str = TRUSTED
    ) -> None:
        assert _NGINX is not None
        folder.mkdir()
        self._folder = folder
        self.plain_port, self.tls_port = _free_ports(2)
        _make_certificate(folder)
        (folder / "nginx.conf").write_text(
            _CONFIGURATION.format(
                user=getpass.getuser(),
                folder=folder,
                plain_port=self.plain_port,
                tls_port=self.tls_port,
                location=PREFIX,
                backend_port=backend_port,
                passed_to="/" if strips else "",
                address=address,
            )
        )
        command = [_NGINX, "-p", str(folder), "-c", str(folder / "nginx.conf")]
        self._process = subprocess.Popen([*command, "-e", str(folder / "error.log")])
        self._wait_until_it_listens()

    def get(
        self,
        path: str,
        headers: Mapping[str, str] | None = None,
        method: str = "GET",
        body: str | None = None,
        *,
        client: str = "127.0.0.1",
        tls: bool = False,
    ) -> Answer:
        """Ask for this path, from this address."""
        connection = self._connection(client, tls)
        try:
            connection.request(method, path, body=body, headers=dict(headers or {}))
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def close(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _connection(self, client: str, tls: bool) -> http.client.HTTPConnection:
        if not tls:
            return http.client.HTTPConnection(
                "127.0.0.1", self.plain_port, timeout=30, source_address=(client, 0)
            )
        trusting = ssl.create_default_context(cafile=str(self._folder / "certificate.pem"))
        return http.client.HTTPSConnection(
            "127.0.0.1", self.tls_port, timeout=30, source_address=(client, 0), context=trusting
        )

    def _wait_until_it_listens(self) -> None:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.tls_port), 1).close()
            except ConnectionRefusedError:
                found = self._process.poll()
                assert found is None, (self._folder / "error.log").read_text()
                assert time.monotonic() < deadline, "nginx does not listen"
                time.sleep(0.01)
            else:
                return


def _free_ports(count: int) -> list[int]:
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(listener.getsockname()[1]) for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports


def _make_certificate(folder: Path) -> None:
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    command += " -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1"
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "certificate.pem")]
    subprocess.run([*command.split(" "), *files], check=True, capture_output=True, timeout=30)
