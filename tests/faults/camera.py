"""A camera that misbehaves on demand: writes MJPEG to its standard output.

    camera.py CLIP BEHAVIOUR RATE

BEHAVIOUR is a file with one word, looked at before each picture: well, still (the same picture
again and again), silent, flood, rubbish or gone. The pictures are those of CLIP, for ever.
"""

from __future__ import annotations

import os
import sys
import time
from itertools import count
from pathlib import Path
from random import Random

import av


def pictures(clip: Path) -> list[bytes]:
    with av.open(str(clip)) as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size]


def main() -> None:
    clip, behaviour, rate = Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3])
    shown = pictures(clip)
    random = Random(1)
    due = time.monotonic()
    number = 0
    for _ in count():
        how = behaviour.read_text() or "well"
        if how == "gone":
            return
        if how == "rubbish":
            sys.stdout.buffer.write(random.randbytes(20_000))
        elif how != "silent":
            sys.stdout.buffer.write(_unlike(shown[number % len(shown)], number, how))
            number += how != "still"
        sys.stdout.buffer.flush()
        if how != "flood":
            due = max(due + 1 / rate, time.monotonic() - 1 / rate)
            time.sleep(max(0.0, due - time.monotonic()))


def _unlike(jpeg: bytes, number: int, how: str) -> bytes:
    """In bytes that no other picture has, as from a living sensor (a comment, T.81, B.2.4.5)."""
    if how == "still":
        return jpeg
    comment = f"{number:08}".encode()
    return jpeg[:2] + b"\xff\xfe" + (2 + len(comment)).to_bytes(2, "big") + comment + jpeg[2:]


if __name__ == "__main__":
    try:
        main()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
