"""An eye on the lamps and an ear on the buzzer: writes down every change of the chip's lines.

    watch_panel.py FOLDER FILE LINE...

FOLDER is the chip's in /sys, FILE gets a line "SECONDS LEVELS" for each change: monotonic
seconds, and one digit a LINE.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

LOOK_EVERY_SECONDS = 0.01


def main(folder: str, file: str, *lines: str) -> None:
    levels = [os.open(f"{folder}/sim_gpio{line}/value", os.O_RDONLY) for line in lines]
    before = b""
    with Path(file).open("w") as written:
        while True:
            now = b"".join(os.pread(level, 1, 0) for level in levels)
            if now != before:
                written.write(f"{time.monotonic():.3f} {now.decode()}\n")
                written.flush()
                before = now
            time.sleep(LOOK_EVERY_SECONDS)


if __name__ == "__main__":
    main(*sys.argv[1:])
