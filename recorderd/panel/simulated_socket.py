"""A Unix socket that takes the place of a dead process's and never that of a live one's."""

from __future__ import annotations

import os
import socket
import stat
from contextlib import suppress
from pathlib import Path

from recorderd.errors import DeviceError

MODE = 0o660
"""Owner and group may drive the panel; whoever can write to it can press the pedal."""


def listen(path: Path) -> tuple[socket.socket, int]:
    """Listen at `path`, making its folder. Returns the socket and the inode of its file.

    Raises DeviceError if another process listens there, something else lies there, or the
    file system refuses.
    """
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # Made under another name and moved into place: nobody ever meets a socket that is not
    # listening yet or has not its mode yet.
    passing = path.with_name(path.name + f".{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _refuse_if_taken(path)
        with suppress(FileNotFoundError):
            passing.unlink()
        server.bind(str(passing))
        passing.chmod(MODE)
        server.listen()
        server.setblocking(False)
        inode = passing.stat().st_ino
        passing.replace(path)
    except OSError as error:
        server.close()
        with suppress(OSError):
            passing.unlink()
        raise DeviceError(
            f"The simulated panel's socket {path} cannot be made: {error.strerror or error}",
            "Set panel.socket to a short path in a folder that the service may write to",
        ) from error
    except DeviceError:
        server.close()
        raise
    return server, inode


def unlink_if_ours(path: Path, inode: int) -> None:
    """Remove the socket file, unless another process has put its own there. Never raises."""
    with suppress(OSError):
        if path.lstat().st_ino == inode:
            path.unlink()


def _refuse_if_taken(path: Path) -> None:
    try:
        is_socket = stat.S_ISSOCK(path.lstat().st_mode)
    except FileNotFoundError:
        return
    if not is_socket:
        raise DeviceError(f"{path} is no socket", "Remove it, or set panel.socket to another path")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return
    raise DeviceError(
        f"Another process serves the simulated panel at {path}",
        "End the other recorderd, or set panel.socket to another path",
    )
