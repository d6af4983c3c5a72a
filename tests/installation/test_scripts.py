"""The scripts with which a technician installs: readable, and clear about wrong words."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
SCRIPTS = ["install", "upgrade", "uninstall"]


def _run(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [f"scripts/{script}", *arguments],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=30,
        cwd=ROOT,
        check=False,
    )


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
def test_shellcheck_finds_nothing() -> None:
    scripts = [
        str(path)
        for path in (ROOT / "scripts").rglob("*")
        if path.is_file() and path.read_text().startswith(("#!/usr/bin/env bash", "# shellcheck"))
    ]
    assert len(scripts) >= 10
    done = subprocess.run(
        ["shellcheck", "--external-sources", *scripts],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("script", SCRIPTS)
def test_help(script: str) -> None:
    done = _run(script, "--help")
    assert done.returncode == 0, done.stderr
    assert f"sudo scripts/{script}" in done.stdout
    assert "--yes" in done.stdout


@pytest.mark.parametrize("script", SCRIPTS)
def test_an_unknown_word_is_refused(script: str) -> None:
    done = _run(script, "--yess")
    assert done.returncode == 1
    assert done.stderr == (
        f"scripts/{script}: what is '--yess'?\n"
        f"    scripts/{script} --help lists what may be given\n"
    )


@pytest.mark.parametrize("arguments", [["--port"], ["--wheels"], ["--make-wheels"]])
def test_a_missing_value_is_refused(arguments: list[str]) -> None:
    done = _run("install", *arguments)
    assert done.returncode == 1
    assert "needs a value" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
@pytest.mark.parametrize("script", SCRIPTS)
def test_without_the_rights_of_root(script: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        # pytest's own folders may be entered by nobody else.
        Path(folder).chmod(0o755)
        shutil.copytree(ROOT / "scripts", Path(folder) / "scripts")
        done = subprocess.run(
            [f"{folder}/scripts/{script}", "--yes"],
            capture_output=True,
            text=True,
            user="nobody",
            check=False,
        )
    assert done.returncode == 1
    assert f"sudo scripts/{script}" in done.stderr
