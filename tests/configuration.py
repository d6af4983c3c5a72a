"""Settings from a text, for the tests that look at them from several sides."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from recorderd.config import load
from recorderd.errors import ConfigError, ConfigProblem
from recorderd.settings import Settings


def load_text(text: str, folder: Path, environment: Mapping[str, str] | None = None) -> Settings:
    file = folder / "recorderd.toml"
    file.write_text(text)
    return load(file, environment or {}).settings


def problems_of(
    text: str, folder: Path, environment: Mapping[str, str] | None = None
) -> tuple[ConfigProblem, ...]:
    with pytest.raises(ConfigError) as caught:
        load_text(text, folder, environment)
    return caught.value.problems


def problems_from(environment: Mapping[str, str]) -> tuple[ConfigProblem, ...]:
    with pytest.raises(ConfigError) as caught:
        load(None, environment)
    return caught.value.problems


@pytest.fixture(autouse=True)
def no_default_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """What a developer has in /etc must not matter here."""
    file = tmp_path / "etc" / "recorderd.toml"
    monkeypatch.setattr("recorderd.config.DEFAULT_CONFIG_FILE", file)
    return file
