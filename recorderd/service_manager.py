"""What systemd and a service of ours say to each other: sd_notify(3), sd_listen_fds(3)."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import TypeAlias

Notifier: TypeAlias = Callable[[str], object]


def notifier() -> Notifier:
    """Tells systemd lines such as READY=1, only where systemd listens.

    The library is not needed elsewhere. Any thread.
    """
    if not os.environ.get("NOTIFY_SOCKET"):
        return lambda _message: None
    from systemd.daemon import notify

    tell: Notifier = notify
    return tell


def handed_sockets() -> list[socket.socket]:
    """The listening sockets that systemd has opened for this very process; empty without any.

    They can be taken once: children must not think that they are meant.
    """
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return []
    from systemd.daemon import listen_fds

    return [socket.socket(fileno=descriptor) for descriptor in listen_fds()]
