"""Where settings come from: the file, the environment, and which of them wins."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from recorderd.config import (
    LARGEST_CONFIG_FILE_BYTES,
    load,
)
from recorderd.errors import ConfigError
from recorderd.settings import Settings
from tests.configuration import load_text, no_default_file, problems_from, problems_of

__all__ = ["no_default_file"]  # a fixture is used by being here


class TestEnvironment:
    def test_wins_over_the_file(self, tmp_path: Path) -> None:
        file = tmp_path / "c.toml"
        file.write_text("[camera]\nwidth = 640\nheight = 480")
        loaded = load(file, {"RECORDERD__CAMERA__WIDTH": "1280"})
        assert (loaded.settings.camera.width, loaded.settings.camera.height) == (1280, 480)
        origins = {f"{entry.section}.{entry.key}": entry.origin for entry in loaded.effective}
        assert origins["camera.width"] == "RECORDERD__CAMERA__WIDTH"
        assert origins["camera.height"] == str(file)
        assert origins["camera.rate"] == "default"

    def test_is_that_of_the_process_by_default(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in [name for name in os.environ if name.startswith("RECORDERD__")]:
            monkeypatch.delenv(name)
        monkeypatch.delenv("DATABASE_URL", raising=False)
        monkeypatch.setenv("RECORDERD__STATION__NAME", "bench-7")
        assert load(None).settings.station.name == "bench-7"

    @pytest.mark.parametrize(
        ("variable", "text", "value"),
        [
            ("CAMERA__LOOP", "true", True),
            ("CAMERA__RATE", "15", 15.0),
            ("CAMERA__WIDTH", "1_920", 1920),
            ("STATION__NAME", "true", "true"),
            ("STATION__NAME", "[x] 'y' \"z\" é", "[x] 'y' \"z\" é"),
            ("LABELS__PATTERN", r"\d+", r"\d+"),
            ("LABELS__ZONE", "[0.1, 0, 1, 1]", (0.1, 0.0, 1.0, 1.0)),
            ("LABELS__SYMBOLOGIES", '["code128"]', ("code128",)),
            ("camera__width", "640", None),
        ],
    )
    def test_text_becomes_the_declared_type(self, variable: str, text: str, value: object) -> None:
        section, key = variable.lower().split("__")
        settings = load(None, {f"RECORDERD__{variable}": text}).settings
        got = getattr(getattr(settings, section), key)
        assert got == (640 if value is None else value)

    @pytest.mark.parametrize(
        ("variable", "text"),
        [
            ("CAMERA__LOOP", "yes"),
            ("CAMERA__LOOP", "True"),
            ("CAMERA__WIDTH", ""),
            ("CAMERA__WIDTH", "640\nheight = 3"),
            ("CAMERA__WIDTH", "640.5"),
            ("CAMERA__WIDTH", "9" * 5000),
            ("CAMERA__WIDTH", "0x" + "f" * 5000),
            ("CAMERA__RATE", "nan"),
            ("LABELS__ZONE", "0.1, 0, 1, 1"),
            ("LABELS__ZONE", "[" * 100_000),
            ("STATION__NAME", "\udcff"),
        ],
    )
    def test_text_that_does_not_fit_is_refused(self, variable: str, text: str) -> None:
        (problem,) = problems_from({f"RECORDERD__{variable}": text})
        assert problem.origin == f"RECORDERD__{variable}"
        assert problem.key == variable.lower().replace("__", ".")

    @pytest.mark.parametrize(
        ("variable", "expected"),
        [
            ("RECORDERD__CAMRA__WIDTH", "did you mean 'camera'?"),
            ("RECORDERD__CAMERA__WIDHT", "did you mean 'width'?"),
            ("RECORDERD__CAMERA", "RECORDERD__SECTION__KEY"),
            ("RECORDERD__CAMERA__", "RECORDERD__SECTION__KEY"),
            ("RECORDERD__", "a known section"),
        ],
    )
    def test_unknown_names_are_refused(self, variable: str, expected: str) -> None:
        (problem,) = problems_from({variable: "1"})
        assert problem.origin == variable
        assert expected in problem.expected

    def test_of_other_programs_is_ignored(self) -> None:
        assert load(None, {"RECORDER": "x", "RECORDERD_X": "y"}).settings == Settings()

    def test_database_url_wins_over_all(self, tmp_path: Path) -> None:
        settings = load_text(
            '[storage]\ndatabase_url = "sqlite:////a.db"',
            tmp_path,
            {
                "DATABASE_URL": "postgresql://host/name",
                "RECORDERD__STORAGE__DATABASE_URL": "sqlite:////b.db",
            },
        )
        assert settings.database_url == "postgresql://host/name"

    def test_empty_database_url_is_none(self) -> None:
        settings = load(None, {"DATABASE_URL": ""}).settings
        assert settings.database_url == "sqlite:////var/lib/recorderd/catalogue.db"

    def test_bad_database_url_is_refused(self) -> None:
        (problem,) = problems_from({"DATABASE_URL": "oracle:x"})
        assert (problem.origin, problem.key) == ("DATABASE_URL", "storage.database_url")


class TestFile:
    @pytest.mark.parametrize(
        ("content", "value"),
        [
            (b"[camera\nwidth = 1", "not TOML"),
            (b"[camera]\nwidth = 1\nwidth = 2", "not TOML"),
            (b"x = " + b"[" * 100_000, "not TOML"),
            (b"x = " + b"9" * 10_000, "not TOML"),
            (b"[station]\nname = '\xff'", "not text"),
            ("[station]".encode("utf-16"), "not text"),
            (b"#" * (LARGEST_CONFIG_FILE_BYTES + 1), "too large"),
        ],
    )
    def test_that_cannot_be_understood_is_refused(
        self, content: bytes, value: str, tmp_path: Path
    ) -> None:
        file = tmp_path / "recorderd.toml"
        file.write_bytes(content)
        with pytest.raises(ConfigError) as caught:
            load(file, {})
        (problem,) = caught.value.problems
        assert (problem.origin, problem.key, problem.value) == (str(file), "file", value)

    def test_bad_toml_says_where(self, tmp_path: Path) -> None:
        (problem,) = problems_of("[camera]\nwidth = = 1", tmp_path)
        assert "line 2" in problem.expected

    def test_of_the_largest_size_is_read(self, tmp_path: Path) -> None:
        text = "[camera]\nwidth = 640\n"
        padding = "#" * (LARGEST_CONFIG_FILE_BYTES - len(text))
        assert load_text(text + padding, tmp_path).camera.width == 640

    def test_that_was_named_must_exist(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError) as caught:
            load(tmp_path / "none.toml", {})
        assert caught.value.problems[0].value == "missing"

    def test_may_not_be_a_folder(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError) as caught:
            load(tmp_path, {})
        assert caught.value.problems[0].value == "Is a directory"

    def test_may_begin_with_a_byte_order_mark(self, tmp_path: Path) -> None:
        file = tmp_path / "notepad.toml"
        file.write_bytes(b"\xef\xbb\xbf[camera]\r\nwidth = 640\r\n")
        assert load(file, {}).settings.camera.width == 640

    def test_mistakes_in_the_environment_are_reported_beside_a_bad_file(
        self, tmp_path: Path
    ) -> None:
        problems = problems_of("[camera", tmp_path, {"RECORDERD__CAMERA__WIDTH": "x"})
        assert [problem.key for problem in problems] == ["file", "camera.width"]
