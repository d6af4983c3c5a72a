"""Makes the disks of a station as it comes out of the box: Debian, and nothing of ours.

The root disk holds a minimal Debian with systemd and an SSH server. As a technician without
network would bring them, a folder with the Debian packages that the installer may ask for lies in
/media/packages, and one with the Python packages that scripts/install made in /media/wheels.
Beside it is the simulated bench (`guest/`), which stands for hardware and is no part of a station.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

from tests.vm.kernel import Kernel
from tests.vm.workshop import Root, cache

GUEST = Path(__file__).with_name("guest")
CHECKOUT = Path(__file__).parents[2]
ROOT_SIZE, FOOTAGE_SIZE = "16G", "2G"
BASE = (
    *("systemd-sysv", "systemd-timesyncd", "dbus", "udev", "kmod", "openssh-server", "sudo"),
    *("python3", "iproute2", "procps", "e2fsprogs", "ca-certificates", "less"),
    # to take a disk away, or its writes
    "dmsetup",
)
OFFLINE = ("python3-venv", "avahi-daemon")
"""Debian packages in /media/packages, with all that they need."""
WORKSHOP = (
    *(
        "systemd-sysv",
        "udev",
        "python3",
        "python3-venv",
        "python3-dev",
        "gcc",
        "libc6-dev",
        "pkg-config",
    ),
    *("libsystemd-dev", "swig", "dpkg-dev", "ca-certificates"),
)
NEVER_HERE = ("apt-daily.timer", "apt-daily-upgrade.timer", "fstrim.timer", "e2scrub_all.timer")
ADDRESS, GATEWAY = "10.0.2.15", "10.0.2.2"


@dataclass(frozen=True, slots=True)
class Image:
    """Disks to lay writable ones over, and the key of the machine's root."""

    root: Path
    footage: Path
    key: Path


def make_image(suite: str, kernel: Kernel) -> Image:
    """The disks for this release of Debian, made if they are not there yet."""
    folder = cache() / f"image-{suite}"
    folder.mkdir(parents=True, exist_ok=True)
    image = Image(folder / "root.img", folder / "footage.img", folder / "key")
    stamp, state = folder / "made", _state(suite, kernel)
    if stamp.exists() and stamp.read_text() == state:
        return image
    stamp.unlink(missing_ok=True)
    workshop = Root(cache() / f"workshop-{suite}", suite)
    workshop.make(WORKSHOP)
    pristine = Root(cache() / f"pristine-{suite}", suite)
    pristine.make(BASE)
    made = Root(folder / "root", suite)
    if made.folder.exists():
        shutil.rmtree(made.folder)
    subprocess.run(["cp", "-a", "--reflink=auto", pristine.folder, made.folder], check=True)
    _add_packages(workshop, pristine, made)
    _add_wheels(workshop, made)
    _add_bench(made, kernel, image.key)
    _format(made.folder, image)
    shutil.rmtree(made.folder)
    stamp.write_text(state)
    return image


def _state(suite: str, kernel: Kernel) -> str:
    """Changes when any of what goes onto the disk does."""
    found = hashlib.sha256(f"{suite} {kernel.folder.name}".encode())
    sources = [Path(__file__), *sorted((CHECKOUT / "config").glob("*.lock"))]
    for file in [*sources, *sorted(file for file in GUEST.rglob("*") if file.is_file())]:
        found.update(file.read_bytes())
    return found.hexdigest()


