"""The command as a technician types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from recorderd.cli import main

TEXT = """
[station]
name = "bench-9"
state_folder = "{folder}/state"
run_folder = "{folder}/run"
[camera]
source = "simulated"
width = 640
height = 360
rate = 10
[recording]
mode = "defer"
[panel]
driver = "none"
"""


@pytest.mark.slow
def test_the_whole_screen_without_a_station(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "c.toml"
    config.write_text(TEXT.format(folder=tmp_path))
    sheet, bundle = tmp_path / "sheet.html", tmp_path / "support.zip"
    files = ["--report", str(sheet), "--support", str(bundle)]
    code = main(["doctor", "--json", "--config", str(config), *files])
    printed = capsys.readouterr().out
    document = json.loads(printed)
    results = {result["name"]: result for result in document["results"]}
    assert results["pictures"]["verdict"] == "good", results["pictures"]
    assert results["camera"]["seen"].startswith("simulated")
    assert results["encoding"]["seen"].startswith("mode defer")
    assert results["station"]["verdict"] == "warning"
    assert results["lamps"]["verdict"] == "skipped"
    assert code == (1 if document["verdict"] == "bad" else 0)
    assert "bench-9" in sheet.read_text()
    assert bundle.stat().st_size > 1000


def test_mistakes_in_the_settings_end_it_as_any_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "c.toml"
    config.write_text("[camera]\nrate = 'fast'\n")
    assert main(["doctor", "--config", str(config)]) == 78
    assert "camera.rate" in capsys.readouterr().err
