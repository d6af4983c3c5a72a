"""What is said about settings: no password, and nothing that plays with the terminal."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorderd.config import (
    load,
    without_password,
)
from tests.configuration import no_default_file, problems_from, problems_of

__all__ = ["no_default_file"]  # a fixture is used by being here


class TestSecrets:
    @pytest.mark.parametrize(
        "text",
        [
            '[storage]\ndatabase_url = "mysql://user:hunter2@host/db"',
            '[storage]\ndatabase_url = "postgresql:user:hunter2@host/db"',
            '[storage]\ndatabase_url = "mysql://user:hun/ter@hunter2@host/db"',
            '[storage]\ndatabase_url = "mysql://host/db?password=hunter2"',
            '[storage]\ndatabase_url = ["postgresql://user:hunter2@host/db"]',
            '[storage]\ndatabase_url = {password = "hunter2"}',
            '[storage]\ndatabase_ulr = "postgresql://user:hunter2@host/db"',
            '[storage]\ndatabase_password = "hunter2"',
            '[database]\npassword = "hunter2"',
            '[[database]]\npassword = "hunter2"',
            'database = "postgresql://user:hunter2@host/db"',
            '[camera]\nsource = "http://admin:hunter2@camera/"',
            '[camera]\nuri = "rtsp://admin:hunter2@camera/"',
        ],
    )
    def test_are_not_in_problems(self, text: str, tmp_path: Path) -> None:
        assert "hunter2" not in "".join(map(str, problems_of(text, tmp_path)))

    def test_are_not_in_problems_of_the_environment(self) -> None:
        for variable in ("DATABASE_URL", "RECORDERD__STORAGE__PASSWORD", "RECORDERD__X__Y"):
            problems = problems_from({variable: "mysql://user:hunter2@host/db"})
            assert "hunter2" not in "".join(map(str, problems))

    def test_are_hidden_in_the_listing(self, tmp_path: Path) -> None:
        file = tmp_path / "c.toml"
        file.write_text(
            '[camera]\nsource = "rtsp://admin:hunter2@camera/live"\n'
            '[storage]\ndatabase_url = "postgresql://u:hunter2@host/db?sslpassword=hunter2"'
        )
        loaded = load(file, {})
        shown = {f"{entry.section}.{entry.key}": entry.shown for entry in loaded.effective}
        assert shown["camera.source"] == '"rtsp://***@camera/live"'
        assert shown["storage.database_url"] == '"postgresql://***@host/db?sslpassword=***"'
        assert "hunter2" in loaded.settings.database_url

    def test_looks_of_a_password_do_not_spoil_other_settings(self, tmp_path: Path) -> None:
        file = tmp_path / "c.toml"
        file.write_text("[labels]\npattern = 'https://shop/(?:a|b)@(?P<order>.+)'")
        shown = [entry.shown for entry in load(file, {}).effective if entry.key == "pattern"]
        assert shown == ['"https://shop/(?:a|b)@(?P<order>.+)"']

    @given(
        password=st.text(st.characters(exclude_characters="@", exclude_categories=["Cs"])),
        host=st.from_regex(r"[a-z]{1,10}", fullmatch=True),
    )
    def test_password_of_any_characters_is_hidden(self, password: str, host: str) -> None:
        hidden = without_password(f"postgresql://user:{password}@{host}/name")
        assert hidden == f"postgresql://***@{host}/name"


class TestHostileNames:
    def test_of_keys_cannot_reach_the_terminal_raw(self, tmp_path: Path) -> None:
        problems = problems_of('"\\u001b[2J" = 1\n[camera]\n"\\u001b[2J\\n" = "\\u001b"', tmp_path)
        text = "".join(map(str, problems))
        assert len(problems) == 2
        assert text.isprintable()

    def test_of_variables_cannot_either(self) -> None:
        problems = problems_from({"RECORDERD__\x1b__A": "1", "RECORDERD__CAMERA__\x1b": "\x1b"})
        assert "".join(map(str, problems)).isprintable()

    def test_long_values_are_cut(self, tmp_path: Path) -> None:
        (problem,) = problems_of(f'[log]\nlevel = "{"x" * 5000}"', tmp_path)
        assert len(problem.value) == 80
