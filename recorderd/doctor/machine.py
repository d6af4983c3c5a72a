"""The computer as its own files and programs describe it."""

from __future__ import annotations

import subprocess
from pathlib import Path

_LARGEST_BYTES = 1_000_000


class Machine:
    """Reads below `root` (tests give a folder of their own) and asks programs. Any thread."""

    def __init__(self, root: Path = Path("/")) -> None:
        self.root = root

    def text(self, path: str) -> str | None:
        """What a file such as `proc/mounts` holds; None if it cannot be read. Never raises."""
        try:
            with (self.root / path).open("rb") as opened:
                return opened.read(_LARGEST_BYTES).decode("utf-8", "replace").strip("\0\n ")
        except OSError:
            return None

    def model(self) -> str | None:
        """What its maker calls it: a Raspberry Pi says it in one place, a PC in another."""
        return self.text("proc/device-tree/model") or self.text("sys/class/dmi/id/product_name")

    def output(self, *command: str, seconds: float = 4.0) -> str | None:
        """What a program prints; None if it is not there, fails or takes too long."""
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                timeout=seconds,
                check=True,
                text=True,
                encoding="utf-8",
                errors="replace",
            )
        except (OSError, subprocess.SubprocessError):
            return None
        return done.stdout

    def unit(self, name: str) -> dict[str, str] | None:
        """The properties of a systemd unit (systemctl show); None where systemd does not run."""
        if not (self.root / "run/systemd/system").is_dir():
            return None
        shown = self.output("systemctl", "show", "--no-pager", name)
        if shown is None:
            return None
        pairs = (line.partition("=") for line in shown.splitlines())
        return {key: value for key, _, value in pairs}
