"""Makes the kernel of the machine: Linux as an ordinary program (User-Mode Linux).

It needs no virtualisation by the processor and runs ordinary code at the host's own speed, with
the very drivers of a real station: uvcvideo, the GPIO character device, ext4, cgroups. Debian
ships the source; it takes about ten minutes on two cores, once.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

from tests.vm.workshop import Root, cache, mirror

CONFIG = Path(__file__).with_name("kernel.config")
# Linked with the oldest C library of a host that is to run it; it cannot be linked statically.
SUITE = "bookworm"
# More than one processor in User-Mode Linux came with Linux 7.0; Debian 13 itself has 6.12.
SOURCE = "linux-source-7.3"
SOURCE_SUITE = "trixie-backports"
TOOLS = (
    *("gcc", "make", "libc6-dev", "flex", "bison", "bc", "libelf-dev", "libssl-dev", "kmod"),
    *("xz-utils", "perl", "python3", "ca-certificates"),
)


class Kernel:
    """The kernel program and its modules, in the cache folder."""

    def __init__(self, name: str) -> None:
        self.folder = cache() / "kernels" / name
        self.program = self.folder / "linux"
        self.modules = self.folder / "modules"

    @property
    def version(self) -> str:
        """As `uname -r` says it, which names the modules' folder."""
        return next(self.modules.iterdir()).name


def make_kernel() -> Kernel:
    """The kernel that `kernel.config` asks for, built if it is not there yet."""
    asked = hashlib.sha256(CONFIG.read_bytes() + SOURCE.encode()).hexdigest()[:12]
    kernel = Kernel(asked)
    if kernel.program.exists():
        return kernel
    workshop = Root(cache() / f"workshop-kernel-{SUITE}", SUITE)
    workshop.make(TOOLS)
    source = workshop.folder / "root" / "linux"
    if not (source / "Makefile").exists():
        _unpack_source(workshop, source)
    _build(workshop, source, kernel)
    return kernel


def _unpack_source(workshop: Root, source: Path) -> None:
    listed = workshop.folder / "etc/apt/sources.list.d/kernel.list"
    listed.write_text(f"deb {mirror()} {SOURCE_SUITE} main\n")
    workshop.run("apt-get", "-qq", "update")
    unpack = (
        f"cd /root && apt-get -qq -o APT::Sandbox::User=root download {SOURCE}"
        f" && dpkg-deb --fsys-tarfile {SOURCE}_*.deb | tar -xO ./usr/src/{SOURCE}.tar.xz"
        " | tar -xJ -C linux --strip-components=1"
        f" && rm {SOURCE}_*.deb"
    )
    source.mkdir(parents=True, exist_ok=True)
    workshop.run("sh", "-c", unpack)


def _build(workshop: Root, source: Path, kernel: Kernel) -> None:
    shutil.copy(CONFIG, source / "station.config")
    make = ("make", "-s", "-C", "/root/linux", "ARCH=um")
    merge = "cd /root/linux && scripts/kconfig/merge_config.sh -m .config station.config"
    workshop.run(*make, "defconfig")
    workshop.run("sh", "-c", merge)
    workshop.run(*make, "olddefconfig")
    taken = set((source / ".config").read_text().splitlines())
    for line in CONFIG.read_text().splitlines():
        if line.endswith(("=y", "=m")) and line not in taken:
            raise RuntimeError(f"this kernel source does not take {line} of {CONFIG.name}")
    workshop.run(*make, f"-j{os.cpu_count()}", "linux", "modules")
    workshop.run("rm", "-rf", "/root/modules")
    workshop.run(*make, "INSTALL_MOD_PATH=/root/modules", "modules_install")
    if kernel.folder.exists():
        shutil.rmtree(kernel.folder)
    kernel.folder.mkdir(parents=True)
    for version in (workshop.folder / "root/modules/lib/modules").iterdir():
        shutil.copytree(version, kernel.modules / version.name, ignore=_links_to_source)
    # The program comes last: where it is, all is there.
    shutil.copy(source / "linux", kernel.program)


def _links_to_source(_folder: str, names: list[str]) -> list[str]:
    return [name for name in names if name in {"build", "source"}]
