"""Footage that the service may not read is given back to it."""

from __future__ import annotations

import grp
import os
import pwd
import shlex
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_FILE_MODE = 0o640
_FOLDER_MODE = 0o750


def give_back(path: Path, footage: Path) -> bool:
    """Let the account that owns the footage folder read this; False if that is not ours to do.

    Raises OSError.
    """
    with _as_root_if_possible():
        found, service = path.stat(), footage.stat()
        if os.geteuid() == 0:
            os.chown(path, service.st_uid, service.st_gid)
        elif not os.geteuid() == found.st_uid == service.st_uid:
            return False
        path.chmod(stat.S_IMODE(found.st_mode) | _mode(found))
        return True


def commands(path: Path, footage: Path) -> str:
    """What an administrator types to give this to the service."""
    service = footage.stat()
    owner = f"{_user(service.st_uid)}:{_group(service.st_gid)}"
    mode = _FOLDER_MODE
    with suppress(OSError):
        mode = _mode(path.stat())
    quoted = shlex.quote(str(path))
    return f"sudo chown {owner} {quoted} && sudo chmod {mode:o} {quoted}"


@contextmanager
def as_owner_of(folder: Path) -> Iterator[None]:
    """Work as the account that owns a folder, so that what root makes there is the service's.

    Of use to root only; others stay who they are. Raises OSError.
    """
    owner = folder.stat()
    if os.geteuid() != 0 or owner.st_uid == 0:
        yield
        return
    group = os.getegid()
    os.setegid(owner.st_gid)
    os.seteuid(owner.st_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)


@contextmanager
def _as_root_if_possible() -> Iterator[None]:
    user, group = os.geteuid(), os.getegid()
    if os.getresuid()[2] != 0 or user == 0:
        yield
        return
    os.seteuid(0)
    try:
        yield
    finally:
        os.setegid(group)
        os.seteuid(user)


def _mode(found: os.stat_result) -> int:
    return _FOLDER_MODE if stat.S_ISDIR(found.st_mode) else _FILE_MODE


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def _group(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)
