"""The services as systemd's own tools see them."""

from __future__ import annotations

import itertools
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
UNITS = sorted((ROOT / "systemd").glob("*.*"))
SERVICES = [unit for unit in UNITS if unit.suffix == ".service"]
BACK_OFF = ROOT / "systemd/since-254/back-off.conf"
LARGEST_EXPOSURE = 2.0

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)


def _analyze(*arguments: str, cwd: Path) -> str:
    done = subprocess.run(
        ["systemd-analyze", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=cwd,
        check=False,
    )
    return done.stdout + done.stderr


def _systemd_version() -> int:
    found = re.match(r"systemd (\d+)", _analyze("--version", cwd=ROOT))
    assert found is not None
    return int(found[1])


def test_there_are_three_services() -> None:
    assert sorted(unit.stem for unit in SERVICES) == [
        "recorderd",
        "recorderd-finisher",
        "recorderd-web",
    ]


@needs_systemd
@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.stem)
def test_each_is_in_a_sandbox(unit: Path) -> None:
    said = _analyze("security", "--offline=true", f"./{unit.name}", cwd=unit.parent)
    found = re.search(r"exposure level for \S+: ([\d.]+)", said)
    assert found is not None, said
    assert float(found[1]) <= LARGEST_EXPOSURE, said


@needs_systemd
@pytest.mark.parametrize("back_off", [False, True], ids=["", "with back-off.conf"])
def test_systemd_understands_every_line(tmp_path: Path, back_off: bool) -> None:
    """With a program in the place of the one that the installer puts there."""
    for unit in UNITS:
        text = unit.read_text().replace("/opt/recorderd/current/bin/recorderd", "/bin/true")
        (tmp_path / unit.name).write_text(text.replace("file:///opt/recorderd/current", "file:///"))
    for service in SERVICES if back_off else []:
        (tmp_path / f"{service.name}.d").mkdir()
        shutil.copy(BACK_OFF, tmp_path / f"{service.name}.d")
    # Only beside a unit with its whole path are drop-ins looked for.
    units = [str(tmp_path / unit.name) for unit in UNITS if unit.suffix != ".rules"]
    said = _analyze("verify", "--man=false", *units, cwd=tmp_path)
    ours = [line for line in said.splitlines() if "recorderd" in line]
    if back_off and _systemd_version() < 254:
        # Then it is not installed. What is in it is looked at all the same.
        too_new = r"back-off\.conf:\d+: Unknown key (?:name )?'(?:RestartSteps|RestartMaxDelaySec)'"
        assert len([line for line in ours if re.search(too_new, line)]) == 2 * len(SERVICES)
        ours = [line for line in ours if not re.search(too_new, line)]
    assert ours == []


@needs_systemd
def test_this_test_can_fail(tmp_path: Path) -> None:
    unit = tmp_path / "recorderd-x.service"
    unit.write_text("[Service]\nExecStart=/bin/true\nProtectSystm=strict\n")
    said = _analyze("verify", "--man=false", f"./{unit.name}", cwd=tmp_path)
    assert "ProtectSystm" in said


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.stem)
def test_each_exception_is_explained(unit: Path) -> None:
    """What a sandbox would have, and this one has not, stands below a comment that says why."""
    comment, owner = "", ""
    for before, line in itertools.pairwise(unit.read_text().splitlines()):
        key, _, _ = line.partition("=")
        if line.startswith("#"):
            # It explains what follows it, and all lines with the same key after that.
            comment, owner = (comment if before.startswith("#") else line), ""
        elif not line:
            comment = ""
        elif not owner:
            owner = key
        elif key != owner:
            comment, owner = "", key
        if re.match(r"(Protect|Restrict|Memory|Private)\w+=no$|ProcSubset=all$|DeviceA", line):
            assert comment.startswith("# Exception: "), line


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.stem)
def test_settings_are_checked_before_they_are_taken_up(unit: Path) -> None:
    """A slip of the pen must not take away what works."""
    lines = unit.read_text().splitlines()
    checked = "/opt/recorderd/current/bin/recorderd check-config >/dev/null"
    reloads = [line for line in lines if line.startswith("ExecReload=")]
    assert reloads, "systemctl reload-or-restart would end it and begin it anew unchecked"
    found = re.fullmatch(
        rf"ExecReload=/bin/sh -c '{re.escape(checked)} && kill -(HUP|TERM) \"\$\$MAINPID\"'",
        reloads[0],
    )
    assert found is not None, reloads[0]
    # One that ends, and does so in good order, is begun anew.
    assert found[1] == "HUP" or "Restart=always" in lines


def test_nothing_waits_for_the_network() -> None:
    for unit in UNITS:
        assert "network" not in "\n".join(
            line
            for line in unit.read_text().splitlines()
            if line.startswith(("After", "Want", "Req"))
        )


def test_the_units_wait_longer_than_the_station_needs() -> None:
    """The engine of a station that was killed is waited for before the next one begins."""
    from recorderd.station.state_lock import PATIENCE_SECONDS

    text = (ROOT / "systemd/recorderd.service").read_text()
    found = re.search(r"^TimeoutStartSec=(\d+)$", text, re.MULTILINE)
    assert found is not None
    assert int(found[1]) > PATIENCE_SECONDS
