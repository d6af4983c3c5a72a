"""The README says what the code does."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from recorderd.core.labels import CARD_PREFIX, Card
from recorderd.core.signals import APPEARANCES, Signal
from recorderd.settings import PanelSettings

README = (Path(__file__).parent.parent / "README.md").read_text()


@pytest.mark.parametrize("signal", Signal)
def test_every_signal_is_explained(signal: Signal) -> None:
    shown = APPEARANCES[signal]
    assert f"| {shown.meaning} | {shown.lamps_in_words} | {shown.buzzer_in_words} |" in README


@pytest.mark.parametrize("card", Card)
def test_every_control_card_is_named(card: Card) -> None:
    assert f"`{CARD_PREFIX}{card}`" in README


@pytest.mark.parametrize("part", ["green", "red", "buzzer", "pedal"])
def test_the_wiring_is_that_of_the_defaults(part: str) -> None:
    defaults = {field.name: field.default for field in dataclasses.fields(PanelSettings)}
    assert re.search(rf"\| {part}[^|]*\| GPIO {defaults[f'{part}_pin']} \|", README)


def test_every_dependency_earns_its_line() -> None:
    project = (Path(__file__).parent.parent / "pyproject.toml").read_text()
    section = project.partition("dependencies = [")[2].partition("]")[0]
    for name in re.findall(r'"([a-z0-9-]+)', section):
        assert re.search(rf"^\| {name}\b", README, re.MULTILINE), name
