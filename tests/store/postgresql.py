"""A PostgreSQL server of the tests' own: made on the spot, reached by a socket, thrown away."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg

ADMINISTRATOR = "administrator"
_OTHER_USERS = ("postgres", "nobody")
_DEADLINE_SECONDS = 60.0
_INITIAL = f"--username {ADMINISTRATOR} --auth trust --encoding UTF8 --no-locale --no-sync".split()
# Nothing of it has to outlive a power cut.
_SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "20",
}


def programs() -> Path | None:
    """The folder with initdb and postgres; Debian keeps it out of the path."""
    found = shutil.which("initdb")
    folders = [Path(found).parent] if found else []
    folders += sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name)
    )
    return next((folder for folder in reversed(folders) if (folder / "postgres").exists()), None)


@contextmanager
def server(folder_of_programs: Path) -> Iterator[Path]:
    """Run a server; gives the folder of its socket."""
    folder = Path(tempfile.mkdtemp(prefix="recorderd-postgresql-"))
    as_user: dict[str, Any] = {}
    if os.geteuid() == 0:
        # It refuses to run as root.
        user = next(user for user in _OTHER_USERS if _exists(user))
        as_user = {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}
        shutil.chown(folder, user)
    data = folder / "data"
    try:
        subprocess.run(
            [folder_of_programs / "initdb", "--pgdata", data, *_INITIAL],
            cwd=folder,
            stdout=subprocess.DEVNULL,
            check=True,
            **as_user,
        )
        chosen = {**_SETTINGS, "unix_socket_directories": folder}
        settings = [f"--{name}={value}" for name, value in chosen.items()]
        with (folder / "log").open("wb") as log:
            running = subprocess.Popen(
                [folder_of_programs / "postgres", "-D", data, *settings],
                cwd=folder,
                stdout=log,
                stderr=log,
                **as_user,
            )
        try:
            _wait_for(folder, running)
            yield folder
        finally:
            running.send_signal(signal.SIGQUIT)
            running.wait(_DEADLINE_SECONDS)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def address(socket_folder: Path, user: str = ADMINISTRATOR, database: str = "postgres") -> str:
    """The URL of a database of the server."""
    return f"postgresql://{user}@/{database}?host={quote(str(socket_folder), safe='')}"


def emptied(url: str) -> str:
    """Remove all that tests have left in a database, and whoever still holds on to it."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
    return url


def _wait_for(folder: Path, running: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _DEADLINE_SECONDS
    while True:
        try:
            psycopg.connect(address(folder)).close()
            return
        except psycopg.OperationalError:
            if running.poll() is not None or time.monotonic() > deadline:
                raise AssertionError((folder / "log").read_text()) from None
            time.sleep(0.05)


def _exists(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True
