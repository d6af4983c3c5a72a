"""A setting that is a table: the camera's controls."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from recorderd.config import load, toml_value
from recorderd.settings import Table
from tests.configuration import load_text, no_default_file, problems_of

__all__ = ["no_default_file"]  # a fixture that is used by being here

WANTED = Table((("focus_automatic_continuous", 0), ("focus_absolute", 40)))


@pytest.mark.parametrize(
    "text",
    [
        "[camera]\ncontrols = {focus_automatic_continuous = 0, focus_absolute = 40}",
        "[camera.controls]\nfocus_automatic_continuous = false\nfocus_absolute = 40",
    ],
)
def test_written_either_way_and_in_order(tmp_path: Path, text: str) -> None:
    assert load_text(text, tmp_path).camera.controls == WANTED


def test_from_the_environment() -> None:
    loaded = load(None, {"RECORDERD__CAMERA__CONTROLS": "{focus_absolute = 40}"})
    assert loaded.settings.camera.controls == (("focus_absolute", 40),)


def test_shown_as_it_may_be_written() -> None:
    assert toml_value(WANTED) == "{focus_automatic_continuous = 0, focus_absolute = 40}"
    assert toml_value(Table()) == "{}"
    assert toml_value(Table((("a b", 1),))) == '{"a b" = 1}'


def test_reaches_the_engine() -> None:
    assert pickle.loads(pickle.dumps(WANTED)) == WANTED  # noqa: S301 - our own


@pytest.mark.parametrize("value", ["[]", "40", "{focus = 'far'}", "{focus = 1.5}", "{a = {b = 1}}"])
def test_anything_else_is_refused(tmp_path: Path, value: str) -> None:
    (problem,) = problems_of(f"[camera]\ncontrols = {value}", tmp_path)
    assert (problem.key, problem.expected) == (
        "camera.controls",
        "a table of whole numbers, e.g. {focus_absolute = 40}",
    )
