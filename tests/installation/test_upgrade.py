"""What scripts/upgrade does about an upgrade that was interrupted: its own functions, on releases,
units and a catalogue in a folder of the test's. Only systemd and the account are stood in for."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from recorderd.store.catalogue import Catalogue
from recorderd.store.migrations import MIGRATIONS

ROOT = Path(__file__).parent.parent.parent
SCHEMAS = {"old": len(MIGRATIONS), "new": len(MIGRATIONS) + 1}
"""What each release makes of the catalogue, and the newest that it knows."""
STAND_INS = """
set -euo pipefail
source "$(dirname "$0")/functions"
program=$COMPUTER/program releases=$program/releases current=$program/current
state=$COMPUTER/state units=$COMPUTER/units device_rules=$COMPUTER/rules
interrupted=$program/upgrade-from backup=$state/catalogue-before-upgrade.db
systemd_runs() { true; }
systemctl() {
    echo "systemctl $*" >>"$program/asked"
    case "$*" in
        --version) echo "systemd 252" ;;
        *is-active*) [[ -e $program/runs ]] ;;
    esac
}
udevadm() { true; }
as_account() { "$@"; }
wait_until_ready() { "$current/bin/ready"; }
old="$(current_release)"
finish_interrupted
say "in use: $old"
"""
READY = """#!{python}
import sqlite3, sys
catalogue = sqlite3.connect("{catalogue}")
found = catalogue.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchone()
sys.exit(int(found[0]) > {schema})
"""


class Computer:
    """One with both releases on it; the upgrade from old to new was interrupted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.program = folder / "program"
        self.state = folder / "state"
        self.units = folder / "units"
        self.catalogue = self.state / "catalogue.db"
        self.backup = self.state / "catalogue-before-upgrade.db"
        self.marker = self.program / "upgrade-from"
        self.state.mkdir()
        for name, schema in SCHEMAS.items():
            self._make_release(name, schema)
        self.marker.write_text("old\n")

    def _make_release(self, name: str, schema: int) -> None:
        release = self.program / "releases" / name
        shutil.copytree(ROOT / "systemd", release / "systemd")
        for unit in (release / "systemd").glob("*.*"):
            unit.write_text(f"# of the {name} release\n{unit.read_text()}")
        (release / "bin").mkdir()
        ready = READY.format(python=sys.executable, catalogue=self.catalogue, schema=schema)
        for program, text in (
            ("ready", ready),
            ("python", f'#!/bin/sh\nexec {sys.executable} "$@"\n'),
            ("recorderd", f'#!/bin/sh\nexec {sys.executable} -m recorderd "$@"\n'),
        ):
            (release / "bin" / program).write_text(text)
            (release / "bin" / program).chmod(0o755)
        (release / "complete").touch()

    def use(self, release: str, *, units: str) -> None:
        current = self.program / "current"
        current.unlink(missing_ok=True)
        current.symlink_to(f"releases/{release}")
        self.units.mkdir()
        for unit in (self.program / "releases" / units / "systemd").glob("recorderd*.*"):
            shutil.copy(unit, self.units)

    def make(self, database: Path, release: str) -> None:
        """A catalogue as this release has it, which says so."""
        Catalogue.open(f"sqlite:///{database}", "bench").close()
        with closing(sqlite3.connect(database)) as connection, connection:
            connection.execute(
                "UPDATE meta SET value = ? WHERE key = 'schema_version'", [SCHEMAS[release]]
            )
            connection.execute("INSERT INTO meta VALUES ('made by', ?)", [release])

    def made_by(self) -> str:
        with closing(sqlite3.connect(self.catalogue)) as connection:
            (row,) = connection.execute("SELECT value FROM meta WHERE key = 'made by'")
        return str(row[0])

    def units_of(self) -> set[str]:
        return {unit.read_text().splitlines()[0] for unit in self.units.glob("*.*")}

    def upgrade_again(self) -> subprocess.CompletedProcess[str]:
        scripts = self.folder / "checkout/scripts"
        shutil.copytree(ROOT / "scripts", scripts)
        functions, _, _ = (ROOT / "scripts/upgrade").read_text().partition("\nrequire_root\n")
        (scripts / "functions").write_text(functions)
        (scripts / "finish").write_text(STAND_INS)
        return subprocess.run(
            ["bash", scripts / "finish"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={
                **os.environ,
                "COMPUTER": str(self.folder),
                "PYTHONPATH": str(ROOT),
                "RECORDERD__STATION__STATE_FOLDER": str(self.state),
                "RECORDERD__STATION__RUN_FOLDER": str(self.folder / "run"),
            },
        )

    def asked(self) -> str:
        return (self.program / "asked").read_text()


@pytest.fixture
def computer(tmp_path: Path) -> Computer:
    return Computer(tmp_path)


def test_the_new_release_gets_its_units(computer: Computer) -> None:
    """The plug was pulled before they were in place."""
    computer.use("new", units="old")
    computer.make(computer.catalogue, "new")
    computer.make(computer.backup, "old")
    (computer.program / "runs").touch()
    done = computer.upgrade_again()
    assert done.returncode == 0, done.stderr
    assert "in use: new" in done.stdout
    assert "takes that up at its next start" in done.stdout
    assert computer.units_of() == {"# of the new release"}
    assert computer.made_by() == "new"
    assert not computer.backup.exists()
    assert not computer.marker.exists()


@pytest.mark.parametrize("units", ["old", "new"])
def test_the_way_back_is_gone_to_its_end(computer: Computer, units: str) -> None:
    """The plug was pulled on it, after the old release and before its catalogue was put back."""
    computer.use("old", units=units)
    computer.make(computer.catalogue, "new")
    computer.make(computer.backup, "old")
    done = computer.upgrade_again()
    assert done.returncode == 0, done.stderr
    assert "in use: old" in done.stdout
    assert computer.made_by() == "old"
    assert computer.units_of() == {"# of the old release"}
    assert not computer.backup.exists()
    assert not computer.marker.exists()


def test_a_new_release_that_does_not_get_ready_goes(computer: Computer) -> None:
    computer.use("new", units="new")
    computer.make(computer.catalogue, "new")
    computer.make(computer.backup, "old")
    (computer.program / "releases/new/bin/ready").write_text("#!/bin/false\n")
    done = computer.upgrade_again()
    assert done.returncode == 0, done.stderr
    assert "in use: old" in done.stdout
    assert computer.made_by() == "old"
    assert computer.units_of() == {"# of the old release"}
    assert not computer.marker.exists()


def test_nothing_is_stopped_if_the_old_release_works(computer: Computer) -> None:
    """The plug was pulled before the new one took its place: a packer may be at work since."""
    computer.use("old", units="old")
    computer.make(computer.catalogue, "old")
    computer.make(computer.backup, "old")
    done = computer.upgrade_again()
    assert done.returncode == 0, done.stderr
    assert "in use: old" in done.stdout
    assert "next start" not in done.stdout
    assert "systemctl stop" not in computer.asked()
    assert not computer.backup.exists()
    assert not computer.marker.exists()


def test_it_is_not_over_while_neither_release_works(computer: Computer) -> None:
    computer.use("old", units="old")
    computer.make(computer.catalogue, "new")
    computer.make(computer.backup, "old")
    (computer.program / "releases/old/bin/ready").write_text("#!/bin/false\n")
    done = computer.upgrade_again()
    assert done.returncode == 1
    assert "does not start either" in done.stderr
    assert computer.marker.exists()
