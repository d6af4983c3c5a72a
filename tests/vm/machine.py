"""A whole computer as a process: boot it, give it commands, pull its plug."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from tests.vm.image import ADDRESS, GATEWAY, Image
from tests.vm.kernel import Kernel
from tests.vm.workshop import cache

BOOT_SECONDS = 180.0
SHUTDOWN_SECONDS = 90.0
COMMAND_SECONDS = 120.0
MEMORY = "3G"


class MachineError(Exception):
    """The machine did not boot, or a command in it failed; says what was seen."""


class Machine:
    """One machine with disks of its own, which keep what was written when it is switched off.

    It is alone with its host in a network namespace: nothing else can reach it, and it can reach
    nothing. Needs root. Used by one thread.
    """

    def __init__(self, name: str, kernel: Kernel, image: Image) -> None:
        self.name = name
        self.folder = cache() / "machines" / name
        self._kernel = kernel
        self._image = image
        self._namespace = f"recorderd-{name}"
        self._process: subprocess.Popen[bytes] | None = None

    # Power -----------------------------------------------------------------------------

    def renew(self) -> None:
        """Fresh disks: as out of the box."""
        self.power_cut()
        shutil.rmtree(self.folder, ignore_errors=True)

    def boot(self) -> float:
        """Switch on and wait until systemd says that all is up. Returns the seconds it took.

        Raises MachineError.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self.power_cut()
        self._make_network()
        self._forget_connection()
        begun = time.monotonic()
        console = (self.folder / "console.log").open("ab")
        with console:
            self._process = subprocess.Popen(
                [
                    *("ip", "netns", "exec", self._namespace, self._kernel.program),
                    *(f"mem={MEMORY}", "ncpus=2", "seccomp=on", f"umid={self._namespace}"),
                    f"uml_dir={self.folder}/",
                    f"ubd0={self.folder}/root.cow,{self._image.root}",
                    f"ubd1={self.folder}/footage.cow,{self._image.footage}",
                    *("root=/dev/ubda", "rw", "net.ifnames=0"),
                    "vec0:transport=raw,ifname=machine0,depth=64",
                    *("con0=null,fd:1", "con=null", "ssl=null"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                # The machine's memory is a file there; on a disk it would be slow.
                env={**os.environ, "TMPDIR": "/dev/shm"},
            )
        (self.folder / "pid").write_text(str(self._process.pid))
        while not self._answers():
            if self._process.poll() is not None:
                raise MachineError(f"the kernel ended; see {self.folder}/console.log")
            if time.monotonic() > begun + BOOT_SECONDS:
                raise MachineError(f"no SSH server answers; see {self.folder}/console.log")
            time.sleep(0.2)
        # 'degraded' is for the caller to look at.
        self.run("systemctl is-system-running --wait || true", seconds=BOOT_SECONDS)
        return time.monotonic() - begun

    def power_cut(self) -> None:
        """Pull the plug: memory and page cache are gone, what reached the disk stays."""
        for process in self._processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        if self._process:
            self._process.wait()
        while self._processes():
            time.sleep(0.02)
        self._forget_connection()

    def shut_down(self) -> float:
        """As the power button does it. Returns the seconds it took; MachineError if it hangs."""
        begun = time.monotonic()
        self.run("systemctl poweroff --no-block", check=False)
        while self._processes():
            if time.monotonic() > begun + SHUTDOWN_SECONDS:
                self.power_cut()
                raise MachineError(f"it did not switch itself off in {SHUTDOWN_SECONDS:.0f} s")
            time.sleep(0.1)
        if self._process:
            self._process.wait()
        self._forget_connection()
        return time.monotonic() - begun

    def close(self) -> None:
        """Leave nothing behind but the disks."""
        self.power_cut()
        subprocess.run(["ip", "netns", "del", self._namespace], check=False, capture_output=True)

    # Use -------------------------------------------------------------------------------

    def run(
        self,
        command: str | Sequence[str],
        *,
        seconds: float = COMMAND_SECONDS,
        check: bool = True,
        given: bytes | None = None,
    ) -> str:
        """What a command (of the shell, or a list of words) in the machine says, as root.

        Raises MachineError if it fails (unless not `check`) or takes longer than `seconds`.
        """
        text = command if isinstance(command, str) else shlex.join(command)
        done = self._ssh(text, seconds, given)
        said = done.stdout.decode(errors="replace")
        if check and done.returncode:
            complaint = done.stderr.decode(errors="replace")
            raise MachineError(f"{text!r} ended with {done.returncode}: {said}{complaint}")
        return said

    def status_of(self, command: str, *, seconds: float = COMMAND_SECONDS) -> tuple[int, str]:
        """Exit code of a command, and all that it says."""
        done = self._ssh(f"{{ {command}; }} 2>&1", seconds, None)
        return done.returncode, done.stdout.decode(errors="replace")

    def put(self, data: bytes, path: str) -> None:
        """Write a file in the machine."""
        where = shlex.quote(path)
        self.run(f"mkdir -p $(dirname {where}) && cat > {where}", given=data)

    def get(self, path: str) -> bytes:
        """Read a file of the machine."""
        done = self._ssh(f"cat {shlex.quote(path)}", COMMAND_SECONDS, None)
        if done.returncode:
            raise MachineError(f"{path}: {done.stderr.decode(errors='replace')}")
        return done.stdout

    def on_its_network(self, *command: str | Path) -> subprocess.CompletedProcess[bytes]:
        """Run a command of the host as a neighbour of the machine in its LAN."""
        return subprocess.run(
            ["ip", "netns", "exec", self._namespace, *command], check=False, capture_output=True
        )

    # Inside ----------------------------------------------------------------------------

    def _ssh(
        self, command: str, seconds: float, given: bytes | None
    ) -> subprocess.CompletedProcess[bytes]:
        try:
            return subprocess.run(
                [
                    *("ip", "netns", "exec", self._namespace, "ssh", "-q", "-i", self._image.key),
                    *("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"),
                    *("-o", "ControlMaster=auto", "-o", f"ControlPath={self._connection}"),
                    *("-o", "ControlPersist=600", "-o", "ConnectTimeout=20"),
                    *("-o", "ServerAliveInterval=5"),
                    *(f"root@{ADDRESS}", command),
                ],
                check=False,
                capture_output=True,
                timeout=seconds,
                input=given or b"",
            )
        except subprocess.TimeoutExpired as error:
            raise MachineError(f"{command!r} took longer than {seconds:.0f} s") from error

    @property
    def _connection(self) -> Path:
        return self.folder / "ssh"

    def _forget_connection(self) -> None:
        if self._connection.exists():
            stop = ["ssh", "-q", "-O", "exit", "-o", f"ControlPath={self._connection}", ADDRESS]
            # It may hang, like the machine at its other end; then it gives up by itself.
            with contextlib.suppress(subprocess.TimeoutExpired):
                subprocess.run(stop, check=False, capture_output=True, timeout=5)
            self._connection.unlink(missing_ok=True)

    def _answers(self) -> bool:
        hello = f"exec 3<>/dev/tcp/{ADDRESS}/22 && read -t 2 line <&3 && [[ $line == SSH-* ]]"
        return self.on_its_network("timeout", "3", "bash", "-c", hello).returncode == 0

    def _processes(self) -> list[int]:
        """The kernel of the machine and its processes are processes of the host, in a session.

        Also those that an earlier run has left.
        """
        try:
            session = int((self.folder / "pid").read_text())
            command = Path(f"/proc/{session}/cmdline").read_bytes()
        except (OSError, ValueError):
            return []
        ours = self._process is not None and self._process.pid == session
        # The number may by now be that of another program.
        if not ours and f"umid={self._namespace}".encode() not in command.split(b"\0"):
            return []
        found = []
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                with contextlib.suppress(OSError):
                    state, *fields = (folder / "stat").read_text().rpartition(")")[2].split()
                    if int(fields[2]) == session and state != "Z":
                        found.append(int(folder.name))
        return found

    def _make_network(self) -> None:
        listed = subprocess.run(["ip", "netns"], check=True, capture_output=True, text=True)
        if self._namespace in listed.stdout.split():
            return
        subprocess.run(["ip", "netns", "add", self._namespace], check=True)
        for words in (
            "link set lo up",
            "link add name host0 type veth peer name machine0",
            # The machine takes frames of the usual size only.
            "link set host0 gso_max_segs 1 gro_max_size 1500",
            f"addr add {GATEWAY}/24 dev host0",
            "link set host0 up",
            "link set machine0 up",
        ):
            subprocess.run(["ip", "-n", self._namespace, *words.split()], check=True)
