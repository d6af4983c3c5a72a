"""A Debian root folder with compilers in it, in which kernel and wheels are made.

Nothing is compiled on the host itself, so the host only needs root rights and `debootstrap`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

SOURCES = Path("/etc/apt")
# What the host knows about reaching package servers; a fresh root folder knows nothing.
HOST_KNOWLEDGE = (
    Path("/etc/resolv.conf"),
    Path("/etc/hosts"),
    Path("/etc/pip.conf"),
    Path("/etc/ssl/certs/ca-certificates.crt"),
)
NEVER_INSIDE = ("PIP_FIND_LINKS", "VIRTUAL_ENV", "PYTHONPATH")


def cache() -> Path:
    """Where images, kernels and the disks of machines are kept between runs."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "recorderd-vm"


def mirror() -> str:
    """The Debian mirror that this host itself uses."""
    for file in sorted(SOURCES.glob("**/*.sources")) + sorted(SOURCES.glob("**/*.list")):
        for line in file.read_text().splitlines():
            if found := re.match(
                r"(?:URIs:|deb(?: \[[^]]*\])?)\s+(https?://\S+/debian/?)\s*", line
            ):
                return found[1]
    return "http://deb.debian.org/debian"


class Root:
    """One Debian root folder made by debootstrap."""

    def __init__(self, folder: Path, suite: str) -> None:
        self.folder = folder
        self.suite = suite

    def make(self, packages: tuple[str, ...]) -> None:
        """Unpack and set up a minimal Debian with `packages`, if that was not done yet."""
        asked = " ".join(packages)
        made_with = self.folder / "etc/made-with"
        if made_with.exists() and made_with.read_text() == asked:
            return
        unfinished = self.folder.with_name(self.folder.name + ".unfinished")
        for folder in (self.folder, unfinished):
            shutil.rmtree(folder, ignore_errors=True)
        unfinished.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            [
                "debootstrap",
                "--variant=minbase",
                f"--include={','.join(packages)}",
                self.suite,
                unfinished,
                mirror(),
            ],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        (unfinished / "etc/made-with").write_text(asked)
        unfinished.rename(self.folder)

    def run(self, *command: str | Path) -> None:
        """Run `command` as root inside, with the way to the package servers that the host has.

        Raises CalledProcessError, with what the command said on its standard error.
        """
        for file in HOST_KNOWLEDGE:
            if file.exists():
                inside = self.folder / file.relative_to("/")
                inside.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file, inside)
        environment = {key: text for key, text in os.environ.items() if key not in NEVER_INSIDE}
        environment |= {
            "DEBIAN_FRONTEND": "noninteractive",
            "LC_ALL": "C.UTF-8",
            "HOME": "/root",
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        }
        subprocess.run(
            ["nice", "-n", "10", "chroot", self.folder, *command],
            check=True,
            env=environment,
            stdout=subprocess.DEVNULL,
        )