def _add_packages(workshop: Root, pristine: Root, made: Root) -> None:
    """A package source in a folder, so that apt-get works without a network."""
    # What is missing is asked of a root like the station's: the workshop has more.
    archives = pristine.folder / "var/cache/apt/archives"
    pristine.run("apt-get", "-qq", "update")
    pristine.run("apt-get", "clean")
    pristine.run(
        *("apt-get", "-qq", "install", "--download-only", "--no-install-recommends"),
        # Some hosts' apt settings throw packages away as soon as they are there.
        *("-o", "Binary::apt-get::APT::Keep-Downloaded-Packages=true", *OFFLINE),
    )
    media = workshop.folder / "media/packages"
    shutil.rmtree(media, ignore_errors=True)
    media.mkdir(parents=True)
    for package in archives.glob("*.deb"):
        shutil.copy(package, media)
    workshop.run("sh", "-c", "cd /media/packages && dpkg-scanpackages . > Packages")
    shutil.copytree(media, made.folder / "media/packages")
    sources = made.folder / "etc/apt/sources.list"
    shutil.rmtree(made.folder / "etc/apt/sources.list.d", ignore_errors=True)
    sources.write_text("deb [trusted=yes] file:/media/packages ./\n")
    shutil.rmtree(made.folder / "var/lib/apt/lists")
    (made.folder / "var/lib/apt/lists/partial").mkdir(parents=True)


def _add_wheels(workshop: Root, made: Root) -> None:
    """As a technician makes them on another computer of the same kind."""
    copy = workshop.folder / "root/recorderd"
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir(parents=True)
    with tarfile.open(fileobj=io.BytesIO(checkout())) as files:
        files.extractall(copy, filter="tar")
    workshop.run("rm", "-rf", "/media/wheels")
    workshop.run("/root/recorderd/scripts/install", "--make-wheels", "/media/wheels")
    shutil.copytree(workshop.folder / "media/wheels", made.folder / "media/wheels")


def checkout() -> bytes:
    """This repository as it is now, as a tar file."""
    listed = subprocess.run(
        ["git", "-C", CHECKOUT, "ls-files", "-z", "-co", "--exclude-standard"],
        check=True,
        capture_output=True,
    )
    names = sorted(name for name in os.fsdecode(listed.stdout).split("\0") if name)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as files:
        for name in names:
            if (CHECKOUT / name).exists():
                files.add(CHECKOUT / name, name)
    return packed.getvalue()


def _add_bench(made: Root, kernel: Kernel, key: Path) -> None:
    folder = made.folder
    shutil.copytree(GUEST, folder, dirs_exist_ok=True)
    # Debian's /lib is a link to /usr/lib.
    modules = folder / "usr/lib/modules" / kernel.version
    shutil.copytree(kernel.modules / kernel.version, modules)
    made.run("depmod", kernel.version)
    (folder / "etc/hostname").write_text("station\n")
    (folder / "etc/hosts").write_text("127.0.0.1 localhost\n127.0.1.1 station\n")
    (folder / "etc/resolv.conf").unlink()
    (folder / "etc/fstab").write_text("/dev/ubda / ext4 defaults,errors=remount-ro 0 1\n")
    (folder / "etc/systemd/network/bench.network").write_text(
        f"[Match]\nName=vec0\n[Network]\nAddress={ADDRESS}/24\nLinkLocalAddressing=no\n"
        "IPv6AcceptRA=no\n"
    )
    enabled = ("systemd-networkd", "ssh", "bench-hardware", "bench-panel", "bench-camera")
    made.run("systemctl", "-q", "enable", *enabled)
    made.run("systemctl", "-q", "mask", "systemd-networkd-wait-online.service", *NEVER_HERE)
    (folder / "etc/machine-id").write_text("uninitialized\n")
    if not key.exists():
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    authorised = folder / "root/.ssh/authorized_keys"
    authorised.parent.mkdir(mode=0o700, exist_ok=True)
    authorised.write_bytes(key.with_suffix(".pub").read_bytes())
    shutil.rmtree(folder / "var/cache/apt/archives")
    (folder / "var/cache/apt/archives/partial").mkdir(parents=True)


def _format(root: Path, image: Image) -> None:
    make = ("mke2fs", "-q", "-t", "ext4", "-F")
    for file in (image.root, image.footage):
        file.unlink(missing_ok=True)
    # The journal of the file system is as on a card: ext4's defaults.
    subprocess.run([*make, "-L", "root", "-d", root, image.root, ROOT_SIZE], check=True)
    subprocess.run([*make, "-L", "footage", image.footage, FOOTAGE_SIZE], check=True)
