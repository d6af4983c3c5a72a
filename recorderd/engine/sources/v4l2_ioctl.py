"""Asking a V4L2 device: opened for questions only, and how a question is numbered."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

WRITE: Final = 1
READ: Final = 2


def request(direction: int, number: int, size: int) -> int:
    """_IOC of asm-generic/ioctl.h for the letter V; `size` is that of the structure in bytes."""
    return direction << 30 | size << 16 | ord("V") << 8 | number


@contextmanager
def opened(device: Path) -> Iterator[int]:
    """Its descriptor. Another one may deliver pictures meanwhile. Raises OSError."""
    descriptor = os.open(device, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
