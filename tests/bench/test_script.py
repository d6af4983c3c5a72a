"""`scripts/bench` runs benchmarks that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from recorderd.cli import main

SCRIPT = (Path(__file__).parent.parent.parent / "scripts/bench").read_text()
DEFAULT = re.search(r"^by_default=\((.*)\)$", SCRIPT, re.MULTILINE)
NAMED = re.findall(r"\[(\w+)\]=\"", SCRIPT)


def test_there_are_some() -> None:
    assert DEFAULT is not None
    assert "downloads" in DEFAULT[1].split()
    assert {"downloads", "scanner"} <= set(NAMED)


@pytest.mark.parametrize("name", [*(DEFAULT[1].split() if DEFAULT else []), *NAMED])
def test_each_is_a_command(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["bench", name, "--help"])
    assert caught.value.code == 0
    assert f"recorderd bench {name}" in capsys.readouterr().out
