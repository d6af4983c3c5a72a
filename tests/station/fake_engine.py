"""An engine that records nothing: it shows the station how engines live and die.

Started as a program: `python -m tests.station.fake_engine DESCRIPTOR BEHAVIOUR`.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection

from recorderd.core.events import FaultRaised, FrameScanned
from recorderd.core.model import Fault
from recorderd.engine.messages import Heartbeat, Hello, Leave


def fake_engine(behaviour: str) -> Callable[[int], list[str]]:
    """What an EngineLink is given as its command."""
    module = "tests.station.fake_engine"
    return lambda descriptor: [sys.executable, "-m", module, str(descriptor), behaviour]


def heartbeat() -> Heartbeat:
    return Heartbeat(time.monotonic_ns(), 0, 0, 0, 0, 0.0, 0, ())


def main(descriptor: int, behaviour: str) -> int:
    connection = Connection(descriptor)
    assert isinstance(connection.recv(), Hello)
    connection.send(heartbeat())
    match behaviour:
        case "dies":
            return 7
        case "is killed":
            os.kill(os.getpid(), signal.SIGRTMIN)
        case "stops itself":
            os.kill(os.getpid(), signal.SIGSTOP)
        case "goes silent":
            time.sleep(60)
        case "floods":
            while True:
                connection.send(FrameScanned(1, 1, ()))
        case "talks nonsense":
            connection.send("hello")
            time.sleep(60)
        case "never leaves":
            while True:
                connection.send(heartbeat())
                time.sleep(0.05)
    while True:
        if not connection.poll(0.05):
            connection.send(heartbeat())
            continue
        command = connection.recv()
        if isinstance(command, Leave):
            return 0
        connection.send(FaultRaised(Fault.CAMERA, repr(command)))


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2]))
