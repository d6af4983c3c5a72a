"""A slower processor: a control group of Linux that may take only a share of it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

_PERIOD_MICROSECONDS = 100_000
_PATIENCE_SECONDS = 20.0
_CGROUPS = Path("/sys/fs/cgroup")


class Quota:
    """Any process and its children, held back. Both versions of control groups will do."""

    def __init__(self, name: str) -> None:
        """Skips the test where this is not allowed."""
        self._is_v2 = (_CGROUPS / "cgroup.controllers").exists()
        self._group = _CGROUPS / name if self._is_v2 else _CGROUPS / "cpu" / name
        try:
            if self._is_v2:
                (_CGROUPS / "cgroup.subtree_control").write_text("+cpu")
            self._group.mkdir()
            self.cores = 1.0
        except OSError as error:
            with suppress(OSError):
                self._group.rmdir()
            pytest.skip(f"no control group for the processor can be made here: {error}")

    @property
    def cores(self) -> float:
        """What all of them may take together."""
        return self._cores

    @cores.setter
    def cores(self, share: float) -> None:
        self._cores = share
        quota = round(share * _PERIOD_MICROSECONDS)
        if self._is_v2:
            (self._group / "cpu.max").write_text(f"{quota} {_PERIOD_MICROSECONDS}")
            return
        (self._group / "cpu.cfs_period_us").write_text(str(_PERIOD_MICROSECONDS))
        (self._group / "cpu.cfs_quota_us").write_text(str(quota))

    def take(self, process_id: int) -> None:
        """This process, and all that it starts from now on."""
        (self._group / "cgroup.procs").write_text(str(process_id))

    @property
    def launcher(self) -> tuple[str, ...]:
        """Starts a program that is held back from its first moment on."""
        join = f'echo $$ > "{self._group}/cgroup.procs" && exec "$@"'
        return ("sh", "-c", join, "sh")

    def remove(self) -> None:
        """All of them have been killed; the last may still be on its way out."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                self._group.rmdir()
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
            else:
                return


@contextmanager
def processor_quota() -> Iterator[Quota]:
    """A quota for one test; its processes must have ended at its end."""
    quota = Quota(f"recorderd-test-{os.getpid()}")
    try:
        yield quota
    finally:
        quota.remove()
