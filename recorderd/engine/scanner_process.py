"""The scanner process: reads codes for the engine, and may die doing so.

A label can abort zbar, and old bugs let it loop for ever, so reading happens here, where
nothing is lost. The picture lies in a memory file shared with the engine; requests and
answers are JSON messages on a SOCK_SEQPACKET socket, each of which arrives whole or not
at all. Answers are not pickled: what a hostile label made of this process must not be
able to run code in the engine.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import resource
import signal
import socket
import sys
import time
from dataclasses import asdict, dataclass
from typing import Any

from recorderd.core.model import Code, Symbology

LARGEST_MESSAGE = 192 * 1024
_MOST_CODES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessSettings:
    """What the process is told on its command line, as JSON.

    `socket` and `memory` are inherited file descriptors. `method` is a strategy.Method. A
    scan that takes longer than `scan_seconds` ends the process, even if the engine that
    would have killed it is gone.
    """

    socket: int
    memory: int
    method: str
    symbologies: tuple[str, ...]
    minimum_code128_length: int
    second_reader: bool
    scan_seconds: float

    def to_json(self) -> str:
        return json.dumps(asdict(self))


def encode_codes(codes: tuple[Code, ...], milliseconds: float) -> bytes:
    """The answer to a request. At most eight codes, so that it fits into one message."""
    listed = [
        {"text": code.text, "symbology": code.symbology.value, "corners": code.corners}
        for code in codes[:_MOST_CODES]
    ]
    return json.dumps({"codes": listed, "milliseconds": milliseconds}, ensure_ascii=False).encode()


def decode_codes(message: bytes) -> tuple[tuple[Code, ...], float]:
    """Read an answer. Raises ValueError if it is not one."""
    try:
        answer: dict[str, Any] = json.loads(message)
        codes = tuple(
            Code(
                str(entry["text"]),
                Symbology(entry["symbology"]),
                tuple((float(x), float(y)) for x, y in entry["corners"]),
            )
            for entry in answer["codes"]
        )
        return codes, float(answer["milliseconds"])
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not an answer of the scanner process: {error!r}") from error


def serve(settings: ProcessSettings) -> None:
    """Answer requests until the engine closes its end of the socket."""
    import cv2
    import numpy as np

    from recorderd.engine.strategy import Method, label_reader

    cv2.setNumThreads(1)
    reader = label_reader(
        Method(settings.method),
        tuple(Symbology(name) for name in settings.symbologies),
        settings.minimum_code128_length,
        settings.second_reader,
    )
    with (
        socket.socket(fileno=settings.socket) as connection,
        mmap.mmap(settings.memory, 0, prot=mmap.PROT_READ) as memory,
    ):
        connection.send(b"{}")
        while message := connection.recv(LARGEST_MESSAGE):
            request = json.loads(message)
            width, height = int(request["width"]), int(request["height"])
            signal.setitimer(signal.ITIMER_REAL, settings.scan_seconds)
            started = time.perf_counter()
            luma = np.frombuffer(memory, np.uint8, width * height).reshape(height, width)
            codes = reader.read(luma, bool(request["use_zbar"]))
            del luma
            milliseconds = (time.perf_counter() - started) * 1000
            signal.setitimer(signal.ITIMER_REAL, 0)
            connection.send(encode_codes(codes, milliseconds))


def main(arguments: list[str]) -> int:
    # The engine ends this process by closing the socket; a Ctrl-C meant for the station or
    # a stop of the whole service must not look like a label that killed it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    # One label lying in view could otherwise fill the disk with core dumps.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(ConnectionError):
        serve(ProcessSettings(**json.loads(arguments[0])))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
