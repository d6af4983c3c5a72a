"""`recorderd web`: serves the staff pages until told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import logging
import os
import resource
import signal
import socket
import sys
import threading
import time
from typing import Final

import structlog
from aiohttp import web

from recorderd.errors import DeviceError
from recorderd.service_manager import handed_sockets, notifier
from recorderd.settings import Settings
from recorderd.web.address import address_of
from recorderd.web.app import make_app
from recorderd.web.guard import Guard
from recorderd.web.password import hash_password

SHUTDOWN_SECONDS: Final = 8.0
"""Downloads that run may end within this time; a browser can go on with one later (Range)."""
_IDLE_SECONDS: Final = 75.0
_LONGEST_LINE_BYTES: Final = 32_768
_LONGEST_HEADER_BYTES: Final = 8190
_FIRST_BYTE_SECONDS: Final = 30
_NICE: Final = 10
_LAST_WORDS_SECONDS: Final = 1.0

log = structlog.get_logger("web")


def main(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT. Returns the exit code. Raises DeviceError."""
    with contextlib.suppress(OSError):
        os.nice(_NICE)
    _allow_many_connections()
    # What is no HTTP is refused with 400; a traceback of each in the journal helps nobody.
    # Errors of our own are logged by `problems_in_words`.
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
    asyncio.run(_serve(settings))
    _leave_hanging_threads()
    return 0


def _leave_hanging_threads() -> None:
    """End now if a thread still waits for a disk that is gone: Python would wait for it."""
    deadline = time.monotonic() + _LAST_WORDS_SECONDS
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                log.warning("a disk does not answer: it is waited for no longer")
                sys.stdout.flush()
                os._exit(0)


def print_password_hash() -> int:
    """Ask for a new password and print its hash. Returns the exit code."""
    password = getpass.getpass("New password for the staff pages: ")
    if not password or password != getpass.getpass("Once more: "):
        print("The two differ, or are empty: nothing was made.", file=sys.stderr)
        return 1
    print(f'password_hash = "{hash_password(password)}"')
    return 0


def make_runner(settings: Settings, guard: Guard | None = None) -> web.AppRunner:
    """The application with the limits of its connections."""
    return web.AppRunner(
        make_app(settings, guard),
        access_log=None,
        keepalive_timeout=_IDLE_SECONDS,
        shutdown_timeout=SHUTDOWN_SECONDS,
        max_line_size=_LONGEST_LINE_BYTES,
        max_field_size=_LONGEST_HEADER_BYTES,
    )


async def _serve(settings: Settings) -> None:
    leaving, notify = asyncio.Event(), notifier()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, leaving.set)
    runner = make_runner(settings)
    await runner.setup()
    try:
        listeners = _handed_listeners() or [_own_listener(settings)]
        for listener in listeners:
            await web.SockSite(runner, listener, backlog=256).start()
        port = listeners[0].getsockname()[1]
        host = settings.web.address or socket.gethostname()
        address = address_of(host, port, settings.web.path_prefix)
        log.info("the staff pages are served", address=address)
        notify("READY=1")
        await leaving.wait()
    finally:
        notify("STOPPING=1")
        await runner.cleanup()


def _handed_listeners() -> list[socket.socket]:
    """What systemd opened for us; it may open ports that we may not. Then web.port is not used."""
    listeners = handed_sockets()
    for listener in listeners:
        listener.setblocking(False)
    return listeners


def _own_listener(settings: Settings) -> socket.socket:
    address, port = settings.web.address, settings.web.port
    try:
        if address:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            listener = socket.create_server((address, port), family=family, reuse_port=False)
        elif socket.has_dualstack_ipv6():
            listener = socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
        else:
            listener = socket.create_server(("", port))
    except OSError as error:
        raise DeviceError(
            f"The staff pages cannot be served on port {port}: {error.strerror or error}",
            "Choose another web.port, or end the program that uses this one "
            f"(sudo ss -ltnp 'sport = :{port}' shows it)",
        ) from error
    # Connections that say nothing stay in the kernel (tcp(7)).
    with contextlib.suppress(OSError, AttributeError):
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, _FIRST_BYTE_SECONDS)
    listener.setblocking(False)
    return listener


def _allow_many_connections() -> None:
    """Take as many open files as the system lets us have: an idle connection is one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = hard if hard != resource.RLIM_INFINITY else 65536
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, 65536), hard))
