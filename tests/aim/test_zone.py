from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from recorderd.aim import zone
from recorderd.config import load
from recorderd.errors import ConfigError
from recorderd.settings import LabelSettings, Settings, StationSettings

DRAWN = (0.1, 0.2, 0.8, 0.9)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        station=StationSettings(state_folder=str(tmp_path)),
        labels=LabelSettings(zone=(0.0, 0.0, 0.5, 0.5)),
    )


def loaded(folder: Path, text: str = "", **environment: str) -> tuple[object, str]:
    """The zone in force for whoever loads the settings now, and where it comes from."""
    file = folder / "recorderd.toml"
    file.write_text(f"[station]\nstate_folder = '{folder}'\n{text}")
    for each in load(file, environment).effective:
        if (each.section, each.key) == ("labels", "zone"):
            return each.value, each.origin
    raise AssertionError


def test_what_was_drawn_is_in_force_at_once_and_at_the_next_start(
    settings: Settings, tmp_path: Path
) -> None:
    in_force = zone.ZoneInForce(settings, environment={})
    assert in_force.look() == (0.0, 0.0, 0.5, 0.5)
    zone.save(settings, DRAWN)
    assert in_force.look() == DRAWN
    origin = str(tmp_path / "zone.toml")
    assert loaded(tmp_path, "[labels]\nzone = [0.0, 0.0, 0.5, 0.5]\n") == (DRAWN, origin)
    zone.save(settings, None)
    assert in_force.look() is None
    assert loaded(tmp_path, "[labels]\nzone = [0.0, 0.0, 0.5, 0.5]\n") == ((), origin)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["recorderd.toml", "zone.toml"]


def test_the_environment_goes_before_what_was_drawn(settings: Settings, tmp_path: Path) -> None:
    zone.save(settings, DRAWN)
    variable = {"RECORDERD__LABELS__ZONE": "[]"}
    assert loaded(tmp_path, "", **variable) == ((), "RECORDERD__LABELS__ZONE")
    assert zone.is_fixed(variable)
    whole = replace(settings, labels=LabelSettings())
    assert zone.ZoneInForce(whole, environment=variable).look() is None


@pytest.mark.parametrize(
    "contents",
    [
        "rubbish",
        "[labels]\nzone = [0.9, 0, 0.1, 1]",
        "[labels]\nzone = 'all'",
        "[camera]\nsource = 'command:reboot'",
        "[labels]\nzone = []\npattern = '.*'",
    ],
)
def test_nothing_but_a_zone_can_be_set_there(
    settings: Settings, tmp_path: Path, contents: str
) -> None:
    in_force = zone.ZoneInForce(settings, environment={})
    before = in_force.look()
    (tmp_path / "zone.toml").write_text(contents)
    assert in_force.look() == before
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path)
    assert all(problem.origin == str(tmp_path / "zone.toml") for problem in caught.value.problems)


def test_an_interrupted_save_changes_nothing(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zone.save(settings, DRAWN)

    def full(*_arguments: object, **_named: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(zone, "write_synced", full)
        with pytest.raises(OSError, match="No space"):
            zone.save(settings, None)
    assert loaded(tmp_path)[0] == DRAWN


def test_the_line_for_the_settings_file() -> None:
    assert zone.in_toml(DRAWN) == "zone = [0.1, 0.2, 0.8, 0.9]"
    assert zone.in_toml(None) == "zone = []"
