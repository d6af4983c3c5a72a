"""`python -m recorderd.engine DESCRIPTOR`: the engine process, started by the station only."""

from __future__ import annotations

import signal
import sys
from multiprocessing.connection import Connection


def main() -> int:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    from recorderd.engine.engine import run

    return run(Connection(int(sys.argv[1])))


if __name__ == "__main__":
    sys.exit(main())
