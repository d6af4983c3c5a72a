"""A time-stamping authority on this machine, made of `openssl ts`."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

_CONFIG = """
[tsa]
default_tsa = it
[it]
dir = {folder}
serial = {folder}/serial
signer_cert = {folder}/tsa.pem
signer_key = {folder}/tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
accuracy = secs:1
ordering = no
tsa_name = no
ess_cert_id_chain = no
ess_cert_id_alg = sha256
[extensions]
extendedKeyUsage = critical,timeStamping
"""


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, timeout=60)


class TimeAuthority:
    """Answers at `url`; `ca` is its root certificate."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.ca = folder / "ca.pem"
        self.asked = 0
        self.mangle: Callable[[bytes], bytes] = lambda answer: answer
        self.config = folder / "tsa.cnf"
        self.config.write_text(_CONFIG.format(folder=folder))
        (folder / "serial").write_text("01\n")
        new = ("req", "-newkey", "rsa:2048", "-nodes", "-subj")
        _openssl(
            *new, "/CN=test root", "-x509", "-days", "30", "-keyout", folder / "ca.key",
            "-out", self.ca,
        )  # fmt: skip
        _openssl(*new, "/CN=test tsa", "-keyout", folder / "tsa.key", "-out", folder / "tsa.csr")
        _openssl(
            "x509", "-req", "-in", folder / "tsa.csr", "-CA", self.ca, "-CAkey", folder / "ca.key",
            "-CAcreateserial", "-days", "30", "-extfile", self.config, "-extensions", "extensions",
            "-out", folder / "tsa.pem",
        )  # fmt: skip
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, name="tsa")
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/tsr"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join(10)
        self._server.server_close()

    def answer(self, question: bytes) -> bytes:
        self.asked += 1
        asked, answered = self.folder / "q.tsq", self.folder / "q.tsr"
        asked.write_bytes(question)
        _openssl("ts", "-reply", "-config", self.config, "-queryfile", asked, "-out", answered)
        return self.mangle(answered.read_bytes())

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        authority = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                answer = authority.answer(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.send_header("Content-Type", "application/timestamp-reply")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                pass

        return Handler
